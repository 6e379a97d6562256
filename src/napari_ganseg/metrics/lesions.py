"""Lesions: connected pieces of a class, and which of them were found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_ganseg.metrics.ruler import Mask


@dataclass(frozen=True, slots=True)
class Lesions:
    """Connected pieces (faces, edges and corners connect: 26 neighbours in a volume, 8 in a slice).

    Attributes:
        found, missed: pieces of the truth with and without a voxel of the prediction of the same class.
        false: pieces of the prediction without a voxel of the truth.
    """

    found: int
    missed: int
    false: int


def count_lesions(predicted: Mask, true: Mask) -> Lesions:
    """Count the pieces of one class."""
    found, missed = pieces(true, predicted)
    _, false = pieces(predicted, true)
    return Lesions(found, missed, false)


def pieces(mask: Mask, other: Mask) -> tuple[int, int]:
    """How many pieces of a mask the other one touches, and how many it does not."""
    numbers, count = ndimage.label(mask, structure=np.ones((3,) * mask.ndim))
    touched = len(np.unique(numbers[mask & other]))
    return touched, count - touched
