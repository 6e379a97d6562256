"""A file's own grid beside an upright array: read, then write, is identity."""

from __future__ import annotations

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest

from napari_ganseg import io
from napari_ganseg.volume import Volume

AXES = [a + b + c for pairs in permutations(("LR", "PA", "IS")) for a, b, c in product(*pairs)]
FIELDS = ("pixdim", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y",
          "qoffset_z", "srow_x", "srow_y", "srow_z", "xyzt_units")  # fmt: skip


def affine_of(codes: str) -> np.ndarray:
    """An affine of three voxel sizes whose axes run towards the given sides."""
    affine = np.zeros((4, 4))
    for file, (world, sign) in enumerate(nib.orientations.axcodes2ornt(codes)):
        affine[int(world), file] = sign * (0.7, 0.8, 2.5)[file]
    affine[:, 3] = (-20, 10, 5, 1)
    return affine


def turned(codes: str, degrees: float) -> np.ndarray:
    """The same, turned about an axis that is none of the patient's."""
    axis = np.array([1.0, 2, -1]) / np.sqrt(6)
    cross = np.cross(np.eye(3), axis)
    radians = np.radians(degrees)
    turn = np.eye(4)
    turn[:3, :3] = np.eye(3) + np.sin(radians) * cross + (1 - np.cos(radians)) * cross @ cross
    return turn @ affine_of(codes)


def sheared(codes: str) -> np.ndarray:
    """The same, as a tilted gantry leaves it."""
    affine = affine_of(codes)
    affine[:3, 2] += 0.5 * affine[:3, 1]
    return affine


GRIDS = [affine_of(c) for c in AXES] + [turned(c, 20) for c in AXES[::5]] + [sheared(c) for c in AXES[::7]]
NAMES = AXES + [f"{c} oblique" for c in AXES[::5]] + [f"{c} sheared" for c in AXES[::7]]
every_grid = pytest.mark.parametrize("grid", GRIDS, ids=NAMES)


def file_voxels(volume: Volume, path) -> np.ndarray:
    """What the file holds at the millimetres of each voxel of the volume, as nibabel sees it."""
    image = nib.load(path)
    places = volume.to_mm(np.stack(np.indices(volume.shape), axis=-1))
    index = np.rint(nib.affines.apply_affine(np.linalg.inv(image.affine), places)).astype(int)
    return np.asanyarray(image.dataobj)[tuple(np.moveaxis(index, -1, 0))]


def test_there_are_48_ways_to_store_a_volume() -> None:
    assert len(set(AXES)) == 48


@every_grid
def test_every_voxel_keeps_its_millimetres(make, grid: np.ndarray) -> None:
    path = make(affine=grid)
    volume = io.read(path)
    assert np.array_equal(volume.array, file_voxels(volume, path))


@every_grid
def test_axes_grow_to_superior_anterior_right(make, grid: np.ndarray) -> None:
    z, y, x = io.read(make(affine=grid)).affine[:3, :3].T
    assert (np.argmax(np.abs([z, y, x]), axis=1) == (2, 1, 0)).all()
    assert min(z[2], y[1], x[0]) > 0


@every_grid
def test_labels_read_then_written_are_the_same_file_grid(make, regions, tmp_path, grid: np.ndarray) -> None:
    source = make("labels.nii", regions, grid)
    written = io.write(tmp_path / "again.nii.gz", io.read_labels(source))
    before, after = nib.load(source), nib.load(written)
    assert np.array_equal(np.asanyarray(after.dataobj), regions)
    assert np.array_equal(before.affine, after.affine)
    assert [before.header[f].tobytes() for f in FIELDS] == [after.header[f].tobytes() for f in FIELDS]


@every_grid
def test_labels_without_a_file_keep_their_millimetres(make, regions, tmp_path, grid: np.ndarray) -> None:
    labels = io.read_labels(make("labels.nii", regions, grid))
    again = io.read_labels(io.write(tmp_path / "again.nii", labels.derive(stored=None)))
    assert np.array_equal(labels.array, again.array)
    assert labels.same_grid_as(again)
    assert not [n for n in again.notes if "sheared" not in n]


