"""Voxels, millilitres, centroids and boxes of one label map."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ganseg.metrics import Measure, measure
from napari_ganseg.volume import LabelClass, LabelMap, identity_affine


@pytest.fixture
def two() -> LabelMap:
    array = np.zeros((4, 5, 6), np.uint8)
    array[1:3, 2, 3:6] = 7
    affine = identity_affine((3.0, 2.0, 1.0))
    affine[:3, 3] = (-10, 20, 30)
    return LabelMap(array=array, affine=affine, classes=(LabelClass(1, "Spleen", "#ffffff"),))


def test_a_box_by_hand(two: LabelMap) -> None:
    found = measure(two)[7]
    assert (found.name, found.voxels) == ("label 7", 6)
    assert found.volume_ml == pytest.approx(6 * 6 / 1000)
    assert found.centroid_mm == pytest.approx((-10 + 4, 20 + 2 * 2, 30 + 1.5 * 3))
    assert found.box == ((1, 3), (2, 3), (3, 6))


def test_a_class_that_is_not_there_has_no_place(two: LabelMap) -> None:
    assert measure(two)[1] == Measure("Spleen", 0, 0.0, None, None)
    assert list(measure(two)) == [1, 7]


def test_a_centroid_is_the_mean_of_the_voxels_places() -> None:
    affine = identity_affine((3.0, 1.0, 2.0))
    affine[:3, 0] += (0.3, 1.2, 0)
    array = np.random.default_rng(0).integers(0, 3, (5, 6, 7))
    labels = LabelMap(array=array, affine=affine)
    assert measure(labels)[2].centroid_mm == pytest.approx(labels.to_mm(np.argwhere(array == 2)).mean(axis=0))


def test_a_shifted_affine_shifts_the_centroid(two: LabelMap) -> None:
    affine = two.affine.copy()
    affine[:3, 3] += (1, 2, 3)
    moved = measure(two.derive(affine=affine))[7].centroid_mm
    assert np.subtract(moved, measure(two)[7].centroid_mm) == pytest.approx((1, 2, 3))


def test_a_slice_measures_as_the_one_slice_volume() -> None:
    array = np.random.default_rng(0).integers(0, 3, (6, 7))
    flat, volume = (measure(LabelMap(array=a, affine=identity_affine((5.0, 2.0, 1.0)))) for a in (array, array[None]))
    assert flat[1].volume_ml == volume[1].volume_ml
    assert flat[2].centroid_mm == pytest.approx(volume[2].centroid_mm)
