"""Run long work behind one viewer: one job at a time, its progress in napari's activity dock, no fault ever lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from napari.qt.threading import create_worker
from napari.utils import progress as ProgressBar

from napari_ganseg.errors import Cancelled, GansegError, UsageError
from napari_ganseg.plugin.beside_mesa import load_triton_apart
from napari_ganseg.run import Progress, Run

T = TypeVar("T")
log = logging.getLogger(__name__)


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


_jobs: WeakKeyDictionary[Any, Job[Any]] = WeakKeyDictionary()


class Job(Generic[T]):
    """A Run in the background of one viewer.

    Args:
        viewer: whose job it is; it has one at a time.
        make: starts the work; called in the background, so that it may import torch.
        title: what the activity dock calls it.
        on_done: gets the result, in the viewer's thread.
        on_failed: gets the message.
        on_end: called last, however it ended.

    Raises:
        UsageError: the viewer has a job already.
    """

    def __init__(
        self, viewer: Any, make: Callable[[], Run[T]], title: str, *, on_done: Callable[[T], None], on_failed: Callable[[str], None],
        on_end: Callable[[], None],
    ) -> None:  # fmt: skip
        if viewer in _jobs:
            raise UsageError(f"This viewer is busy ({_jobs[viewer].title}). Wait for it, or cancel it.")
        self.title, self._viewer = title, viewer
        self._work = Work(make)
        self._on_done, self._on_failed, self._on_end = on_done, on_failed, on_end
        self._bar = ProgressBar(total=0, desc=title)
        _jobs[viewer] = self
        self._worker = create_worker(self._work.steps, _start_thread=False)
        self._worker.yielded.connect(self._on_yielded)
        self._worker.aborted.connect(self._on_aborted)
        self._worker.start()

    def cancel(self) -> None:
        """End between two tiles and keep nothing."""
        self._work.cancel()

    def _on_yielded(self, news: Progress | Done[T] | Failed | Stopped) -> None:
        if isinstance(news, Progress):
            self._show(news)
            return
        try:
            if isinstance(news, Done):
                self._on_done(news.result)
            elif isinstance(news, Failed):
                self._on_failed(news.message)
        finally:
            self._end()

    def _on_aborted(self) -> None:
        """napari stops its workers when a viewer closes: nobody is left to show a result to."""
        self._work.cancel()
        self._end()

    def _show(self, news: Progress) -> None:
        self._bar.total = news.total
        self._bar.set_description(f"{self.title}: {news.doing}")
        self._bar.update(news.done - self._bar.n)

    def _end(self) -> None:
        if _jobs.pop(self._viewer, None) is None:
            return
        self._bar.close()
        self._on_end()


class Work(Generic[T]):
    """What the thread does: make the Run and iterate it.

    It yields its outcome and never raises, since napari swallows the RuntimeErrors of generators.
    """

    def __init__(self, make: Callable[[], Run[T]]) -> None:
        self._make = make
        self._run: Run[T] | None = None
        self._is_cancelled = False

    def cancel(self) -> None:
        """Cancel the Run, or never start it."""
        self._is_cancelled = True
        if self._run is not None:
            self._run.cancel()

    def steps(self) -> Generator[Progress | Done[T] | Failed | Stopped, None, None]:
        """Progress, then exactly one outcome."""
        yield Progress(0, 0, "starting")
        try:
            load_triton_apart()
            self._run = run = self._make()
            if self._is_cancelled:
                run.cancel()
            yield from run
            outcome: Done[T] | Failed | Stopped = Done(run.result)
        except Cancelled:
            outcome = Stopped()
        except GansegError as error:
            outcome = Failed(str(error))
        except Exception as error:
            log.exception("unexpected fault in the background")
            outcome = Failed(f"Unexpected {type(error).__name__}: {error}. Please report this; you can go on working.")
        yield outcome