@every_grid
def test_a_volume_written_and_read_is_the_same(make, tmp_path, grid: np.ndarray) -> None:
    volume = io.read(make(affine=grid))
    again = io.read(io.write(tmp_path / "again.nii.gz", volume))
    assert np.array_equal(volume.array, again.array)
    assert volume.array.dtype == again.array.dtype
    assert volume.same_grid_as(again)


def test_one_volume_in_48_orientations_is_one_array(make, ct, affine) -> None:
    upright = nib.Nifti1Image(ct, affine)
    arrays = []
    for codes in AXES:
        ornt = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(codes))
        image = upright.as_reoriented(ornt)
        arrays.append(io.read(make(f"{codes}.nii", np.asanyarray(image.dataobj), image.affine)))
    assert all(np.array_equal(a.array, ct.transpose(2, 1, 0)) for a in arrays)
    assert all(a.same_grid_as(arrays[0]) for a in arrays)


def test_a_shifted_affine_gives_shifted_labels(make, regions, affine) -> None:
    moved = affine.copy()
    moved[:3, 3] += (3, -4, 5)
    here, there = (io.read_labels(make(f"{n}.nii", regions, a)) for n, a in enumerate((affine, moved)))
    assert np.array_equal(here.array, there.array)
    assert np.allclose(there.to_mm((1, 2, 3)) - here.to_mm((1, 2, 3)), (3, -4, 5))


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR", "ASR", "PIL"])
def test_a_2d_file_stays_2d_and_keeps_its_place(make, regions, tmp_path, codes: str) -> None:
    source = make("slice.nii", regions[:, :, 5], affine_of(codes))
    labels = io.read_labels(source)
    again = io.read_labels(io.write(tmp_path / "again.nii", labels))
    fresh = io.read_labels(io.write(tmp_path / "fresh.nii", labels.derive(stored=None)))
    assert labels.array.ndim == 2
    assert sorted(labels.shape) == [8, 9]
    assert np.array_equal(np.asanyarray(nib.load(tmp_path / "again.nii").dataobj), regions[:, :, 5])
    for one in (again, fresh):
        assert np.array_equal(one.array, labels.array)
        assert one.same_grid_as(labels)


def test_a_2d_file_is_the_one_slice_volume(make, ct, affine) -> None:
    flat, thick = io.read(make("2d.nii", ct[:, :, 3], affine)), io.read(make("3d.nii", ct[:, :, 3:4], affine))
    assert np.array_equal(flat.array, thick.array[0])
    assert np.allclose(flat.affine, thick.affine)


def test_channels_come_first_and_survive_writing(make, ct, affine, tmp_path) -> None:
    path = make("rgb.nii.gz", np.stack([ct, ct + 1000], axis=-1)[..., np.newaxis, :], affine_of("LPS"))
    volume = io.read(path)
    again = io.read(io.write(tmp_path / "again.nii", volume))
    assert volume.has_channels
    assert volume.channels == 2
    assert np.array_equal(volume.array[1], volume.array[0] + 1000)
    assert np.array_equal(volume.array, again.array)


def test_labels_of_another_shape_are_not_put_on_the_file_grid(make, affine, tmp_path) -> None:
    volume = io.read(make())
    part = io.read_labels(make("labels.nii", np.ones((3, 3, 3), np.uint8), affine)).derive(stored=volume.stored)
    assert nib.load(io.write(tmp_path / "part.nii", part)).shape == (3, 3, 3)


def test_real_copies_in_other_orientations_are_one_volume(data_dir) -> None:
    paths = sorted((data_dir / "odd_inputs" / "nifti_48_orientations").glob("*.nii.gz"))
    volumes = [io.read(p) for p in paths]
    assert len(volumes) > 10
    assert all(np.array_equal(v.array, volumes[0].array) and v.same_grid_as(volumes[0]) for v in volumes)
