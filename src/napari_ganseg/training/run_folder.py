"""The run folder: a training's configuration, cases by hash, progress; it goes on only as the same training."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from napari_ganseg.errors import FileError, UsageError
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.io.names import shown
from napari_ganseg.run import Progress
from napari_ganseg.training.cases import Case, case_sha256
from napari_ganseg.training.checkpoint import has_state, sweep
from napari_ganseg.training.config import TrainConfig, config_to_json

T = TypeVar("T")
STEPPING = "training"  # what a step's progress calls itself
LEAST_PAUSE_S = 0.2  # between two lines of steps
CONFIG, INPUTS, PROGRESS = "config.json", "inputs.json", "progress.jsonl"


def open_folder(folder: Path, config: TrainConfig, training: Sequence[Case], validation: Sequence[Case]) -> None:
    """Set a folder up for a training, or make sure that the one it holds is the same.

    Raises:
        UsageError: it holds checkpoints of another configuration or of other cases; the message names a difference.
        FileError: it cannot be made or written.
    """
    inputs = {"training": hashes(training), "validation": hashes(validation)}
    wanted = {CONFIG: json.loads(config_to_json(config)), INPUTS: inputs}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"Cannot make the folder {shown(folder)}: {error.strerror}.") from error
    sweep(folder)
    if has_state(folder):
        for name, content in wanted.items():
            check_same(folder, name, content)
    for name, content in wanted.items():
        write_bytes(folder / name, (json.dumps(content, indent=1) + "\n").encode())


def hashes(cases: Sequence[Case]) -> dict[str, str]:
    """SHA-256 of each case by its name."""
    return {case.name: case_sha256(case) for case in cases}


def check_same(folder: Path, name: str, content: Mapping[str, Any]) -> None:
    """Compare one file of the folder with what it should hold now."""
    try:
        stored = json.loads((folder / name).read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{shown(folder)} holds a training whose {name} cannot be read. Choose another folder to start anew."
        ) from error
    there, now = dict(leaves(stored)), dict(leaves(content))
    for key in sorted(there.keys() | now.keys()):
        if there.get(key) != now.get(key):
            raise UsageError(
                f"{shown(folder)} holds another training: {key} is {short(there.get(key))} there and "
                f"{short(now.get(key))} now. Give it the same, or choose another folder to start anew."
            )


def leaves(content: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a JSON document with its dotted path; lists count as values."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, content


def short(value: Any) -> str:
    """A value in a message."""
    text = "not there" if value is None else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def noted(work: Generator[Progress, None, T], folder: Path | None) -> Generator[Progress, None, T]:
    """The same work, its progress added to the folder: every word, and figures no more often than people can read."""
    told_s = 0.0
    while True:
        try:
            progress = next(work)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        now_s = time.monotonic()
        if folder is not None and (progress.doing != STEPPING or now_s - told_s >= LEAST_PAUSE_S):
            told_s = now_s
            note_progress(folder, progress)
        yield progress


def note_progress(folder: Path, progress: Progress) -> None:
    """Add a line of progress."""
    line = {"step": progress.done, "total": progress.total, "doing": progress.doing, "figures": dict(progress.figures),
            "time": round(time.time(), 2)}  # fmt: skip
    with suppress(FileNotFoundError), open(folder / PROGRESS, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read_progress(folder: Path, start: int = 0) -> tuple[list[Progress], int]:
    """The lines of progress from a place in the file on, and the place of the next; a half-written line waits.

    Where a resumed training went back to its last checkpoint, the lines it goes over again come twice.
    """
    try:
        with open(folder / PROGRESS, "rb") as file:
            file.seek(start)
            text = file.read()
    except FileNotFoundError:
        return [], start
    whole = text[: text.rfind(b"\n") + 1]
    return [p for line in whole.splitlines() if (p := progress_in(line))], start + len(whole)


def progress_in(line: bytes) -> Progress | None:
    """One line understood; None for one that a killed process left broken."""
    try:
        content = json.loads(line)
        return Progress(content["step"], content["total"], content["doing"], content["figures"])
    except (ValueError, KeyError, TypeError):
        return None
