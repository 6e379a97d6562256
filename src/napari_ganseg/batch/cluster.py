"""Bring the cases of a batch to a Dask cluster: a window of tasks under way, results as they come, losses made good."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field, replace

from napari_ganseg.batch.case import ScanCase
from napari_ganseg.batch.connection import Client
from napari_ganseg.batch.job import Job
from napari_ganseg.batch.load import impatient
from napari_ganseg.batch.pipeline import News
from napari_ganseg.batch.result import CaseResult, failed
from napari_ganseg.batch.share import End, Share
from napari_ganseg.batch.tasks import AWAY, Ended, Tasks, Turn
from napari_ganseg.batch.work import Waiting, Working
from napari_ganseg.errors import Cancelled, ComputeError, GansegError, UsageError
from napari_ganseg.io.lock import break_stale
from napari_ganseg.run import Controls, Progress

LOSSES = 12  # tasks lost with their workers, after which a case has failed
AGAIN_S = 1.0  # when to come back to a case that is held, or was lost


def on_cluster(cases: Sequence[ScanCase], job: Job, client: Client, controls: Controls) -> Generator[News, None, None]:
    """Hand cases to the workers, in order; say each case's result when there is one.

    Only paths and results travel: a worker reads the scan, writes labels and record, and holds the case's lock, as a
    batch at home does. A stop lets the cases under way end, a cancel gives them up; both leave the rest. A worker's
    death costs the case it worked on another turn.

    Raises:
        UsageError, ModelError: a worker cannot see the folders, load a model, or import this package.
        ComputeError: the scheduler went away.
    """
    share = make_share(job, client)
    tasks = Tasks(client, share)
    queue = Queue(deque(map(Turn, cases)), job.options.patience_s)
    try:
        yield from through(queue, tasks, controls)
        yield from drained(tasks, "stop")
    except Cancelled:
        yield from drained(tasks, "cancel")
    finally:
        tasks.forget()
        job.locks.release_all()


def make_share(job: Job, client: Client) -> Share:
    """What the tasks are told; puts the sign into the output folder and sweeps those of the dead."""
    token = secrets.token_hex(8)
    for old in job.out.glob(".cluster-*.lock"):
        break_stale(old)
    sign = job.out / f".cluster-{token}.lock"
    job.locks.take(sign)
    models = tuple(replace(model, path=model.path.absolute()) for model in job.models)
    return Share(token, client.scheduler_info()["id"], sign, job.out, models, job.options)


@dataclass(slots=True)
class Queue:
    """The turns to come: those of the cases in order, then those of cases that were held or lost.

    Attributes:
        patience_s: how long to wait for held cases while none ends.
    """

    fresh: deque[Turn]
    patience_s: float
    later: deque[Turn] = field(default_factory=deque)
    ended_s: float = field(default_factory=time.monotonic)

    def __bool__(self) -> bool:
        return bool(self.fresh or self.later)

    def next(self) -> Turn | None:
        """The next turn that may begin now."""
        if self.fresh:
            return self.fresh.popleft()
        is_due = self.later and time.monotonic() >= self.later[0].not_before_s
        return self.later.popleft() if is_due else None

    def put_off(self, turn: Turn) -> None:
        """Come back to a case after the others."""
        self.later.append(replace(turn, not_before_s=time.monotonic() + AGAIN_S))

    @property
    def is_patient(self) -> bool:
        """Whether to go on waiting for held cases."""
        return bool(self.fresh) or time.monotonic() - self.ended_s < self.patience_s


def through(queue: Queue, tasks: Tasks, controls: Controls) -> Generator[News, None, None]:
    """Keep the window full until every case has ended, or the user stops."""
    while queue or tasks:
        controls.check()
        if controls.is_stopping:
            return
        room = tasks.room() if queue else 0
        while room > 0 and (turn := queue.next()):
            tasks.begin(turn)
            room -= 1
            if turn.is_first:
                yield Working(turn.case, Progress(0, 0, "handed to the cluster"))
        yield from judged(tasks.ended(), queue)


def judged(endings: Iterator[Ended], queue: Queue) -> Generator[News, None, None]:
    """Results of tasks that ended; those that were held or lost are put off."""
    for turn, outcome in endings:
        if isinstance(outcome, CaseResult):
            queue.ended_s = time.monotonic()
            yield outcome
        elif isinstance(outcome, Waiting):
            if not queue.is_patient:
                yield impatient(outcome)
                continue
            queue.put_off(replace(turn, holder=outcome.holder, is_first=False))
            if outcome.holder != turn.holder:
                yield outcome
        elif is_loss(outcome) and turn.losses < LOSSES:
            queue.put_off(replace(turn, losses=turn.losses + 1, is_first=False))
        else:
            yield fault(turn.case, outcome)


def is_loss(error: BaseException) -> bool:
    """Whether a task ended because workers died with it."""
    from distributed import KilledWorker

    return isinstance(error, KilledWorker)


def fault(case: ScanCase, error: BaseException) -> CaseResult:
    """The failure of one case; what concerns all of them is raised."""
    if is_loss(error):
        return failed(case, ComputeError("Its worker died again and again. Look into the workers' logs and run again."))
    if isinstance(error, CancelledError):
        raise ComputeError(AWAY) from error
    if isinstance(error, ImportError):
        raise UsageError(
            f"A worker cannot run this package ({error}). Install the same versions there as here."
        ) from error
    if isinstance(error, GansegError) or not isinstance(error, Exception):
        raise error
    return failed(case, error)


def drained(tasks: Tasks, end: End) -> Generator[News, None, None]:
    """Say that it ends; results of what is still under way, as long as there are workers."""
    if not tasks:
        return
    tasks.say(end)
    while tasks and tasks.workers():
        for _, outcome in tasks.ended():
            if isinstance(outcome, CaseResult):
                yield outcome
