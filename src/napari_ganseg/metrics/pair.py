"""A prediction and a truth that may be compared: opened, on one grid, their names side by side."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from napari_ganseg.errors import GeometryError
from napari_ganseg.volume import LabelMap


def matched(labels: LabelMap | str | Path, truth: LabelMap | str | Path) -> tuple[LabelMap, LabelMap]:
    """Prediction and truth, read where paths are given.

    Raises:
        GeometryError: the grids differ.
    """
    predicted, true = opened(labels), opened(truth)
    if not predicted.same_grid_as(true):
        raise GeometryError(
            f"Prediction and truth differ in grid: {described(predicted)} against {described(true)}; "
            "resample one first."
        )
    return predicted, true


def opened(labels: LabelMap | str | Path) -> LabelMap:
    """A label map, read when a path is given."""
    if isinstance(labels, LabelMap):
        return labels
    from napari_ganseg.io import read_labels

    return read_labels(labels)


def described(labels: LabelMap) -> str:
    """Shape and spacing in a few characters."""
    size = "x".join(map(str, labels.shape))
    return f"{size} at {' x '.join(f'{s:.3g}' for s in labels.spacing_mm)} mm"


def renumbered(predicted: LabelMap, true: LabelMap) -> tuple[str, ...]:
    """A note for every name that stands for another number on the other side: classes are matched by number."""
    ours, theirs = values_by_name(predicted), values_by_name(true)
    return tuple(
        f"{name} is {value} in the prediction and {theirs[name]} in the truth; classes were matched by number."
        for name, value in ours.items()
        if theirs.get(name, value) != value
    )


def values_by_name(labels: LabelMap) -> dict[str, int]:
    """Value of every name that only one class has."""
    times = Counter(c.name for c in labels.classes)
    return {c.name: c.value for c in labels.classes if times[c.name] == 1}
