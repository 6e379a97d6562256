"""The figures of a model: Dice case by case, and the mean over the classes that count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Measured:
    """One case.

    Attributes:
        name: its image's file name.
        dices: Dice of each class that prediction or truth hold, where somebody contoured it.
        unfound: values that the truth holds and the prediction does not.
        swaps: how right and left were confused, in words.
    """

    name: str
    dices: Mapping[int, float]
    unfound: tuple[int, ...] = ()
    swaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """A model's cases, and the values of the classes that count."""

    cases: tuple[Measured, ...]
    counted: tuple[int, ...]

    @property
    def per_case(self) -> list[float]:
        """Mean Dice of each case over the counted classes that it has; a case without any is left out."""
        found = [[case.dices[v] for v in self.counted if v in case.dices] for case in self.cases]
        return [float(np.mean(dices)) for dices in found if dices]

    @property
    def mean(self) -> float:
        """Mean over the cases."""
        return float(np.mean(self.per_case))

    @property
    def swaps(self) -> list[str]:
        """Every confusion of right and left, with its case."""
        return [f"{case.name}: {swap}" for case in self.cases for swap in case.swaps]

    def against(self, other: Figures) -> tuple[float, float, float]:
        """Mean paired difference over the cases, and its 95 % bootstrap interval."""
        differences = np.subtract(self.per_case, other.per_case)
        draws = np.random.default_rng(0).choice(differences, (10_000, len(differences))).mean(axis=1)
        low, high = np.percentile(draws, (2.5, 97.5))
        return float(differences.mean()), float(low), float(high)

    def of_class(self, value: int) -> list[float]:
        """Dice of one class, case by case."""
        return [case.dices[value] for case in self.cases if value in case.dices]
