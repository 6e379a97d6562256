"""The tasks under way on a Dask cluster, and the turns of cases that they are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from napari_ganseg.batch.case import ScanCase
from napari_ganseg.batch.connection import Client
from napari_ganseg.batch.result import CaseResult
from napari_ganseg.batch.share import End, Share
from napari_ganseg.batch.task import segment_case
from napari_ganseg.batch.work import Waiting
from napari_ganseg.errors import ComputeError
from napari_ganseg.io.holder import Holder

POLL_S = 0.05  # how soon a result, a stop or a cancel is heard
AWAY = "The Dask scheduler went away. What is done is kept; run again to go on."
WINDOW = 32  # tasks handed over at least, so that a cluster that grows with its queue begins to


@dataclass(frozen=True, slots=True)
class Turn:
    """A case that is to be tried.

    Attributes:
        holder: who held it the last time.
        losses: how often its task was lost.
        not_before_s: on the monotonic clock.
        is_first: of the case.
    """

    case: ScanCase
    holder: Holder | None = None
    losses: int = 0
    not_before_s: float = 0.0
    is_first: bool = True


Ended = tuple[Turn, CaseResult | Waiting | BaseException]


class Tasks:
    """The tasks under way: a window over the cases, twice as wide as the cluster has threads."""

    def __init__(self, client: Client, share: Share) -> None:
        from distributed import as_completed

        self._client, self._share = client, share
        self._stream = as_completed(loop=client.loop, with_results=True, raise_errors=False)
        self._turns: dict[Any, Turn] = {}

    def __len__(self) -> int:
        return len(self._turns)

    def workers(self) -> Mapping[str, int]:
        """The workers there are now: threads by address."""
        with self.answering():
            return dict(self._client.nthreads())

    def room(self) -> int:
        """How many more tasks may be handed over."""
        return max(WINDOW, 2 * sum(self.workers().values())) - len(self)

    def begin(self, turn: Turn) -> None:
        """Hand a case over; one whose holder died with its worker may be taken from it."""
        gone = [turn.holder] if turn.holder and self.is_gone(turn.holder) else []
        with self.answering():
            future = self._client.submit(segment_case, turn.case, self._share, gone, pure=False)
        self._turns[future] = turn
        self._stream.add(future)

    def is_gone(self, holder: Holder) -> bool:
        """Whether a holder was a worker of this cluster and is none any more."""
        workers = map(self._share.worker, self.workers())
        return holder.worker.startswith(self._share.worker("")) and holder.worker not in workers

    def ended(self) -> Iterator[Ended]:
        """What has ended since; waits a moment where nothing has."""
        batch = self._stream.next_batch(block=False)
        if not batch:
            time.sleep(POLL_S)
        for future, result in batch:
            yield self._turns.pop(future), result[1] if future.status == "error" else result

    def say(self, end: End) -> None:
        """Tell the tasks that it ends."""
        with self.answering():
            self._share.ending(end, self._client).set()

    def forget(self) -> None:
        """Give up what is still under way, where an error or the user left it so."""
        if self._turns:
            with suppress(ComputeError):
                self.say("cancel")
            with suppress(ComputeError), self.answering():
                self._client.cancel(list(self._turns))
            self._turns.clear()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Say in our words that the scheduler went away: the client then raises errors of many kinds.

        Raises:
            ComputeError: it did.
        """
        try:
            yield
        except Exception as error:
            if self._client.status == "running":
                raise
            raise ComputeError(AWAY) from error
