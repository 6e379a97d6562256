"""A series of figures that may grow for hours and stays short: when it is full, neighbours become their mean."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

MOST = 2000  # points that a curve is drawn with; even
SPAN = (5, 30)  # points that smoothing looks back on: a sixtieth of the curve, within these


class Series:
    """Steps and the figures there; a figure that is no number is left out.

    Attributes:
        steps: ascending, each the last step that its point stands for.
        values: the mean of the figures that each point stands for.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.steps: list[float] = []
        self.values: list[float] = []
        self._held: list[tuple[float, float]] = []  # figures that wait until they are as many as a point stands for
        self._stride = 1

    def add(self, step: float, value: float) -> None:
        """Add a figure; one of an earlier step takes the place of all from there on, as a training goes on again."""
        if not isfinite(value):
            return
        self._rewind(step)
        self._held.append((step, value))
        if len(self._held) == self._stride:
            self.steps.append(step)
            self.values.append(sum(held for _, held in self._held) / self._stride)
            self._held.clear()
        if len(self.steps) == self._most:
            self._halve()

    def _rewind(self, step: float) -> None:
        while self._held and self._held[-1][0] >= step:
            self._held.pop()
        while self.steps and self.steps[-1] >= step:
            self.steps.pop()
            self.values.pop()

    def _halve(self) -> None:
        pairs = zip(self.values[::2], self.values[1::2], strict=True)
        self.steps, self.values = self.steps[1::2], [(first + second) / 2 for first, second in pairs]
        self._stride *= 2


def smoothed(values: Sequence[float]) -> list[float]:
    """Exponential moving average that starts without a bias (Kingma and Ba 2015, section 3)."""
    keep = 1 - 1 / min(max(len(values) / 60, SPAN[0]), SPAN[1])
    means, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = keep * total + (1 - keep) * value, keep * weight + (1 - keep)
        means.append(total / weight)
    return means


def limits(values: Sequence[float], must: Sequence[float]) -> tuple[float, float]:
    """A range that holds 98 % of noisy values and all that it must, with a little air; 0 to 1 where there are none."""
    if not values:
        return 0.0, 1.0
    ranked, cut = sorted(values), len(values) // 100
    low, high = min(ranked[cut], *must), max(ranked[-1 - cut], *must)
    air = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    return low - air, high + air
