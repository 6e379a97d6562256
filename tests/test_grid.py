"""Resample, pad and crop: what they change, and that it can be undone."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ganseg.errors import GeometryError
from napari_ganseg.grid import crop, pad, resample
from napari_ganseg.volume import LabelMap, Volume, identity_affine

SHAPES = [(9, 10, 11), (7, 12)]


def tilted() -> np.ndarray:
    """An oblique, sheared affine far from the origin."""
    affine = np.eye(4)
    affine[:3, :3] = [[0.1, 0.2, 0.6], [0.3, 0.9, -0.1], [2.5, -0.2, 0.1]]
    affine[:3, 3] = (30, -70, 110)
    return affine


def noise(shape: tuple[int, ...]) -> Volume:
    array = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    return Volume(array=array, affine=tilted(), stored="a file", has_channels=len(shape) == 4)


def ramp(shape: tuple[int, ...], affine: np.ndarray) -> Volume:
    """A volume whose value is a linear function of the place in the patient."""
    blank = Volume(array=np.zeros(shape, np.float32), affine=affine)
    places = blank.to_mm(np.stack(np.indices(shape), axis=-1))
    return blank.derive(array=(places @ (0.3, -0.2, 0.5)).astype(np.float32))


def blobs(shape: tuple[int, ...]) -> LabelMap:
    array = np.random.default_rng(2).integers(0, 4, shape, dtype=np.uint8)
    return LabelMap(array=array, affine=tilted(), stored="a file")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("made", [noise, blobs])
def test_pad_then_undo_is_identity(made, shape: tuple[int, ...]) -> None:
    grid = made(shape)
    padded, undo = pad(grid, [n + 5 for n in shape], value=3)
    back = undo(padded)
    assert padded.shape == tuple(n + 5 for n in shape)
    assert np.array_equal(back.array, grid.array)
    assert back.same_grid_as(grid)
    assert back.stored == "a file"


def test_pad_leaves_large_axes_and_channels_alone() -> None:
    grid = noise((2, 9, 10, 11))
    padded, undo = pad(grid, (12, 4, 11), value=-1)
    assert padded.array.shape == (2, 12, 10, 11)
    assert np.array_equal(undo(padded).array, grid.array)


@pytest.mark.parametrize("shape", SHAPES)
def test_pad_and_crop_leave_every_voxel_in_its_place(shape: tuple[int, ...]) -> None:
    grid = ramp(shape, tilted())
    padded, _ = pad(grid, [n + 3 for n in shape])
    cut, _ = crop(padded, [slice(1, 1 + n) for n in shape])
    part, _ = crop(grid, [slice(2, -1) for _ in shape])
    assert cut.same_grid_as(grid)
    assert np.array_equal(cut.array, grid.array)
    assert np.allclose(part.array, ramp(part.shape, part.affine).array, atol=1e-4)


def test_crop_then_undo_is_identity_inside_the_box_and_empty_outside() -> None:
    labels = blobs((9, 10, 11))
    box = (slice(2, 7), slice(0, 4), slice(5, 99))
    part, undo = crop(labels, box)
    back = undo(part)
    assert np.array_equal(back.array[box], labels.array[box])
    assert np.count_nonzero(back.array) == np.count_nonzero(part.array)
    assert back.same_grid_as(labels)
    assert back.stored == "a file"
    assert part.stored is None


def test_crop_keeps_channels() -> None:
    part, _ = crop(noise((2, 9, 10, 11)), (slice(1, 3), slice(None), slice(None)))
    assert part.array.shape == (2, 2, 10, 11)


@pytest.mark.parametrize("box", [slice(20, 30), slice(5, 5), slice(6, 2)])
def test_a_box_outside_the_image_is_refused(box: slice) -> None:
    with pytest.raises(GeometryError, match="The region lies outside the image; draw it over the scan"):
        crop(blobs((9, 10, 11)), (box, slice(None), slice(None)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("factor", [0.4, 0.5, 1.7, 3.0])
def test_resample_keeps_the_centre_and_the_directions(shape: tuple[int, ...], factor: float) -> None:
    grid = noise(shape)
    new, _ = resample(grid, [s * factor for s in grid.spacing_mm])
    centres = [g.to_mm([(n - 1) / 2 for n in g.shape]) for g in (grid, new)]
    assert np.allclose(*centres)
    assert new.spacing_mm == pytest.approx([s * factor for s in grid.spacing_mm])
    assert new.stored is None


@pytest.mark.parametrize("factor", [0.35, 0.5, 0.9])
@pytest.mark.parametrize("shape", SHAPES)
def test_labels_made_finer_then_undone_are_the_same(shape: tuple[int, ...], factor: float) -> None:
    labels = blobs(shape)
    fine, undo = resample(labels, [s * factor for s in labels.spacing_mm])
    back = undo(fine)
    assert np.array_equal(back.array, labels.array)
    assert back.stored == "a file"


@pytest.mark.parametrize("factor", [0.3, 0.8, 1.3, 2.4])
def test_undo_brings_back_shape_and_place_and_invents_no_label(factor: float) -> None:
    labels = blobs((20, 21, 22))
    new, undo = resample(labels, [s * factor for s in labels.spacing_mm])
    back = undo(new)
    assert back.same_grid_as(labels)
    assert set(np.unique(new.array)) <= set(np.unique(labels.array))
    assert new.array.dtype == back.array.dtype == np.uint8


@pytest.mark.parametrize("factor", [0.4, 0.7, 1.6, 2.2])
def test_a_linear_image_stays_what_it_is_in_millimetres(factor: float) -> None:
    grid = ramp((30, 31, 32), tilted())
    new, undo = resample(grid, [s * factor for s in grid.spacing_mm])
    inner = (slice(round(6 / factor), -round(6 / factor)),) * 3
    assert np.allclose(new.array[inner], ramp(new.shape, new.affine).array[inner], atol=1e-3)
    inner = (slice(8, -8),) * 3
    assert np.allclose(undo(new).array[inner], grid.array[inner], atol=1e-3)


@pytest.mark.parametrize("made", [noise, blobs])
def test_a_shifted_affine_gives_the_same_voxels_shifted(made) -> None:
    grid = made((9, 10, 11))
    moved = grid.affine.copy()
    moved[:3, 3] += (5, -6, 7)
    wanted = [s * 1.7 for s in grid.spacing_mm]
    (here, _), (there, _) = resample(grid, wanted), resample(grid.derive(affine=moved), wanted)
    assert np.array_equal(here.array, there.array)
    assert np.allclose(there.affine - here.affine, moved - grid.affine)


def test_the_same_spacing_changes_nothing() -> None:
    grid = noise((9, 10, 11))
    new, undo = resample(grid, grid.spacing_mm)
    assert new is grid
    assert undo(new) is grid


def test_a_thin_stack_keeps_at_least_one_slice() -> None:
    grid = Volume(array=np.ones((2, 8, 8), np.float32), affine=identity_affine((1.0, 1.0, 1.0)))
    new, undo = resample(grid, (10.0, 1.0, 1.0))
    assert new.shape == (1, 8, 8)
    assert np.array_equal(undo(new).array, grid.array)


def test_integers_become_floats_where_they_are_interpolated() -> None:
    grid = Volume(array=np.arange(8, dtype=np.int16).reshape(2, 2, 2))
    assert resample(grid, (0.5, 0.5, 0.5))[0].array.dtype == np.float32


def test_shrinking_does_not_alias() -> None:
    stripes = Volume(array=np.tile(np.array([0, 100], np.float32), (16, 16, 8)))
    small, _ = resample(stripes, (1.0, 1.0, 4.0))
    assert np.allclose(small.array[..., 1:-1], 50, atol=1)
