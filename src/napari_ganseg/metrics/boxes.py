"""Bounding boxes of the classes of a label map, all in one pass."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_ganseg.volume import Array

Box = tuple[slice, ...]


def boxes_of(array: Array) -> dict[int, Box]:
    """Smallest box of every class that the array holds."""
    if array.dtype in (np.uint8, np.uint16):
        return {value: box for value, box in enumerate(ndimage.find_objects(array), 1) if box is not None}
    values, numbers = np.unique(array, return_inverse=True)  # find_objects' list is as long as the largest value
    boxes = ndimage.find_objects(numbers.reshape(array.shape) + 1)
    return {int(value): box for value, box in zip(values, boxes, strict=True) if value != 0}


def united(one: Box | None, other: Box | None) -> Box | None:
    """Smallest box around both; None where there is neither."""
    if one is None or other is None:
        return one or other
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
