"""Run long work behind one viewer: one job a lane at a time, progress in the activity dock, no fault ever lost."""

from __future__ import annotations

import atexit
import logging
import time
from collections.abc import Callable, Generator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from napari.qt.threading import create_worker
from napari.utils import progress as ProgressBar
from psygnal import Signal
from qtpy.QtCore import Qt, QThreadPool

from napari_ganseg.errors import Cancelled, GansegError, UsageError
from napari_ganseg.plugin.beside_mesa import load_triton_apart
from napari_ganseg.plugin.courtesy import courteous, give_way, load_torch_aside, settled
from napari_ganseg.run import Progress, Run

T = TypeVar("T")
log = logging.getLogger(__name__)
LEAST_PAUSE_S = 0.05  # between two words of progress
LONGEST_STEP_MS = 60_000  # a tile on a slow machine; the interpreter's end waits no longer for one


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """The work ended well."""

    result: T


@dataclass(frozen=True, slots=True)
class Failed:
    """The work ended with a fault, in words."""

    message: str


class Stopped:
    """The user cancelled."""


class Announcer:
    """Tells every form what begins behind any viewer, and that there are other models."""

    began = Signal(object, object)  # the viewer, its job
    models_changed = Signal(str)  # the name of a model to use from now on; empty for none


announcer = Announcer()
HERE, CHILD = "here", "child"  # lanes: what computes in this process, and what follows a process of its own
_jobs: WeakKeyDictionary[Any, dict[str, Job[Any]]] = WeakKeyDictionary()


def job_of(viewer: Any, lane: str = HERE) -> Job[Any] | None:
    """The job that runs behind a viewer in a lane."""
    return _jobs.get(viewer, {}).get(lane)


class Job(Generic[T]):
    """A Run in the background of one viewer.

    Args:
        viewer: whose job it is; it has one a lane at a time.
        make: starts the work; called in the background, so that it may import torch.
        finish: turns its result into what `on_done` wants, in the background too.
        title: what the activity dock calls it.
        owner: the kind of form that may cancel it, where there is one.
        lane: jobs of two lanes do not wait for each other.
        on_done: gets the result, in the viewer's thread.
        on_failed: gets the message.

    Raises:
        UsageError: the viewer has a job already.
    """

    progressed = Signal(object)  # each Progress, in the viewer's thread
    ended = Signal()  # last of all, however it ended

    def __init__(
        self, viewer: Any, make: Callable[[], Run[Any]], title: str, *, finish: Callable[[Any], T],
        on_done: Callable[[T], None], on_failed: Callable[[str], None], owner: str = "",
        lane: str = HERE,
    ) -> None:  # fmt: skip
        self.title: str = title
        self.owner: str = owner
        self.lane: str = lane
        self._viewer = viewer
        if running := job_of(viewer, lane):
            raise UsageError(f"This viewer is busy ({running.title}). Wait for it, or cancel it.")
        self._work = Work(make, finish, title, is_ours=lane == HERE)
        self._on_done, self._on_failed = on_done, on_failed
        self._bar, self._is_drawing = ProgressBar(total=0, desc=title), False
        self._worker = create_worker(self._work.steps, _start_thread=False)
        self._worker.yielded.connect(self._on_yielded)
        self._worker.aborted.connect(self._work.abandon, Qt.ConnectionType.DirectConnection)  # in the worker's thread
        self._worker.aborted.connect(self._on_aborted)
        _jobs.setdefault(viewer, {})[lane] = self
        self._worker.start()
        announcer.began.emit(viewer, self)

    def cancel(self) -> None:
        """End between two tiles and keep nothing."""
        self._work.cancel()

    @property
    def run(self) -> Run[Any] | None:
        """What runs, to be paused or stopped; None before it began and after it ended."""
        return self._work.run

    def _on_yielded(self, news: Progress | Done[T] | Failed | Stopped) -> None:
        if isinstance(news, Progress):
            if news.doing:
                self._show(news)
            return
        try:
            self._tell(news)
        finally:
            self._end()

    def _tell(self, news: Done[T] | Failed | Stopped) -> None:
        """Hand on the outcome; a fault in showing it is told like any other."""
        if isinstance(news, Failed):
            self._on_failed(news.message)
        elif isinstance(news, Done):
            try:
                self._on_done(news.result)
            except Exception as error:
                self._on_failed(words(error))

    def _on_aborted(self) -> None:
        """napari stops its workers when a viewer closes: nobody is left to show a result to."""
        self._end()

    def _show(self, news: Progress) -> None:
        """Tell who listens, then move the bar: that lets Qt deliver what comes next, which only tells."""
        self.progressed.emit(news)
        if self._is_drawing:
            return
        self._is_drawing = True
        try:
            self._bar.total = news.total
            self._bar.set_description(f"{self.title}: {news.doing}")
            self._bar.update(news.done - self._bar.n)
        finally:
            self._is_drawing = False

    def _end(self) -> None:
        if _jobs.get(self._viewer, {}).pop(self.lane, None) is None:
            return
        self._bar.close()
        self.ended.emit()


