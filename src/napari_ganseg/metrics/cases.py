"""Means over cases: every case counts the same, and an empty prediction counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from napari_ganseg.errors import UsageError
from napari_ganseg.metrics.scores import Figure, Scores, mean_of
from napari_ganseg.metrics.table import aligned


def mean_over_cases(cases: Iterable[Scores], figure: Figure = "dice") -> float | None:
    """Mean over the cases of each case's mean over its classes; None where there is nothing to score.

    Raises:
        UsageError: surface Dice at different tolerances.
    """
    return mean_of([scores.mean(figure) for scores in comparable(cases, figure)])


def class_means(cases: Iterable[Scores], figure: Figure = "dice") -> dict[str, float | None]:
    """Mean of every class, by name, over the cases whose prediction or truth hold it.

    Raises:
        UsageError: surface Dice at different tolerances.
    """
    figures: dict[str, list[float | None]] = {}
    for scores in comparable(cases, figure):
        for score in scores.per_class.values():
            figures.setdefault(score.name, []).append(getattr(score, figure))
    return {name: mean_of(found) for name, found in figures.items()}


def summary(cases: Iterable[Scores]) -> str:
    """A table of the means over cases: a line per class, then the mean of the cases' means."""
    scores = list(cases)
    figures = [f for f in get_args(Figure) if f == "dice" or mean_over_cases(scores, f) is not None]
    columns = [class_means(scores, figure) for figure in figures]
    lines = [[name, *(text(column[name]) for column in columns)] for name in columns[0]]
    means = ["mean over cases", *(text(mean_over_cases(scores, figure)) for figure in figures)]
    return "\n".join(aligned([["class", *figures], *lines, means]))


def text(mean: float | None) -> str:
    """A mean in the table."""
    return "-" if mean is None else f"{mean:.3f}"


def comparable(cases: Iterable[Scores], figure: Figure) -> list[Scores]:
    """The cases, if their figures mean the same."""
    scores = list(cases)
    tolerances = {s.tolerance_mm for s in scores if s.tolerance_mm is not None}
    if figure == "nsd" and len(tolerances) > 1:
        shown = " and ".join(f"{t:g}" for t in sorted(tolerances))
        raise UsageError(f"These cases have surface Dice at {shown} mm; evaluate all at one tolerance for a mean.")
    return scores
