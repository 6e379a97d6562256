"""What a training survives: SIGKILL of the trainer and of who follows it, at random times and at the worst of times.

    python -m benchmarks.finetune_kill              # 20 kills; the tests do 5

A tiny training runs in its own process, as a click on Fine-tune starts one. It is killed at random times, while it
starts, while a checkpoint is written and while the final model is; after every kill the run folder must hold nothing
half-written under a final name, and a training that goes on must have lost no more than one validation interval. Killed
is also what stands in for napari: the training must go on alone and be found again. Whatever happened to it, its model
must be, bit for bit, that of a training which nobody disturbed. Exits 0 when all of this holds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import numpy as np

from napari_ganseg.errors import ComputeError, GansegError
from napari_ganseg.io import write
from napari_ganseg.models import Card, load_model
from napari_ganseg.models.card import CardClass, FieldOfView, Preprocessing
from napari_ganseg.models.file import SUFFIX, digest
from napari_ganseg.networks import Arch, weights_of
from napari_ganseg.training import TrainConfig
from napari_ganseg.training.checkpoint import read_state
from napari_ganseg.training.config import config_to_json
from napari_ganseg.training.execution import execute, set_up
from napari_ganseg.training.files import LAST, PREVIOUS, PROGRESS
from napari_ganseg.training.follow import follow, is_running, left_runs, start
from napari_ganseg.training.job import Job, is_finished, write_job
from napari_ganseg.training.progress import read_progress
from napari_ganseg.volume import LabelClass, LabelMap, Volume

STEPS, INTERVAL = 60, 6
LOOK_S, LONGEST_S = 0.0002, 120.0
RANDOM, START, CHECKPOINT, MODEL, FOLLOWER = "at random", "starting", "checkpoint", "model", "who follows"
KINDS = (RANDOM, CHECKPOINT, START, MODEL, FOLLOWER)  # in turns
FOLLOWING = "import sys; from pathlib import Path; from napari_ganseg.training.follow import follow, start; " \
    "p = Path(sys.argv[1]); start(p); print('on', flush=True); list(follow(p))"  # fmt: skip


@dataclass(slots=True)
class Tally:
    """What came of the kills.

    Attributes:
        lost: steps that had to be done again after each kill.
        within: kills that met a temporary file, by its kind.
        faults: what did not hold, in words.
    """

    kills: list[str] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    within: dict[str, int] = field(default_factory=dict)
    same: int = 0
    trainings: int = 0
    faults: list[str] = field(default_factory=list)

    def check(self, holds: bool, words: str) -> None:
        """Note a fault."""
        if not holds:
            self.faults.append(words)
            print(f"FAIL {words}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill so many times; 0 when nothing was lost."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.finetune_kill", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        tally = survived(Path(temporary), options.kills, options.seed)
    print(in_words(tally))
    return 1 if tally.faults else 0


def in_words(tally: Tally) -> str:
    """The figures."""
    kinds = ", ".join(f"{tally.kills.count(kind)} {kind}" for kind in KINDS)
    within = ", ".join(f"{count} within a {kind}" for kind, count in tally.within.items())
    return (
        f"{len(tally.kills)} kills ({kinds}; {within or 'none within a write'}); at most {max(tally.lost, default=0)} "
        f"steps lost (goal {INTERVAL}); {tally.same} of {tally.trainings} models the same as the undisturbed one's; "
        f"{len(tally.faults)} faults"
    )


def survived(place: Path, kills: int, seed: int = 0) -> Tally:
    """Train and kill, one training after the other, until there were enough kills.

    Args:
        place: an empty folder.
        kills: how many.
        seed: of the times.
    """
    chance, kinds, tally = random.Random(seed), cycle(KINDS), Tally()
    began_s = time.monotonic()
    wanted = sha256(execute(set_up(made(place, "whole"))).result.model)
    alone_s = time.monotonic() - began_s
    while len(tally.kills) < kills:
        folder = made(place, f"broken{tally.trainings}")
        while not is_finished(folder) and len(tally.kills) < kills:
            if not killed(folder, next(kinds), chance, alone_s, tally):
                break  # it was quicker; the next training meets the next kind
        finish(folder, wanted, tally)
    return tally


def finish(folder: Path, wanted: str, tally: Tally) -> None:
    """Let a training come to its end, and compare its model."""
    if not is_finished(folder):
        start(folder)
    try:
        model = follow(folder).result.model
    except GansegError as error:
        tally.check(False, f"{folder.name} does not go on: {error}")
        return
    finally:
        tally.trainings += 1
    tally.check(sha256(model) == wanted, f"{folder.name} has another model")
    tally.same += sha256(model) == wanted


# --- kills ------------------------------------------------------------------------------------------------------------


def killed(folder: Path, kind: str, chance: random.Random, alone_s: float, tally: Tally) -> bool:
    """One kill, and what must hold after it; False where the training ended before."""
    had = resumed_at(folder)
    if kind == FOLLOWER:
        is_hit = kill_follower(folder, chance, tally)
    else:
        start(folder)
        is_hit = wait_for(folder, kind, chance, alone_s) and kill_trainer(folder)
        note_writes(folder, tally)
    if is_hit:
        tally.kills.append(kind)
        for fault in broken(folder):
            tally.check(False, f"{kind}: {fault}")
        note_loss(folder, kind, had, tally)
        said = f"at step {said_step(folder)}, goes on at {resumed_at(folder)}"
        print(f"kill {len(tally.kills)}: {kind}, {said}", flush=True)
    return is_hit


def note_writes(folder: Path, tally: Tally) -> None:
    """Count what was being written when the trainer died, and put it out of the next one's way."""
    for name, found in temporaries(folder).items():
        for path in found():
            tally.within[name] = tally.within.get(name, 0) + 1
            path.unlink()


