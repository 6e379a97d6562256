"""Keep the largest connected piece of a class, where a model's card asks for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from napari_ganseg.volume import LabelMap


def keep_largest(labels: LabelMap, values: Sequence[int]) -> LabelMap:
    """Erase all but the largest piece (faces, edges and corners connect) of each class in `values`."""
    array = labels.array.copy()
    boxes = ndimage.find_objects(array)
    for value in values:
        box = boxes[value - 1] if value <= len(boxes) else None
        if box is not None:
            erase_small(array[box], value)
    return labels.derive(array=array)


def erase_small(part: np.ndarray, value: int) -> None:  # type: ignore[type-arg]
    """Erase, in place, all pieces of a class but the largest."""
    pieces, count = ndimage.label(part == value, structure=np.ones((3,) * part.ndim))
    if count > 1:
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        part[(part == value) & (pieces != sizes.argmax())] = 0
