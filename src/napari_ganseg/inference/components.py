"""Keep the largest connected piece of a class, where a model's card asks for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from napari_ganseg.volume import Array, LabelMap


def keep_largest(labels: LabelMap, values: Sequence[int], dims: int = 0) -> LabelMap:
    """Erase all but the largest piece (faces, edges and corners connect) of each class in `values`.

    Args:
        labels: any label map.
        values: of the classes.
        dims: 2 looks at every z slice of a volume by itself; 0 takes the axes that there are.
    """
    if not values:
        return labels
    array = np.array(labels.array)
    for part in array if 0 < dims < array.ndim else [array]:
        for value in values:
            for box in ndimage.find_objects((part == value).view(np.uint8)):
                erase_small(part[box], value)
    return labels.derive(array=array)


def erase_small(part: Array, value: int) -> None:
    """Erase, in place, all pieces of a class but the largest."""
    pieces, count = ndimage.label(part == value, structure=np.ones((3,) * part.ndim))
    if count > 1:
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        part[(part == value) & (pieces != sizes.argmax())] = 0