def note_loss(folder: Path, kind: str, had: int, tally: Tally) -> None:
    """How many steps are to be done again; a checkpoint that was there before the kill is never lost."""
    at = resumed_at(folder)
    tally.lost.append(max(0, said_step(folder) - at))
    tally.check(tally.lost[-1] <= INTERVAL, f"{kind}: {tally.lost[-1]} steps were lost")
    tally.check(at >= had, f"{kind}: it went on at {had} and now at {at}")


def kill_follower(folder: Path, chance: random.Random, tally: Tally) -> bool:
    """Kill a process that started and follows the training; the training goes on alone and is found."""
    stand_in = subprocess.Popen([sys.executable, "-c", FOLLOWING, str(folder)], stdout=subprocess.PIPE)
    assert stand_in.stdout is not None
    with stand_in.stdout:
        stand_in.stdout.readline()
    pause(chance.uniform(0, 3))
    if is_finished(folder):
        stand_in.wait()
        return False
    os.kill(stand_in.pid, signal.SIGKILL)
    stand_in.wait()
    found = [left.state for left in left_runs(folder.parent) if left.folder == folder]
    tally.check(found == ["running"] or is_finished(folder), f"{FOLLOWER}: the training was found as {found}")
    try:
        list(follow(folder))  # as the next napari does
    except ComputeError as error:
        tally.check(False, f"{FOLLOWER}: {error}")
    return True


def wait_for(folder: Path, kind: str, chance: random.Random, alone_s: float) -> bool:
    """Until it is time to kill; False where the training ended before."""
    if kind in (START, RANDOM):
        if kind == RANDOM:
            began = read_progress(folder)[1]
            until(folder, lambda: read_progress(folder, began)[1] > began)
        pause(chance.uniform(0, 3 if kind == START else alone_s))
        return is_running(folder)
    if kind == CHECKPOINT:
        for _ in range(chance.randrange(3)):  # not always the first
            until(folder, lambda: any(temporaries(folder)[CHECKPOINT]()))
            until(folder, lambda: not any(temporaries(folder)[CHECKPOINT]()))
    return until(folder, lambda: any(temporaries(folder)[kind]()))


def until(folder: Path, happened: Callable[[], bool]) -> bool:
    """Look very often whether something happened; False where the training ended before."""
    end_s, look_s = time.monotonic() + LONGEST_S, time.monotonic() + 0.2
    while not happened():
        if time.monotonic() > look_s:
            if not is_running(folder) or time.monotonic() > end_s:
                return False
            look_s = time.monotonic() + 0.2
        time.sleep(LOOK_S)
    return True


def pause(seconds: float) -> None:
    """Wait, for a random time."""
    time.sleep(seconds)


