"""What the tasks of a batch on a cluster are told, and how they hear that the user wants an end."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from napari_ganseg.batch.chosen import ChosenModel
from napari_ganseg.batch.options import BatchOptions
from napari_ganseg.run import Controls

LOOK_S = 1.0  # how often a task asks the scheduler
End = Literal["stop", "cancel"]


@dataclass(frozen=True, slots=True)
class Share:
    """What every task of a batch is told.

    Attributes:
        token: names the batch at its scheduler.
        cluster: the scheduler's own id.
        sign: a file in the output folder; a worker that sees it sees the same folder as we do.
        out, models, options: as in the Job.
    """

    token: str
    cluster: str
    sign: Path
    out: Path
    models: tuple[ChosenModel, ...]
    options: BatchOptions

    def ending(self, end: End, client: Any = None) -> Any:
        """The event that says so, to be set at the client's side and asked at the worker's."""
        from distributed import Event

        return Event(f"ganseg-{end}-{self.token}", client=client)

    def worker(self, address: str) -> str:
        """How a lock names a worker of this cluster."""
        return f"{self.cluster} {address}"


class RemoteControls(Controls):
    """The controls of a batch, as a task sees them from a worker."""

    def __init__(self, share: Share) -> None:
        super().__init__()
        self._cancelling, self._look_at = share.ending("cancel"), 0.0
        if self.is_said(share.ending("stop")):
            self._stop.set()

    def check(self) -> None:
        """Ask from time to time, then do as the others do."""
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_S
            if self.is_said(self._cancelling):
                self._cancel.set()
        super().check()

    @staticmethod
    def is_said(event: Any) -> bool:
        """Whether an event is set; a scheduler that does not answer says nothing."""
        with suppress(OSError):
            return bool(event.is_set())
        return False
