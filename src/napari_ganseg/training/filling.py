"""Between painted slices the shapes are filled in: shape-based interpolation, so that a training sees whole organs.

Raya and Udupa, Shape-based interpolation of multidimensional objects, IEEE Trans. Med. Imaging 9, 32-42 (1990).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from napari_ganseg.training.cases import Case
from napari_ganseg.volume import Annotation, Array

MOST_GAP_MM = 20.0  # between two painted slices; beyond, a shape may have become another one
Floats = npt.NDArray[np.float64]


def filled(case: Case) -> Case:
    """A case whose unknown slices between painted ones are known too, by interpolation; others as they are.

    Slices are taken across the first axis, and only those that are known as a whole.
    """
    annotation, spacing = case.annotation, case.image.spacing_mm
    if case.image.spatial_ndim != 3:
        return case
    whole = np.flatnonzero(annotation.known.all(axis=(1, 2)))
    array, known = annotation.labels.array.copy(), annotation.known.copy()
    for first, last in pairwise(map(int, whole)):
        if 1 < last - first <= MOST_GAP_MM / spacing[0]:
            array[first + 1 : last] = between(array[first], array[last], last - first, spacing[1:])
            known[first + 1 : last] = True
    return replace(case, annotation=Annotation(annotation.labels.derive(array=array), known, annotation.missing))


def between(first: Array, last: Array, steps: int, spacing_mm: tuple[float, ...]) -> Array:
    """Labels of the slices between two.

    Args:
        first, last: (y, x) labels.
        steps: from the one to the other; there is one slice fewer between them.
        spacing_mm: of a slice.

    Returns:
        (steps - 1, y, x).
    """
    made = np.zeros((steps - 1, *first.shape), first.dtype)
    deepest = np.zeros(made.shape)
    shares = (np.arange(1, steps) / steps)[:, np.newaxis, np.newaxis]
    for value in np.union1d(first, last)[1:] if 0 in first or 0 in last else np.union1d(first, last):
        depth = (1 - shares) * depth_mm(first == value, spacing_mm) + shares * depth_mm(last == value, spacing_mm)
        is_inside = depth > deepest
        made[is_inside], deepest = value, np.where(is_inside, depth, deepest)
    return made


def depth_mm(mask: npt.NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> Floats:
    """Signed distance to a shape's border: positive inside; where there is no shape, a voxel outside everywhere."""
    if not mask.any():
        return np.full(mask.shape, -float(min(spacing_mm)))
    inside = distance_transform_edt(mask, spacing_mm)
    return np.asarray(inside - distance_transform_edt(~mask, spacing_mm))
