"""The label map of errors."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ganseg.errors import GeometryError
from napari_ganseg.metrics import difference
from napari_ganseg.volume import LabelMap


def labels(values: object) -> LabelMap:
    return LabelMap(array=np.asarray(values, np.uint8))


def test_every_kind_of_error_has_its_class() -> None:
    found = difference(labels([[0, 1, 0, 1, 2, 2]]), labels([[0, 1, 1, 0, 1, 2]]))
    assert found.array.tolist() == [[0, 0, 1, 2, 3, 0]]
    assert [found.name_of(value) for value in (1, 2, 3)] == ["missed", "too much", "other class"]


def test_a_map_does_not_differ_from_itself() -> None:
    some = labels(np.random.default_rng(0).integers(0, 4, (4, 5, 6)))
    assert not difference(some, some).array.any()


def test_swapping_the_sides_swaps_missed_and_too_much() -> None:
    one, other = (labels(np.random.default_rng(seed).integers(0, 3, (4, 5, 6))) for seed in (0, 1))
    swapped = np.array([0, 2, 1, 3])[difference(one, other).array]
    assert np.array_equal(swapped, difference(other, one).array)


def test_the_errors_lie_where_the_prediction_lies() -> None:
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    one, other = (LabelMap(array=np.zeros((4, 5, 6), np.uint8), affine=affine) for _ in range(2))
    assert difference(one, other).same_grid_as(one)


def test_other_grids_have_no_difference() -> None:
    with pytest.raises(GeometryError, match="differ in grid"):
        difference(labels([[1, 0]]), labels([[1, 0, 0]]))
