"""Compare a segmentation with the truth, class by class, each inside the box that holds it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_ganseg.errors import UsageError
from napari_ganseg.metrics.boxes import boxes_of, united
from napari_ganseg.metrics.lesions import count_lesions
from napari_ganseg.metrics.pair import matched, renumbered
from napari_ganseg.metrics.ruler import Mask, Ruler
from napari_ganseg.metrics.scores import ClassScore, Scores
from napari_ganseg.metrics.surfaces import compare_surfaces
from napari_ganseg.volume import LabelMap


def evaluate(
    labels: LabelMap | str | Path, truth: LabelMap | str | Path, *, tolerance_mm: float | None = None
) -> Scores:
    """Compare a label map with the truth, class by class.

    Args:
        labels: the prediction, or its file.
        truth: the reference on the same grid, or its file; two files of one grid in different axis orders agree.
        tolerance_mm: of the surface Dice. None scores overlap and volume alone, which is cheap; with a number come the
            surface Dice, the distances between the surfaces and the lesions.

    Raises:
        GeometryError: the grids differ.
        UsageError: the tolerance is negative or no number.
    """
    if tolerance_mm is not None and not (math.isfinite(tolerance_mm) and tolerance_mm >= 0):
        raise UsageError(f"The tolerance of the surface Dice is 0 mm or more, not {tolerance_mm}; 1 mm is usual.")
    predicted, true = matched(labels, truth)
    scores = per_class(predicted, true, None if tolerance_mm is None else Ruler.of(true, tolerance_mm))
    return Scores(scores, tolerance_mm, renumbered(predicted, true))


def per_class(predicted: LabelMap, true: LabelMap, ruler: Ruler | None) -> dict[int, ClassScore]:
    """Score every class that either declares or holds, in the order of their values."""
    boxes, true_boxes = boxes_of(predicted.array), boxes_of(true.array)
    names = names_in(predicted, true, boxes.keys() | true_boxes.keys())
    scores = {value: ClassScore(name, None, 0.0, 0.0) for value, name in sorted(names.items())}
    for value, empty in scores.items():
        box = united(boxes.get(value), true_boxes.get(value))
        if box is not None:
            masks = predicted.array[box] == value, true.array[box] == value
            overlapping = with_overlap(empty, *masks, true.voxel_ml)
            scores[value] = overlapping if ruler is None else with_surfaces(overlapping, *masks, ruler)
    return scores


def names_in(predicted: LabelMap, true: LabelMap, held: Iterable[int]) -> dict[int, str]:
    """Name of every class that either declares or holds: the prediction's, else the truth's, else a number."""
    declared = {c.value: c.name for c in (*true.classes, *predicted.classes)}
    return {value: predicted.name_of(value) for value in held} | declared


def with_overlap(score: ClassScore, predicted: Mask, true: Mask, voxel_ml: float) -> ClassScore:
    """Add Dice and volumes of two masks of which one at least holds the class."""
    volume, truth = np.count_nonzero(predicted), np.count_nonzero(true)
    dice = 2 * np.count_nonzero(predicted & true) / (volume + truth)
    return replace(score, dice=float(dice), volume_ml=float(volume * voxel_ml), truth_ml=float(truth * voxel_ml))


def with_surfaces(score: ClassScore, predicted: Mask, true: Mask, ruler: Ruler) -> ClassScore:
    """Add what surfaces and lesions say."""
    lesions = count_lesions(predicted, true)
    if score.is_one_sided:
        far = ruler.diagonal_mm
        return replace(score, nsd=0.0, hd95_mm=far, hd_mm=far, assd_mm=far, lesions=lesions)
    found = compare_surfaces(predicted, true, ruler)
    return replace(
        score, nsd=found.nsd, hd95_mm=found.hd95_mm, hd_mm=found.hd_mm, assd_mm=found.assd_mm, lesions=lesions
    )
