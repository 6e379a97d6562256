"""Where a segmentation is wrong, as a label map of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_ganseg.metrics.pair import matched
from napari_ganseg.volume import LabelClass, LabelMap

MISSED = LabelClass(1, "missed", "#e69f00")
TOO_MUCH = LabelClass(2, "too much", "#cc79a7")
OTHER_CLASS = LabelClass(3, "other class", "#56b4e9")


def difference(labels: LabelMap | str | Path, truth: LabelMap | str | Path) -> LabelMap:
    """Label the voxels on which a prediction and the truth differ, on their grid.

    Returns:
        1 "missed": a class in the truth, background in the prediction; 2 "too much": the reverse; 3 "other class".

    Raises:
        GeometryError: the grids differ.
    """
    predicted, true = matched(labels, truth)
    array = np.zeros(predicted.array.shape, np.uint8)
    array[predicted.array != true.array] = OTHER_CLASS.value
    array[(predicted.array == 0) & (true.array != 0)] = MISSED.value
    array[(predicted.array != 0) & (true.array == 0)] = TOO_MUCH.value
    return predicted.derive(array=array, classes=(MISSED, TOO_MUCH, OTHER_CLASS), provenance={}, notes=())
