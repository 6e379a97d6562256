"""Placement: how a layer's array lies in a scan's grid; laws over all 48 ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hands import OBLIQUE, MakeScan

import napari_ganseg as ganseg
from napari_ganseg.errors import FileError
from napari_ganseg.plugin.placement import (
    Placement,
    assumed,
    display,
    matched,
    orientation_codes,
    world_letters,
)
from napari_ganseg.volume import Volume

ARRAY = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)


@pytest.mark.parametrize("codes", orientation_codes())
def test_as_layer_undoes_upright_whatever_the_letters(codes: str) -> None:
    placement = assumed(ARRAY.shape, (1, 2, 3), "array", codes)
    assert placement.layer_shape == ARRAY.shape
    upright = placement.upright(ARRAY)
    assert upright.shape == placement.shape
    np.testing.assert_array_equal(placement.as_layer(upright), ARRAY)


@pytest.mark.parametrize("codes", orientation_codes())
def test_each_letter_says_where_its_axis_grows_to(codes: str) -> None:
    placement = assumed(ARRAY.shape, (1, 2, 3), "array", codes)
    places = np.stack(np.indices(ARRAY.shape), axis=-1)
    upright = [placement.upright(places[..., axis]) for axis in range(3)]
    volume = Volume(array=placement.upright(ARRAY), affine=placement.affine)
    for axis, letter in enumerate(codes):
        low, high = (volume.to_mm(np.argwhere(upright[axis] == i)).mean(axis=0) for i in (0, ARRAY.shape[axis] - 1))
        world, direction = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}[letter]
        grown = (high - low)[world] * direction
        assert grown == pytest.approx((ARRAY.shape[axis] - 1) * (1, 2, 3)[axis])


def test_there_are_48_ways_and_the_likeliest_comes_first() -> None:
    assert len(set(orientation_codes())) == 48
    assert orientation_codes()[0] == "SPL"


@pytest.mark.parametrize("codes", ["RAS", "PIR", "LSA"])
def test_other_readers_array_is_matched_to_its_file(make_scan: MakeScan, voxels: np.ndarray, codes: str) -> None:
    volume = ganseg.read(make_scan(affine=OBLIQUE))
    turned = np.flip(np.transpose(volume.array, (1, 2, 0)), axis=2).astype(np.float64) * (1 + 1e-7)
    placement = matched(turned, volume, "other")
    assert placement is not None
    np.testing.assert_allclose(placement.upright(turned), volume.array, rtol=1e-5)
    assert placement.stored is volume.stored


def test_symmetric_or_foreign_arrays_are_not_matched(make_scan: MakeScan, voxels: np.ndarray) -> None:
    even = ganseg.read(make_scan(array=np.full((5, 6, 7), 3, np.int16)))
    assert matched(even.array, even, "even") is None
    volume = ganseg.read(make_scan())
    assert matched(volume.array + 1, volume, "brighter") is None
    assert matched(volume.array[0], volume, "slice") is None


def test_oblique_scan_is_shown_unrotated_about_its_true_centre(make_scan: MakeScan) -> None:
    volume = ganseg.read(make_scan(codes="IPL", affine=OBLIQUE))
    scale, translate = display(Placement.of(volume, "scan"))
    np.testing.assert_allclose(scale, volume.spacing_mm)
    middle = (np.array(volume.shape) - 1) / 2
    np.testing.assert_allclose(np.add(translate, middle * scale), volume.to_mm(middle)[::-1])


@pytest.mark.parametrize(
    ("plane", "letters"), [((0, 1, 2), ("A", "R")), ((0, 2, 1), ("S", "R")), ((1, 2, 0), ("S", "A"))]
)
def test_slice_keeps_the_world_axes_of_its_plane(
    tmp_path: Path, plane: tuple[int, ...], letters: tuple[str, ...]
) -> None:
    import nibabel as nib

    affine = np.zeros((4, 4))
    affine[plane, (0, 1, 2)], affine[3, 3], affine[:3, 3] = (2, 3, 4), 1, (10, 20, 30)
    image = nib.Nifti1Image(np.arange(30, dtype=np.int16).reshape(6, 5) - 7, affine)
    nib.save(image, tmp_path / "slice.nii")
    placement = Placement.of(ganseg.read(tmp_path / "slice.nii"), "slice")
    assert world_letters(placement) == tuple(letters)
    assert display(placement)[1] == tuple(float(affine["RAS".index(letter), 3]) for letter in letters)


def test_flat_array_is_taken_as_it_is_and_says_so() -> None:
    placement = assumed((5, 6), (1, 1), "picture", "SPL")
    assert placement.assumption == "orientation unknown: picture is taken as it is; left and right may be swapped."
    np.testing.assert_array_equal(placement.upright(ARRAY[0]), ARRAY[0])


def test_volume_of_a_layer_is_finite_and_real_or_refused() -> None:
    placement = assumed(ARRAY.shape, (1, 1, 1), "array")
    holed = ARRAY.astype(np.float64)
    holed[0, 0, 0] = np.inf
    volume = placement.volume(holed)
    assert volume.array.dtype == np.float32
    assert np.isfinite(volume.array).all()
    assert volume.notes[-1].startswith("1 voxel is NaN or infinite")
    assert placement.volume(ARRAY > 0).array.dtype == np.float32
    with pytest.raises(FileError, match="this is no scan"):
        placement.volume(np.full(ARRAY.shape, np.nan))
