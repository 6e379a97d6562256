"""A training in another process is steered by a word in its run folder: pause, go, stop, cancel."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.run import Progress, Run
from napari_ganseg.training.files import CONTROL
from napari_ganseg.training.progress import note_progress

Word = Literal["go", "pause", "stop", "cancel"]
FOLLOWED = "GANSEG_FOLLOWED"  # in the environment of a training that somebody follows and steers
PAUSE_S = 0.1  # between two looks
HEARD: dict[Word, str] = {"pause": "paused", "stop": "stopping", "cancel": "cancelling"}  # what it then says


def steer(folder: Path, word: Word) -> None:
    """Tell the training in a run folder what to do."""
    write_bytes(folder / CONTROL, word.encode())


def word_in(folder: Path) -> Word:
    """The newest word; "go" where there is none."""
    try:
        text = (folder / CONTROL).read_text("utf-8")
    except (OSError, UnicodeError):
        return "go"
    return next((word for word in get_args(Word) if word == text), "go")


@contextmanager
def steered(run: Run[Any], folder: Path) -> Iterator[None]:
    """Let a Run obey the words in its folder, as long as it is inside.

    What was said to an earlier process is old: whoever starts one to steer it (FOLLOWED in its environment) has wiped
    that out before, anybody else has it wiped out here. Times do not tell: a process's start and a file's drift apart.
    """
    if FOLLOWED not in os.environ:
        steer(folder, "go")
    ended = threading.Event()
    thread = threading.Thread(target=obey, args=(run, folder, ended), name="control", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def obey(run: Run[Any], folder: Path, ended: threading.Event) -> None:
    """Look for a new word and do it; say so in the progress, since a step or a validation may take long."""
    heard: Word = "go"
    while not ended.wait(PAUSE_S):
        word = word_in(folder)
        if word == heard:
            continue
        heard = word
        {"go": run.resume, "pause": run.pause, "stop": run.stop, "cancel": run.cancel}[word]()
        if word != "go":
            note_progress(folder, Progress(0, 0, HEARD[word]))