def temporaries(folder: Path) -> dict[str, Callable[[], Iterator[Path]]]:
    """Files that are being written, or were when a process died."""
    return {
        CHECKPOINT: lambda: folder.glob(f".{LAST}.tmp-*"),
        MODEL: lambda: folder.parent.glob(f".{folder.name}{SUFFIX}.tmp-*"),
    }


def kill_trainer(folder: Path) -> bool:
    """SIGKILL; False where it had ended."""
    try:
        pid = int(json.loads((folder / "child.json").read_bytes())["pid"])
        if not is_running(folder):
            return False
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    while is_running(folder):
        time.sleep(LOOK_S)
    return True


# --- what a folder holds ----------------------------------------------------------------------------------------------


def broken(folder: Path) -> list[str]:
    """Files under a final name that cannot be read whole."""
    faults = []
    for path in (p for p in folder.iterdir() if not p.name.startswith(".") and ".tmp-" not in p.name):
        with suppress(FileNotFoundError):
            try:
                if path.suffix == ".json":
                    json.loads(path.read_bytes())
                elif path.name in (LAST, PREVIOUS):
                    read_state(path)
            except (ValueError, LookupError, GansegError) as error:
                faults.append(f"{path.name} is broken: {error}")
    model = folder.parent / f"{folder.name}{SUFFIX}"
    if model.exists():
        try:
            load_model(model)
        except GansegError as error:
            faults.append(f"the model is broken: {error}")
    return faults


def resumed_at(folder: Path) -> int:
    """The step of the newest whole checkpoint; 0 without one."""
    for name in (LAST, PREVIOUS):
        with suppress(OSError, ValueError, LookupError, GansegError):
            return int(read_state(folder / name)[1]["step"])
    return 0


def said_step(folder: Path) -> int:
    """The last step that the trainer spoke of; 0 before the first."""
    if not (folder / PROGRESS).exists():
        return 0
    steps = [p.done for p in read_progress(folder)[0] if p.doing in ("training", "validating", "validated")]
    return steps[-1] if steps else 0


def sha256(path: str | Path) -> str:
    """Of a model's weights."""
    return digest(b"", weights_of(load_model(Path(path)).network.requires_grad_(False)))


# --- a tiny training --------------------------------------------------------------------------------------------------


def made(place: Path, name: str) -> Path:
    """A run folder as a click makes one: three scans in which a bright box is to be found."""
    data = place / "data"
    for seed in range(3):
        if (data / "labels" / f"{seed}.nii.gz").exists():
            continue
        image, labels = boxed(seed)
        for where, content in (("images", image), ("labels", labels)):
            (data / where).mkdir(parents=True, exist_ok=True)
            write(data / where / f"{seed}.nii.gz", content)
    (place / f"{name}.json").write_bytes(config_to_json(config()))
    job = Job((str(data),), str(place / f"{name}{SUFFIX}"), config=str(place / f"{name}.json"), device="cpu", threads=1)
    write_job(place / name, job)
    return place / name


def boxed(seed: int) -> tuple[Volume, LabelMap]:
    """Noise with a bright box, and the box."""
    rng = np.random.default_rng(seed)
    image, labels = rng.normal(0, 10, (16, 18, 20)).astype(np.float32), np.zeros((16, 18, 20), np.uint8)
    corner = rng.integers(2, 6, 3)
    labels[tuple(slice(c, c + 8) for c in corner)] = 1
    return Volume(array=image + 100 * labels), LabelMap(array=labels, classes=(LabelClass(1, "Box", "#e6550d"),))


def config() -> TrainConfig:
    """A configuration whose every step takes milliseconds."""
    card = Card(
        name="whole", summary="for the benchmark", modality="any", arch=Arch("DynUNet", (4, 8, 8), ((2,) * 3,) * 2),
        dims=3, classes=(CardClass(1, "Box", "#e6550d"),), channels=("image",),
        preprocessing=Preprocessing("z_score", {}), spacing=(1.0,) * 3, patch=(16,) * 3,
        field_of_view=FieldOfView("anything", (1.0,) * 3, (1000.0,) * 3), licence="BSD-3-Clause",
    )  # fmt: skip
    return TrainConfig(card=card, steps=STEPS, validate_every=INTERVAL, seed=11)


if __name__ == "__main__":
    raise SystemExit(main())
