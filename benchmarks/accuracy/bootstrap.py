"""The mean of paired differences and its 95 % interval, by drawing seeds and patients again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean difference, and the 95 % interval around it."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether all of it lies on one side of zero."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return f"{self.mean:+.4f} ({self.low:+.4f} to {self.high:+.4f})"


def paired(differences: npt.ArrayLike, resamples: int = 10_000, seed: int = 0) -> Interval:
    """Mean and percentile interval of a crossed design: every seed was tested on the same patients.

    Args:
        differences: (seeds, patients), at least one of each.
        resamples: how often seeds and, apart from them, patients are drawn with replacement.
        seed: of the drawing.
    """
    table = np.asarray(differences, np.float64)
    rng = np.random.default_rng(seed)
    seeds, patients = (drawn_shares(rng, size, resamples) for size in table.shape)
    means = ((seeds @ table) * patients).sum(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Interval(float(table.mean()), float(low), float(high))


def drawn_shares(rng: np.random.Generator, size: int, resamples: int) -> npt.NDArray[np.float64]:
    """(resamples, size): the share that each item has of so many drawn with replacement."""
    return rng.multinomial(size, np.full(size, 1 / size), resamples) / size
