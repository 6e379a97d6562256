"""What a fine-tuned model is compared with: the other ways to fill a volume from ten painted slices."""

from __future__ import annotations

import numpy as np
from benchmarks.finetune import dice, interpolation, nearest, painted_slices
from benchmarks.wrong_labels import KINDS

from napari_ganseg.volume import LabelMap


def glands() -> np.ndarray:
    """Two balls, as the glands lie."""
    z, y, x = np.indices((40, 30, 60))
    made = np.zeros(z.shape, np.uint8)
    for value, centre in ((3, 15), (4, 45)):
        made[(z - 20) ** 2 + (y - 15) ** 2 + (x - centre) ** 2 < 100] = value
    return made


def test_ten_slices_span_the_glands() -> None:
    slices = painted_slices(glands())
    assert len(slices) == 10
    assert (slices[0], slices[-1]) == (11, 29)


def test_both_ways_keep_what_was_painted_and_interpolation_is_the_better() -> None:
    truth = glands()
    slices = painted_slices(truth)
    made, copied = interpolation(truth, slices, (1.0, 1.0, 1.0)), nearest(truth, slices)
    assert np.array_equal(made[slices], truth[slices])
    assert np.array_equal(copied[slices], truth[slices])
    assert 1 >= dice(made, truth) > dice(copied, truth) > 0.8


def test_wrong_labels_are_wrong_and_on_the_right_grid() -> None:
    right = [LabelMap(array=np.roll(glands(), 3 * i, 1)) for i in range(3)]
    for wrong in KINDS.values():
        made = wrong(right, 0)
        assert made.shape == right[0].shape
        assert dice(made, right[0].array) < 0.9
