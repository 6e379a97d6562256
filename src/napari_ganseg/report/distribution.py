"""How a class's volumes spread over the cases, and which of them lie far out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from napari_ganseg.report.case import ReportCase

SCALE = 1.4826  # of the median absolute deviation to a normal distribution's standard deviation
WIDTH = 3.0
LEAST = 5  # cases before one of them can lie far out
Side = Literal["low", "high", ""]


@dataclass(frozen=True, slots=True)
class Distribution:
    """A class over all cases that may have it.

    Attributes:
        colour: "#rrggbb".
        cases: their names.
        volumes_ml: of the cases, in their order.
        limits_ml: beyond them a case is an outlier; None where that cannot be said.
    """

    name: str
    colour: str
    cases: tuple[str, ...]
    volumes_ml: tuple[float, ...]
    limits_ml: tuple[float, float] | None

    @property
    def median_ml(self) -> float:
        """The middle volume."""
        return float(np.median(self.volumes_ml))

    @property
    def mean_ml(self) -> float:
        """The mean volume."""
        return float(np.mean(self.volumes_ml))

    @property
    def outliers(self) -> tuple[str, ...]:
        """Names of the cases that lie far out."""
        return tuple(c for c, ml in zip(self.cases, self.volumes_ml, strict=True) if self.side_of(ml))

    def side_of(self, ml: float) -> Side:
        """On which side a volume lies far out."""
        if self.limits_ml is None or self.limits_ml[0] <= ml <= self.limits_ml[1]:
            return ""
        return "low" if ml < self.limits_ml[0] else "high"


def distributions(cases: Sequence[ReportCase]) -> list[Distribution]:
    """Every class of the cases, in the order in which they name them."""
    found: dict[str, list[tuple[str, float]]] = {}
    colours: dict[str, str] = {}
    for case in cases:
        for c in case.classes:
            found.setdefault(c.name, []).append((case.name, c.ml))
            colours.setdefault(c.name, c.colour)
    return [distribution(name, colours[name], volumes) for name, volumes in found.items()]


def distribution(name: str, colour: str, volumes: Sequence[tuple[str, float]]) -> Distribution:
    """One class."""
    cases, volumes_ml = zip(*volumes, strict=True)
    return Distribution(name, colour, cases, volumes_ml, limits(volumes_ml))


def limits(values: Sequence[float]) -> tuple[float, float] | None:
    """Median -+ 3 scaled median absolute deviations (Leys 2013); None for few values, or where most are the same."""
    median = float(np.median(values))
    deviation = SCALE * float(np.median(np.abs(np.asarray(values) - median)))
    return None if len(values) < LEAST or deviation == 0 else (median - WIDTH * deviation, median + WIDTH * deviation)
