"""The largest piece of a class stays, the others go."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ganseg.inference.components import keep_largest
from napari_ganseg.volume import LabelClass, LabelMap


@pytest.fixture
def labels() -> LabelMap:
    array = np.zeros((6, 12, 12), np.int32)
    array[1:5, 1:5, 1:5] = 1
    array[5, 5, 5] = 1  # touches the large piece at a corner
    array[1:3, 8:10, 8:10] = 1
    array[0, 0, 11] = array[5, 11, 11] = 70_000
    array[4, 10:12, 0] = 70_000
    return LabelMap(array=array, classes=(LabelClass(1, "Liver", "#ffffff"),), notes=("a note",))


def test_only_the_largest_piece_stays(labels: LabelMap) -> None:
    kept = keep_largest(labels, [1]).array == 1
    assert kept.sum() == 4**3 + 1
    assert kept[5, 5, 5]


def test_other_classes_are_left_alone(labels: LabelMap) -> None:
    made = keep_largest(labels, [1])
    assert np.array_equal(made.array == 70_000, labels.array == 70_000)
    assert (keep_largest(labels, [70_000]).array == 70_000).sum() == 2


def test_doing_it_twice_changes_nothing(labels: LabelMap) -> None:
    once = keep_largest(labels, [1, 70_000])
    assert np.array_equal(keep_largest(once, [1, 70_000]).array, once.array)


def test_no_class_no_change(labels: LabelMap) -> None:
    assert keep_largest(labels, []) is labels


def test_a_class_that_was_not_found_is_no_fault(labels: LabelMap) -> None:
    assert np.array_equal(keep_largest(labels, [5, 2**31 - 1]).array, labels.array)


def test_the_given_labels_stay_as_they_were_and_their_names_are_kept(labels: LabelMap) -> None:
    before = labels.array.copy()
    made = keep_largest(labels, [1])
    assert np.array_equal(labels.array, before)
    assert made.classes == labels.classes
    assert made.notes == labels.notes