class Work(Generic[T]):
    """What the thread does: make the Run and iterate it.

    It yields its outcome and never raises, since napari swallows the RuntimeErrors of generators. It lets go of
    everything at its end, since napari keeps its workers for as long as the window lives.

    Args:
        is_ours: whether the work is done here and ends with the viewer; what only follows another process lets it go.
    """

    def __init__(self, make: Callable[[], Run[Any]], finish: Callable[[Any], T], title: str, *, is_ours: bool) -> None:
        self._make: Callable[[], Run[Any]] | None = make
        self._finish, self._title, self._is_ours = finish, title, is_ours
        self.run: Run[Any] | None = None
        self._is_cancelled = self._is_abandoned = False
        _unfinished.add(self)

    def __repr__(self) -> str:  # napari names its workers by it where it asks before closing
        return self._title

    def cancel(self) -> None:
        """Cancel the Run, or never start it."""
        self._is_cancelled = True
        if self.run is not None:
            self.run.cancel()

    def abandon(self) -> None:
        """Bring a Run that nobody iterates any more to its end, so that its threads, locks and memory go."""
        self._is_abandoned = True
        run, self._make, self.run = self.run, None, None
        if self._is_ours and run is not None:
            run.cancel()
            with suppress(Exception):
                for _ in run:
                    pass
        _unfinished.discard(self)

    def let_go(self) -> None:
        """The program ends: cancel what is done here, leave alone what is done elsewhere."""
        if self._is_ours:
            self.cancel()
        self._is_abandoned = True

    def steps(self) -> Generator[Progress | Done[T] | Failed | Stopped, None, None]:
        """Progress, then exactly one outcome."""
        yield Progress(0, 0, "starting")
        try:
            with courteous() if self._is_ours else nullcontext():
                outcome: Done[T] | Failed | Stopped = Done((yield from self._result()))
        except Cancelled:
            outcome = Stopped()
        except Exception as error:
            outcome = Failed(words(error))
        self._make = self.run = None
        try:
            yield outcome
        finally:
            _unfinished.discard(self)

    def _result(self) -> Generator[Progress, None, T]:
        if self._is_ours:
            load_triton_apart()
            load_torch_aside()
        if self._is_cancelled or self._make is None:
            raise Cancelled("Cancelled before it began.")
        self.run = run = self._make()
        if self._is_cancelled:
            run.cancel()
        has_settled = not self._is_ours
        for progress in unhurried(run):
            if self._is_abandoned:
                raise Cancelled("Nobody follows it any more.")
            if progress.done and not has_settled:
                settled()
                give_way()
                has_settled = True
            yield progress
        return self._finish(run.result)


def unhurried(run: Run[Any]) -> Generator[Progress, None, None]:
    """Progress no more often than people can read it, and every case: a flood would hold up the viewer."""
    shown_s = 0.0
    for progress in run:
        now_s = time.monotonic()
        if progress.case is not None or now_s - shown_s >= LEAST_PAUSE_S:
            shown_s = now_s
            yield progress


_unfinished: WeakSet[Work[Any]] = WeakSet()


def words(error: Exception) -> str:
    """A fault in words; one of ours has them already."""
    if isinstance(error, GansegError):
        return str(error)
    log.error("unexpected fault in the background", exc_info=error)
    return f"Unexpected {type(error).__name__}: {error}. Please report this; you can go on working."


@atexit.register
def wait_for_threads() -> None:
    """When Python ends, cancel what runs and wait for the step it is in: Qt may not go while a thread talks to it."""
    unfinished = list(_unfinished)
    for work in unfinished:
        work.let_go()
    pool = QThreadPool.globalInstance()
    if unfinished and pool is not None:
        pool.waitForDone(LONGEST_STEP_MS)
