"""Volume, LabelMap and Annotation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_ganseg.errors import GeometryError
from napari_ganseg.volume import (
    Annotation,
    LabelClass,
    LabelMap,
    Volume,
    column_lengths,
    identity_affine,
    smallest_integers,
)

LIVER = LabelClass(1, "Liver", "#a03010")
SPLEEN = LabelClass(2, "Spleen", "#2040c0")


@pytest.fixture
def volume() -> Volume:
    return Volume(array=np.zeros((4, 5, 6), np.int16), affine=identity_affine((3.0, 1.0, 0.5)), stored="a file")


def test_an_upright_affine_counts_millimetres_along_each_axis(volume: Volume) -> None:
    assert volume.spacing_mm == (3.0, 1.0, 0.5)
    assert volume.to_mm((1, 2, 3)).tolist() == [1.5, 2.0, 3.0]


def test_a_slice_lies_where_the_one_slice_volume_lies(volume: Volume) -> None:
    flat = volume.derive(array=volume.array[0])
    assert flat.shape == (5, 6)
    assert flat.spacing_mm == volume.spacing_mm[1:]
    assert flat.to_mm((2, 3)).tolist() == volume.to_mm((0, 2, 3)).tolist()


def test_channels_do_not_count_as_space() -> None:
    picture = Volume(array=np.zeros((3, 5, 6), np.uint8), has_channels=True)
    assert (picture.shape, picture.spatial_ndim, picture.channels) == ((5, 6), 2, 3)
    assert Volume(array=picture.array).channels == 1


def test_a_sheared_voxel_has_the_volume_of_the_upright_one(volume: Volume) -> None:
    sheared = volume.affine.copy()
    sheared[0, 0] = 2.0
    assert volume.derive(affine=sheared).voxel_ml == pytest.approx(volume.voxel_ml) == pytest.approx(0.0015)


@pytest.mark.parametrize(("part_of_a_voxel", "is_same"), [(0.0, True), (0.009, True), (0.011, False), (1.0, False)])
def test_grids_are_the_same_within_a_hundredth_of_a_voxel(
    volume: Volume, part_of_a_voxel: float, is_same: bool
) -> None:
    moved = volume.affine.copy()
    moved[0, 3] += part_of_a_voxel * 0.5
    assert volume.same_grid_as(volume.derive(affine=moved)) is is_same


def test_a_grid_that_turns_differs_at_its_far_corner(volume: Volume) -> None:
    turned = volume.affine.copy()
    turned[1, 2] = 0.01
    assert not volume.same_grid_as(volume.derive(affine=turned))


def test_a_new_shape_or_affine_forgets_the_file(volume: Volume) -> None:
    assert volume.derive(array=volume.array + 1).stored == "a file"
    assert volume.derive(array=volume.array[1:]).stored is None
    assert volume.derive(affine=identity_affine()).stored is None
    assert volume.derive(affine=identity_affine(), stored="another").stored == "another"


def test_values_are_frozen(volume: Volume) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        volume.array = volume.array + 1  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        volume.affine[0, 0] = 2


def test_changing_the_affine_one_gave_changes_nothing() -> None:
    affine = identity_affine()
    volume = Volume(array=np.zeros((2, 2, 2)), affine=affine)
    affine[:] = 0
    assert column_lengths(volume.affine) == (1, 1, 1)


@pytest.mark.parametrize(
    ("affine", "text"),
    [
        (np.full((4, 4), np.nan), "not finite"),
        (np.diag([1e30, 1, 1, 1]), "absurdly large"),
        (np.diag([1.0, 1, 0, 1]), "singular"),
        (np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "singular"),
        (np.eye(3), "not finite"),
        (np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [9, 9, 9, 1]]), "last row"),
    ],
)
def test_an_invalid_affine_is_refused(affine: np.ndarray, text: str) -> None:
    with pytest.raises(GeometryError, match=f"The orientation is invalid: .*{text}"):
        Volume(array=np.zeros((2, 2, 2)), affine=affine)


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2, 2)])
def test_a_volume_has_two_or_three_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(GeometryError, match="A volume has 2 or 3 spatial axes, this array has the shape"):
        Volume(array=np.zeros(shape))


def test_a_volume_has_voxels() -> None:
    with pytest.raises(GeometryError, match=r"The image has no voxels \(0 x 9 x 10\)\."):
        Volume(array=np.zeros((0, 9, 10)))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0, 255], np.uint8),
        ([0, 256], np.uint16),
        ([0, 65536], np.int32),
        ([-1, 3], np.int32),
        ([0, 2**31 - 1], np.int32),
        ([False, True], np.uint8),
    ],
)
@pytest.mark.parametrize("source", [np.int64, np.int32, None])
def test_labels_take_the_smallest_integers_that_hold_them(values: list[int], dtype: type, source: type | None) -> None:
    array = np.array(values, source)
    assert smallest_integers(array).dtype == dtype
    assert smallest_integers(array).tolist() == values


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1])
def test_labels_beyond_32_bits_are_refused(value: int) -> None:
    with pytest.raises(GeometryError, match=f"Label values from .*{value}.* do not fit 32-bit integers; renumber"):
        smallest_integers(np.array([0, value]))


def test_labels_are_no_floats() -> None:
    with pytest.raises(GeometryError, match="Labels are whole numbers; this array holds float32"):
        LabelMap(array=np.zeros((2, 2, 2), np.float32))


def test_counts_list_empty_classes_and_unnamed_values() -> None:
    labels = LabelMap(array=np.array([[0, 1, 1], [7, 0, 0]]), classes=(LIVER, SPLEEN))
    assert labels.counts() == {1: 2, 2: 0, 7: 1}
    assert [labels.name_of(v) for v in (1, 7)] == ["Liver", "label 7"]


def test_an_annotation_knows_every_voxel_of_its_labels() -> None:
    labels = LabelMap(array=np.zeros((2, 3), np.uint8))
    assert Annotation(labels, np.ones((2, 3), bool)).missing == frozenset()
    with pytest.raises(GeometryError, match=r"The known mask has the shape \(3, 2\), the labels \(2, 3\)"):
        Annotation(labels, np.ones((3, 2), bool))


def test_a_console_shows_a_line_and_not_the_voxels() -> None:
    volume = Volume(array=np.zeros((2, 4, 5, 6), np.int16), affine=identity_affine((1, 1, 2.5)), has_channels=True)
    assert repr(volume) == "Volume(4x5x6 at 1 x 1 x 2.5 mm, int16, 2 channels)"
    classes = tuple(LabelClass(value, f"organ {value}", "#000000") for value in range(1, 12))
    labels = LabelMap(array=np.zeros((4, 5), np.uint8), affine=identity_affine(), classes=classes)
    assert repr(labels).startswith("LabelMap(4x5 at 1 x 1 mm, uint8: 1 organ 1, 2 organ 2")
    assert repr(labels).endswith("8 organ 8, ...)")
