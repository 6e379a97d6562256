"""A training in another process is steered by a word in its run folder: pause, go, stop, cancel."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import psutil

from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.run import Progress, Run
from napari_ganseg.training.files import CONTROL
from napari_ganseg.training.progress import note_progress

Word = Literal["go", "pause", "stop", "cancel"]
PAUSE_S = 0.1  # between two looks
HEARD: dict[Word, str] = {"pause": "paused", "stop": "stopping", "cancel": "cancelling"}  # what it then says


def steer(folder: Path, word: Word) -> None:
    """Tell the training in a run folder what to do."""
    write_bytes(folder / CONTROL, word.encode())


def word_in(folder: Path, since_s: float = 0.0) -> Word:
    """The newest word; "go" where there is none, or none since a time."""
    try:
        path = folder / CONTROL
        text, made_s = path.read_text("utf-8"), path.stat().st_mtime
    except (OSError, UnicodeError):
        return "go"
    return next((word for word in get_args(Word) if word == text and made_s >= since_s), "go")


@contextmanager
def steered(run: Run[Any], folder: Path) -> Iterator[None]:
    """Let a Run obey the words in its folder, as long as it is inside; what was said to an earlier process is old."""
    ended = threading.Event()
    born_s = psutil.Process().create_time()
    thread = threading.Thread(target=obey, args=(run, folder, born_s, ended), name="control", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def obey(run: Run[Any], folder: Path, born_s: float, ended: threading.Event) -> None:
    """Look for a new word and do it; say so in the progress, since a step or a validation may take long."""
    heard: Word = "go"
    while not ended.wait(PAUSE_S):
        word = word_in(folder, born_s)
        if word == heard:
            continue
        heard = word
        {"go": run.resume, "pause": run.pause, "stop": run.stop, "cancel": run.cancel}[word]()
        if word != "go":
            note_progress(folder, Progress(0, 0, HEARD[word]))
