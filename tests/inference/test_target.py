"""Targets: voxels of a part land where the part lies in the whole."""

from __future__ import annotations

import numpy as np

from napari_ganseg.inference.target import Target


def target(confidence: bool = True) -> Target:
    shape = (6, 9, 12)
    box = (slice(2, 5), slice(3, 9), slice(0, 7))
    return Target(np.zeros(shape, np.uint8), np.ones(shape, np.float32) if confidence else None, box, slice(0, 3))


def test_a_box_of_the_part_lies_in_the_whole() -> None:
    made = target()
    index = made.index((slice(0, 2), slice(1, 4), slice(5, 6)))
    assert index == (slice(2, 4), slice(4, 7), slice(5, 6))


def test_a_slice_of_it_is_that_plane() -> None:
    made = target()
    plane = made.slice_at(1)
    plane.labels[plane.index((slice(0, 6), slice(0, 7)))] = 3
    assert (made.labels[3, 3:9, 0:7] == 3).all()
    assert made.labels.sum() == 3 * 6 * 7
    assert plane.wanted == slice(0, 6)


def test_clearing_forgets_the_part_and_leaves_the_rest() -> None:
    made = target()
    assert made.confidence is not None
    made.labels[...] = 4
    made.confidence[...] = 0.5
    made.clear()
    assert not made.labels[made.box].any()
    assert (made.confidence[made.box] == 1).all()
    assert (made.labels == 4).sum() == made.labels.size - 3 * 6 * 7
    assert (made.confidence == 0.5).sum() == made.labels.size - 3 * 6 * 7


def test_clearing_a_slice_leaves_its_neighbours() -> None:
    made = target(confidence=False)
    made.labels[...] = 4
    made.slice_at(0).clear()
    assert not made.labels[2, 3:9, 0:7].any()
    assert (made.labels[3] == 4).all()
