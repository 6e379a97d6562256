"""A button that starts a form's job, cancels it while it runs, and says so while the viewer is busy with another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from magicgui.widgets import PushButton
from napari.utils.notifications import show_error
from qtpy import compat

from napari_ganseg.errors import GansegError
from napari_ganseg.plugin.worker import HERE, Job, announcer, job_of


class JobButton:
    """Keeps a button in step with what runs behind a viewer.

    Args:
        button: whose words and clicks these are; its text is what it says while nothing runs.
        viewer: whose jobs count.
        owner: of the jobs it starts, and alone may cancel.
        start: starts a job, or raises a GansegError, which is shown.
        lane: of its jobs.
        running: what it says, disabled, while its own job runs; empty where a click then cancels.
    """

    def __init__(
        self, button: PushButton, viewer: Any, owner: str, start: Callable[[], Any], lane: str = HERE,
        running: str = "",
    ) -> None:  # fmt: skip
        self._button, self._viewer, self._owner, self._start = button, viewer, owner, start
        self._lane, self._running = lane, running
        self._idle: str = button.text
        button.clicked.connect(self._on_click)
        announcer.began.connect(self._on_began)
        if job := job_of(viewer, lane):  # the form was closed while it ran, and opened again
            self._on_began(viewer, job)

    def rename(self, idle: str) -> None:
        """Choose other words for while nothing runs."""
        self._idle = idle
        if job_of(self._viewer, self._lane) is None:
            self._show(idle)

    def _on_click(self) -> None:
        """Start, or cancel what this form started."""
        job = job_of(self._viewer, self._lane)
        try:
            if job is None:
                self._start()
            elif job.owner == self._owner and not self._running:
                job.cancel()
                self._show("Cancelling...", is_enabled=False)
        except GansegError as error:
            show_error(str(error))

    def _on_began(self, viewer: Any, job: Job[Any]) -> None:
        if viewer is not self._viewer or job.lane != self._lane or not is_alive(self._button):
            return
        job.ended.connect(self._on_ended)
        is_mine = job.owner == self._owner
        words = (self._running or "Cancel") if is_mine else f"Busy: {job.title}"
        self._show(words, is_enabled=is_mine and not self._running)

    def _on_ended(self) -> None:
        if is_alive(self._button):
            self._show(self._idle)

    def _show(self, text: str, *, is_enabled: bool = True) -> None:
        self._button.text, self._button.enabled = text, is_enabled


def is_alive(widget: Any) -> bool:
    """Whether Qt still has a magicgui widget: a closed viewer takes it along, a closed dock does not."""
    return bool(compat.isalive(widget.native))  # type: ignore[no-untyped-call]
