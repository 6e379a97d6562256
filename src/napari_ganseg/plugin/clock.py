"""How long a training still takes, in words."""

from __future__ import annotations

import time

from napari_ganseg.run import Progress
from napari_ganseg.training.control import HEARD


class Clock:
    """Says how long a training still takes, from how long its steps took here."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None
        self._step, self._total = 0, 0

    def note(self, progress: Progress) -> None:
        """Remember where it stands."""
        if not progress.total:
            return
        self._step, self._total = progress.done, progress.total
        if progress.doing == "training" and (self._first is None or progress.done < self._first[0]):
            self._first = progress.done, time.monotonic()

    def in_words(self, progress: Progress) -> str:
        """Step, what it does, time left."""
        if not self._total:
            return f"{progress.doing.capitalize()}..."
        doing = "" if progress.doing == "training" else f" ({progress.doing})"
        if progress.doing in HEARD.values():
            doing = f" ({progress.doing})"
        return f"Step {self._step} of {self._total}{doing}{self._left()}"

    def _left(self) -> str:
        if self._first is None or self._step <= self._first[0]:
            return ""
        seconds = (time.monotonic() - self._first[1]) / (self._step - self._first[0]) * (self._total - self._step)
        return f", about {duration(seconds)} left"


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
