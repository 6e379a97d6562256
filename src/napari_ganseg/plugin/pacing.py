"""Measure the pace of this machine without holding up the viewer: in another process, looked after by a timer."""

from __future__ import annotations

import atexit
import subprocess
from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer

from napari_ganseg.training.pace import begin_measuring, known_pace

LOOK_MS = 500


class Pace(QObject):
    """What a step takes on this machine, for each kind of network asked for.

    Args:
        told: called when a measurement has ended.
    """

    def __init__(self, told: Callable[[], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._told = told
        self._asked: set[tuple[int, str, str]] = set()
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._on_look)

    def of(self, dims: int, start: str, device: str) -> float | None:
        """Seconds of a step; None while that is being measured, or cannot be."""
        pace = known_pace(dims, start, device)
        if pace is None and (dims, start, device) not in self._asked and not _measuring:
            self._asked.add((dims, start, device))
            _measuring.append(begin_measuring(dims, start, device))
            self._timer.start()
        return pace

    def _on_look(self) -> None:
        """Let go of what has ended."""
        if any(process.poll() is None for process in _measuring):
            return
        _measuring.clear()
        self._timer.stop()
        self._told()


_measuring: list[subprocess.Popen[str]] = []  # one at a time, whatever the number of forms


@atexit.register
def end_measuring() -> None:
    """Stop what measures; nothing outlives napari for the sake of an estimate."""
    for process in _measuring:
        process.kill()
        process.wait()
    _measuring.clear()
