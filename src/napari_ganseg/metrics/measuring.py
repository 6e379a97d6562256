"""Measure the classes of one label map: voxels, millilitres, centroid and box."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_ganseg.metrics.boxes import Box, boxes_of
from napari_ganseg.metrics.ruler import Floats, Mask
from napari_ganseg.volume import LabelMap


@dataclass(frozen=True, slots=True)
class Measure:
    """One class of a label map.

    Attributes:
        centroid_mm: (R, A, S) of the mean of its voxel centres; None where the class is empty.
        box: first and one past the last index along every axis of the array; None where the class is empty.
    """

    name: str
    voxels: int
    volume_ml: float
    centroid_mm: tuple[float, float, float] | None = None
    box: tuple[tuple[int, int], ...] | None = None


def measure(labels: LabelMap) -> Mapping[int, Measure]:
    """Measure every class that the label map declares or holds."""
    empty = {c.value: Measure(c.name, 0, 0.0) for c in labels.classes}
    held = {value: measured(labels, value, box) for value, box in boxes_of(labels.array).items()}
    return dict(sorted((empty | held).items()))


def measured(labels: LabelMap, value: int, box: Box) -> Measure:
    """Measure a class that the box holds."""
    mask = labels.array[box] == value
    voxels = int(np.count_nonzero(mask))
    r, a, s = labels.to_mm(mean_index(mask) + [side.start for side in box])
    limits = tuple((side.start, side.stop) for side in box)
    return Measure(labels.name_of(value), voxels, voxels * labels.voxel_ml, (float(r), float(a), float(s)), limits)


def mean_index(mask: Mask) -> Floats:
    """Mean index of a mask's voxels along every axis."""
    others = [tuple(a for a in range(mask.ndim) if a != axis) for axis in range(mask.ndim)]
    return np.array([np.average(np.arange(mask.shape[axis]), weights=mask.sum(o)) for axis, o in enumerate(others)])
