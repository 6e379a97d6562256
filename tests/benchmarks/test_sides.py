"""Right and left: told by place and by overlap, whichever way the array runs."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.sides import side_faults

from napari_ganseg.volume import Affine, LabelClass, LabelMap, identity_affine

RIGHT, LEFT = 3, 4
CLASSES = (LabelClass(RIGHT, "Right", "#000000"), LabelClass(LEFT, "Left", "#ffffff"))
MIRRORED = identity_affine() @ np.diag([1.0, 1.0, -1.0, 1.0])  # the last axis grows to the left


def pair(right: int | None = 14, left: int | None = 2, affine: Affine | None = None) -> LabelMap:
    """Two organs, each from its place on 4 voxels along the last axis."""
    array = np.zeros((4, 4, 20), np.uint8)
    for value, start in ((RIGHT, right), (LEFT, left)):
        if start is not None:
            array[:, :, start : start + 4] = value
    return LabelMap(array=array, classes=CLASSES, affine=identity_affine() if affine is None else affine)


def test_organs_on_their_own_sides_have_no_fault() -> None:
    assert side_faults(pair(13, 4), pair(), (RIGHT, LEFT)) == ()


def test_swapped_organs_are_found_by_place_and_by_overlap() -> None:
    faults = side_faults(pair(2, 14), pair(), (RIGHT, LEFT))
    assert len(faults) == 3
    assert faults[0] == "Right does not lie right of Left"


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_the_patients_right_decides_and_not_the_direction_of_the_array(shift: int) -> None:
    truth = pair(2, 14, MIRRORED)
    assert side_faults(pair(2 + shift, 14, MIRRORED), truth, (RIGHT, LEFT)) == ()
    assert side_faults(pair(14 + shift, 2, MIRRORED), truth, (RIGHT, LEFT))


def test_both_on_one_side_is_a_fault_of_the_one_that_is_astray() -> None:
    (fault,) = side_faults(pair(14, 10), pair(), (RIGHT, LEFT))
    assert fault == "Left overlaps its truth no more than that of Right"


def test_an_organ_that_was_not_found_is_no_swap() -> None:
    assert side_faults(pair(14, None), pair(), (RIGHT, LEFT)) == ()
    assert side_faults(pair(None, None), pair(), (RIGHT, LEFT)) == ()


def test_one_organ_in_the_place_of_the_other_is_a_fault() -> None:
    assert len(side_faults(pair(2, None), pair(), (RIGHT, LEFT))) == 1


def test_where_the_truth_has_one_side_alone_nothing_is_said() -> None:
    assert side_faults(pair(2, 14), pair(14, None), (RIGHT, LEFT)) == ()
