"""Figures of a segmentation: Dice per class and volumes in millilitres, with stated rules for empty classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_ganseg.errors import GeometryError
from napari_ganseg.volume import LabelMap


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class of one case.

    Attributes:
        dice: 2 |P and T| / (|P| + |T|). 0 when only one of the two is empty; None when both are (nothing to score).
        volume_ml, truth_ml: millilitres of the prediction and the truth.
    """

    name: str
    dice: float | None
    volume_ml: float
    truth_ml: float


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores per class value."""

    per_class: Mapping[int, ClassScore]

    @property
    def mean_dice(self) -> float | None:
        """Mean over the classes that prediction or truth hold; None when both are empty."""
        dices = [s.dice for s in self.per_class.values() if s.dice is not None]
        return float(np.mean(dices)) if dices else None

    def __str__(self) -> str:
        rows = [
            f"{s.name}: Dice {shown(s.dice)}, {s.volume_ml:.3g} mL (truth {s.truth_ml:.3g} mL)"
            for s in self.per_class.values()
        ]
        return "\n".join([*rows, f"mean Dice {shown(self.mean_dice)}"])


def evaluate(labels: LabelMap | str | Path, truth: LabelMap | str | Path) -> Scores:
    """Compare a label map with the truth, class by class.

    Args:
        labels: the prediction, or its file.
        truth: the reference on the same grid, or its file; two files of one grid in different axis orders agree.

    Raises:
        GeometryError: the grids differ.
    """
    predicted, true = opened(labels), opened(truth)
    if not predicted.same_grid_as(true):
        raise GeometryError(
            f"Prediction and truth differ in grid: {described(predicted)} against {described(true)}; "
            "resample one first."
        )
    names = names_in(predicted, true)
    return Scores({value: score(predicted, true, value, names[value]) for value in sorted(names)})


def score(predicted: LabelMap, true: LabelMap, value: int, name: str) -> ClassScore:
    """Score one class."""
    p, t = predicted.array == value, true.array == value
    total = int(p.sum()) + int(t.sum())
    dice = 2 * int((p & t).sum()) / total if total else None
    return ClassScore(name, dice, float(p.sum()) * predicted.voxel_ml, float(t.sum()) * true.voxel_ml)


def opened(labels: LabelMap | str | Path) -> LabelMap:
    """A label map, read when a path is given."""
    if isinstance(labels, LabelMap):
        return labels
    from napari_ganseg.io import read_labels

    return read_labels(labels)


def names_in(predicted: LabelMap, true: LabelMap) -> dict[int, str]:
    """Name of every class that either declares or holds: the prediction's, else the truth's, else a number."""
    declared = {c.value: c.name for c in (*true.classes, *predicted.classes)}
    held = predicted.counts() | true.counts()
    return {value: declared.get(value, predicted.name_of(value)) for value in held}


def described(labels: LabelMap) -> str:
    """Shape and spacing in a few characters."""
    size = "x".join(map(str, labels.shape))
    return f"{size} at {' x '.join(f'{s:.3g}' for s in labels.spacing_mm)} mm"


def shown(dice: float | None) -> str:
    """Three digits, or words for nothing to score."""
    return "not present" if dice is None else f"{dice:.3f}"
