"""A training in its own process: started from a run folder, followed and steered through it, found again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Literal

import psutil

from napari_ganseg.errors import Cancelled, ComputeError, GansegError
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.io.holder import holder_of, is_stale
from napari_ganseg.models.file import name_of
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.training.control import FOLLOWED, Word, steer, word_in
from napari_ganseg.training.files import CASES, CHILD, FAULT, FINISHED, JOB, LOCK, LOG, PROGRESS
from napari_ganseg.training.job import is_finished, read_job, user_runs
from napari_ganseg.training.outcome import Outcome, read_outcome
from napari_ganseg.training.progress import read_progress

PAUSE_S = 0.1  # between two looks
GRACE_S = 60.0  # in which a new process may say its first word


def start(folder: Path) -> None:
    """Begin or go on with a training in its own process, which outlives this one.

    Nothing happens where one is at work already.
    """
    if is_running(folder):
        return
    (folder / FAULT).unlink(missing_ok=True)
    steer(folder, "go")
    command = [sys.executable, "-m", "napari_ganseg", "train", "--run", str(folder)]
    with open(folder / LOG, "ab") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=folder,
            env={**os.environ, FOLLOWED: "1"},
        )
    write_bytes(folder / CHILD, json.dumps({"pid": child.pid, "born": born_s(child.pid)}).encode())
    child.returncode = 0  # it may outlive us, which Python would complain about; `is_running` waits for its end


def born_s(pid: int) -> float:
    """When a process began; 0 where it is gone."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def is_running(folder: Path) -> bool:
    """Whether a process of this machine trains in a run folder, or is about to."""
    holder = holder_of(folder / LOCK)
    if holder is not None and not is_stale(holder):
        return True
    try:
        content = json.loads((folder / CHILD).read_bytes())
        pid, born = int(content["pid"]), float(content["born"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - born) >= 1:
            return False
        with suppress(psutil.TimeoutExpired):
            process.wait(0)  # a child of ours that ended stays as a zombie until then
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def follow(folder: Path) -> Run[Outcome]:
    """Follow the training in a run folder, which somebody started: its progress, and in the end what it came to.

    The Run's own controls reach the training: pause, resume, stop, cancel. Dropping the Run leaves it running.

    Raises:
        ComputeError: the training failed or was killed; the message says why, and that it can go on.
    """
    return Run(lambda controls: tail(folder, controls))


def tail(folder: Path, controls: Controls) -> Generator[Progress, None, Outcome]:
    """Hand on what the training says until its process is gone."""
    place, said, goes_on = 0, word_in(folder), True
    while goes_on:
        goes_on = is_running(folder)  # before the last look at the progress, so that no line is missed
        news, place = read_progress(folder, place)
        yield from news or [Progress(0, 0, "")]
        if (word := wanted(controls)) != said:
            steer(folder, word)
            said = word
        if goes_on:
            time.sleep(PAUSE_S)
    if said == "cancel":
        forget(folder)
        raise Cancelled("Cancelled; nothing was kept.")
    if not is_finished(folder):
        raise ComputeError(reason(folder))
    return read_outcome(folder)


def read_table(folder: Path) -> list[tuple[str, str, str]]:
    """Name, fault and remark of every pair of a run folder; empty before they were read."""
    try:
        rows = json.loads((folder / CASES).read_bytes())
        return [(str(row["name"]), str(row["fault"]), str(row["remark"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def wanted(controls: Controls) -> Word:
    """What whoever holds the Run wants now."""
    if controls.is_cancelling:
        return "cancel"
    if controls.is_stopping:
        return "stop"
    return "pause" if controls.is_paused else "go"


def reason(folder: Path) -> str:
    """Why a training ended early, in words."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads((folder / FAULT).read_bytes())["message"])
    return f"The training's process ended unexpectedly. It can go on where it was; {folder / LOG} says more."


def note_fault(folder: Path, message: str) -> None:
    """Say in the run folder why its training ended."""
    with suppress(OSError):
        write_bytes(folder / FAULT, json.dumps({"message": message}).encode())


def forget(folder: Path) -> None:
    """Remove a run folder that nobody chose and nobody trains in."""
    if folder.parent == user_runs() and not is_running(folder):
        rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Left:
    """A training that an earlier session left unfinished.

    Attributes:
        state: whether its process still runs, or was interrupted.
        step, total: how far it came.
    """

    folder: Path
    name: str
    state: Literal["running", "interrupted"]
    step: int
    total: int


def left_runs(place: Path | None = None) -> list[Left]:
    """Unfinished trainings, the newest first; of cancelled ones what is left is removed."""
    found = []
    for folder in sorted((p.parent for p in (place or user_runs()).glob(f"*/{JOB}")), key=age_s):
        is_alive = is_running(folder)
        if (folder / FINISHED).exists():  # also where its model was thrown away since
            continue
        if word_in(folder) == "cancel" and not is_alive:
            forget(folder)
            continue
        steps = [p for p in read_progress(folder)[0] if p.total]
        step, total = (steps[-1].done, steps[-1].total) if steps else (0, 0)
        with suppress(GansegError):  # a folder that nobody can understand is nobody's training
            name = name_of(read_job(folder).out)
            found.append(Left(folder, name, "running" if is_alive else "interrupted", step, total))
    return found


def age_s(folder: Path) -> float:
    """Seconds since a run folder said its last word."""
    paths = [p for p in (folder / PROGRESS, folder / JOB) if p.exists()]
    return time.time() - max((p.stat().st_mtime for p in paths), default=0.0)
