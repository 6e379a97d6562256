"""The progress of a training as lines in its run folder: whoever trains adds them, whoever follows reads them."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from napari_ganseg.run import Progress
from napari_ganseg.training.files import PROGRESS

T = TypeVar("T")
STEPPING = "training"  # what a step's progress calls itself
LEAST_PAUSE_S = 0.2  # between two lines of steps


def noted(work: Generator[Progress, None, T], folder: Path | None) -> Generator[Progress, None, T]:
    """The same work, its progress added to the folder: every word, and figures no more often than people can read."""
    told_s = 0.0
    while True:
        try:
            progress = next(work)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        now_s = time.monotonic()
        is_step = progress.doing == STEPPING
        if folder is not None and (not is_step or now_s - told_s >= LEAST_PAUSE_S):
            told_s = now_s if is_step else told_s  # where validations are many, steps are still heard of
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
