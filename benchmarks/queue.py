"""Longer and bigger trainings, one after another, where there is an NVIDIA GPU to run them.

    python -m benchmarks.queue --list              # what waits, and why
    python -m benchmarks.queue --minutes 9         # work it off; start nothing that does not fit into the time
    python -m benchmarks.queue --on-cpu NAME       # one entry of at most an hour, without a GPU

An entry that docs/benchmarks/runs.jsonl holds with the same configuration is done. A killed training goes on from its
last checkpoint in runs/queue/NAME; a finished one is measured on its held-out fold and recorded in one line.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import numpy as np

from benchmarks.entries import Entry, read_entries
from benchmarks.few import linked
from benchmarks.models import held_out
from benchmarks.record import add_line, described, lines
from napari_ganseg.errors import GansegError, UsageError
from napari_ganseg.inference.device import works
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.models import Model, find_model
from napari_ganseg.models.file import SUFFIX
from napari_ganseg.training.files import PROGRESS

QUEUE = Path("benchmarks/queue.toml")
FOLDER = Path("runs/queue")
MOST_CPU_MINUTES = 60.0
OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """List the queue or work it off; 0 unless a training failed (1) or the wish cannot be granted (2)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue", description="Trainings that wait for a GPU.")
    parser.add_argument("--list", action="store_true", help="what waits, and why; changes nothing")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start nothing that takes longer than this")
    parser.add_argument("--on-cpu", metavar="NAME", help="train this one entry on the processor")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        entries = read_entries(QUEUE)
        if options.list:
            return show(entries)
        if options.on_cpu:
            return work([on_cpu(entries, options.on_cpu)], "cpu", options.minutes)
        if not works("cuda"):
            print(f"There is no CUDA device here; {len(waiting(entries))} entries wait for one (--list names them).")
            return OK
        return work(entries, "cuda", options.minutes)
    except GansegError as error:
        print(f"queue: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("queue: interrupted; the same command goes on from the last checkpoint.", file=sys.stderr)
        return INTERRUPTED


def show(entries: Sequence[Entry]) -> int:
    """Print every entry with its state."""
    left, why = waiting(entries), "" if works("cuda") else ": there is no CUDA device here"
    for entry in entries:
        state = f"waits, {share_done(entry):.0%} trained" if entry in left else "done"
        print(f"{entry.name:<32} {state:<20} {entry.gpu_minutes:>4g} min on a GPU\n    {entry.purpose}")
    print(f"{len(left)} of {len(entries)} entries wait{why if left else ''}")
    return OK


def waiting(entries: Sequence[Entry]) -> list[Entry]:
    """Those that are not on record with the configuration they have now."""
    done = {(line.get("entry"), line.get("configuration")) for line in lines()}
    return [entry for entry in entries if (entry.name, entry.sha256) not in done]


def share_done(entry: Entry) -> float:
    """How much of an entry's training its last checkpoint holds."""
    path = FOLDER / entry.name / PROGRESS
    whole = [line for line in path.read_text().splitlines() if line.endswith("}")] if path.exists() else []
    return float(json.loads(whole[-1])["step"] / entry.config.steps) if whole else 0.0


def on_cpu(entries: Sequence[Entry], name: str) -> Entry:
    """The entry of that name, if a processor trains it within the hour.

    Raises:
        UsageError: there is none, or it takes longer, or nobody said how long.
    """
    entry = next((e for e in entries if e.name == name), None)
    if entry is None:
        raise UsageError(f"There is no entry {name}. Choose one of {', '.join(e.name for e in entries)}.")
    if entry.cpu_minutes is None or entry.cpu_minutes > MOST_CPU_MINUTES:
        takes = f"about {entry.cpu_minutes:g} minutes" if entry.cpu_minutes else "an unknown time"
        raise UsageError(f"{name} takes {takes} on a processor; at most {MOST_CPU_MINUTES:g} are allowed. Use a GPU.")
    return entry


def work(entries: Sequence[Entry], device: str, minutes: float) -> int:
    """Train what waits, in order, until one does not fit into the time that is left."""
    end, worst = time.monotonic() + 60 * minutes, OK
    for entry in waiting(entries):
        needed, left = minutes_left(entry, device), (end - time.monotonic()) / 60
        if needed > left:
            print(f"{entry.name} needs about {needed:.0f} minutes and {left:.0f} are left; stopped before it.")
            break
        print(f"{entry.name}: {entry.purpose}", flush=True)
        worst = max(worst, finish(entry, device))
    return worst


def minutes_left(entry: Entry, device: str) -> float:
    """Roughly what an entry still takes."""
    whole = entry.cpu_minutes if device == "cpu" else entry.gpu_minutes
    return (whole or MOST_CPU_MINUTES) * (1 - share_done(entry))


def finish(entry: Entry, device: str) -> int:
    """Train to the end, measure, record; a training that fails is said and not recorded."""
    code = subprocess.run(command(entry, device), check=False).returncode
    if code:
        print(f"{entry.name}: the training ended with {code}; what it had is in {FOLDER / entry.name}", file=sys.stderr)
        return FAILED
    add_line(line_for(entry, find_model(model_path(entry)), device))
    return OK


def command(entry: Entry, device: str) -> list[str]:
    """The training's command line, its configuration written where it will run.

    Raises:
        UsageError: nobody said where the data are.
    """
    root, folder = os.environ.get("GANSEG_DATA"), FOLDER / entry.name
    if not root:
        raise UsageError("Set GANSEG_DATA to the folder of the project's data.")
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / "recipe.json", (json.dumps(entry.content, indent=1) + "\n").encode())
    data, rest = [Path(root) / name for name in entry.data], list[Path]()
    if entry.labels:
        data, rest = linked(data, folder, entry.config.split, entry.labels, entry.config.seed)
    options = [("--config", folder / "recipe.json"), ("--out", model_path(entry)), ("--run", folder)]
    options += [("--unlabelled", path) for path in rest if entry.config.unlabelled.is_used]
    words = [str(word) for word in (*data, *chain.from_iterable(options), "--device", device)]
    return [sys.executable, "-W", "ignore", "-m", "napari_ganseg", "train", *words]


def model_path(entry: Entry) -> Path:
    """Where the finished model lies; it is called as the recipe says, since its name decides how it is measured."""
    return FOLDER / entry.name / f"{entry.config.card.name}{SUFFIX}"


def line_for(entry: Entry, model: Model, device: str) -> dict[str, object]:
    """The line that makes an entry done: held-out Dice in all, and of each class."""
    figures, card = held_out(model), model.card
    metrics = card.provenance.metrics
    named = {c.name: figures.of_class(c.value) for c in card.classes}
    scores = {
        "validation_dice": metrics["validation_dice"], "test_dice": round(figures.mean, 4),
        "cases": len(figures.per_case), "swaps": figures.swaps,
        "classes": {name: round(float(np.mean(dices)), 4) for name, dices in named.items() if dices},
    }  # fmt: skip
    about = {"entry": entry.name, "configuration": entry.sha256, "data_folders": list(entry.data), "device": device}
    counts = {"steps": int(metrics["steps"]), "minutes": metrics["minutes"]}
    return about | described(card) | counts | {"scores": scores, "adversary": asdict(card.adversary)}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the training ends with it
    raise SystemExit(main())
