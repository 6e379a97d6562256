"""Overlap reading, computing and writing: one case is read ahead and one written while another is computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from napari_ganseg.batch.job import Job
from napari_ganseg.batch.load import Item
from napari_ganseg.batch.result import CaseResult
from napari_ganseg.batch.work import Loaded, Made, Waiting, Working
from napari_ganseg.errors import Cancelled
from napari_ganseg.run import Controls, Progress

POLL_S = 0.1  # how soon a cancel is heard while nothing happens
News = Working | Waiting | CaseResult
Compute = Callable[[Loaded], Generator[Progress, None, Made | CaseResult]]
Writes = deque[Future[CaseResult]]


def overlapped(
    items: Iterator[Item], compute: Compute, write: Callable[[Made], CaseResult], job: Job, controls: Controls
) -> Generator[News, None, None]:
    """Take items as they are loaded, compute here, hand over to the writer; say each case's result when there is one.

    At most two scans and two label maps are in memory: one of each ahead of or behind the one that is computed. Faults
    come back with the futures that hold them. When this generator ends, for whatever reason, both threads have ended
    and every lock is released; a stop ends it after the case that is computed, a cancel within it.
    """
    writes: Writes = deque()
    try:
        with ThreadPoolExecutor(1, "ganseg-load") as loader, ThreadPoolExecutor(1, "ganseg-write") as writer:
            try:
                ahead = loader.submit(next, items, None)
                while (item := (yield from arrived(ahead, writes, controls))) is not None:
                    ahead = loader.submit(next, items, None)
                    made = (yield from watched(item, compute, writes)) if isinstance(item, Loaded) else item
                    if isinstance(made, Made):
                        yield from finished(writes, at_most=0)
                        writes.append(writer.submit(write, made))
                    else:
                        yield made
            except Cancelled:
                pass
            finally:
                job.closing.set()
            yield from finished(writes, at_most=0)
    finally:
        job.locks.release_all()


def arrived(ahead: Future[Item | None], writes: Writes, controls: Controls) -> Generator[News, None, Item | None]:
    """Wait for the next item, telling what is written meanwhile; None at the end and when the user stops."""
    while True:
        controls.check()
        if controls.is_stopping:
            return None
        yield from finished(writes, at_most=1)
        if ahead.done():
            return ahead.result()
        pending: list[Future[Any]] = [ahead, *writes]
        wait(pending, timeout=POLL_S, return_when=FIRST_COMPLETED)


def watched(loaded: Loaded, compute: Compute, writes: Writes) -> Generator[News, None, Made | CaseResult]:
    """A computation's progress, with results of the writer as they come."""
    steps = compute(loaded)
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            made: Made | CaseResult = end.value
            return made
        yield Working(loaded.case, progress)
        yield from finished(writes, at_most=1)


def finished(writes: Writes, *, at_most: int) -> Generator[CaseResult, None, None]:
    """Results of cases that are written, waiting until at most so many are left."""
    while writes and (len(writes) > at_most or writes[0].done()):
        yield writes.popleft().result()
