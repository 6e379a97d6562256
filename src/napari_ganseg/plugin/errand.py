"""A short Run in the background, of which only who sent it hears: no bar, no lane, no word to other forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import Qt

from napari_ganseg.plugin.worker import Done, Failed, Stopped, Work
from napari_ganseg.run import Progress, Run

Outcome = Done[Any] | Failed | Stopped


class Errand:
    """A Run in a thread; it tells its outcome once, in the viewer's thread, or nothing where the viewer was closed.

    Args:
        make: starts the work; called in the background, so that it may import torch.
        title: what napari calls it where it asks before closing.
        on_progress: gets each word of how it goes.
        on_ended: gets the outcome.
    """

    def __init__(
        self, make: Callable[[], Run[Any]], title: str, *, on_progress: Callable[[Progress], None],
        on_ended: Callable[[Outcome], None],
    ) -> None:  # fmt: skip
        self._on_progress, self._on_ended = on_progress, on_ended
        self._work: Work[Any] = Work(make, lambda made: made, title, is_ours=True)
        self._worker = create_worker(self._work.steps, _start_thread=False)
        self._worker.yielded.connect(self._on_yielded)
        self._worker.aborted.connect(self._work.abandon, Qt.ConnectionType.DirectConnection)  # in the worker's thread
        self._worker.start()

    def cancel(self) -> None:
        """End between two tiles and keep nothing."""
        self._work.cancel()

    def _on_yielded(self, news: Progress | Outcome) -> None:
        if isinstance(news, Progress):
            self._on_progress(news)
            return
        self._on_ended(news)
