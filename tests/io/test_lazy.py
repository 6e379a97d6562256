"""Scans read piece by piece hold what they hold when they are read whole, and never come whole unasked."""

from __future__ import annotations

import gzip
import os
import shutil
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import psutil
import pytest

from napari_ganseg import io
from napari_ganseg.errors import FileError
from napari_ganseg.io import lazy, pieces
from napari_ganseg.io.lazy import LazyArray, lazily
from napari_ganseg.io.pieces import is_large

DTYPES = ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
INDICES: tuple[Any, ...] = (
    ..., 3, -1, (..., 2), (1, 2, 3), slice(2, 5), slice(None, None, 3), (slice(None), 4, slice(1, 7, 2)),
    (..., slice(None, None, 2), slice(None, None, 2)), (slice(6, 1, -2), slice(None), slice(None, None, -1)),
    slice(5, 5), (0, slice(-3, None)), (np.int64(2), ...),
)  # fmt: skip


def is_same(path: Path, **options: Any) -> bool:
    """Whether both ways of reading agree in everything, voxels bit for bit."""
    whole, left = io.read(path, **options), io.read(path, lazy=True, **options)
    assert isinstance(left.array, LazyArray)
    array = np.asarray(left.array)
    assert (array.dtype, left.array.dtype) == (whole.array.dtype,) * 2
    assert (left.shape, left.notes, left.stored) == (whole.shape, whole.notes, whole.stored)
    assert np.array_equal(left.affine, whole.affine)
    assert left.array.extremes() == (whole.array.min(), whole.array.max())
    return np.array_equal(array, whole.array)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_every_orientation_is_read_as_it_is_whole(make, ct, affine, axes: tuple[int, ...], tmp_path) -> None:
    upright = nib.Nifti1Image(ct, affine)
    for flips in product((1, -1), repeat=3):
        turned = upright.as_reoriented(np.array(list(zip(axes, flips, strict=True)), float))
        nib.save(turned, tmp_path / "scan.nii")
        assert is_same(tmp_path / "scan.nii")
        whole, left = (io.read(tmp_path / "scan.nii", lazy=how).array for how in (False, True))
        assert all(np.array_equal(left[index], whole[index]) for index in INDICES)
        assert all(left[index].shape == whole[index].shape for index in INDICES)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [{}, {"scl_slope": 0.3, "scl_inter": -1024}])
def test_every_voxel_type_is_read_as_it_is_whole(make, ct, order: str, dtype: str, scale: dict[str, float]) -> None:
    assert is_same(make("x.nii", (ct + 300).astype(dtype), order=order, **scale))


@pytest.mark.parametrize("value", [2**31 - 1, 2**31, 2**53 + 1])
def test_wide_integers_stay_integers_where_they_fit(make, ct, value: int) -> None:
    array = ct.astype(np.int64)
    array[2, 3, 4] = value
    assert is_same(make("x.nii", array))


@pytest.mark.parametrize("half", ["scan.hdr", "scan.img"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic", [b"ni1", b""])
def test_a_pair_is_read_as_it_is_whole(make_pair, half: str, order: str, magic: bytes) -> None:
    assert is_same(make_pair(order=order, magic=magic).with_name(half))


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("shape", [(8, 9), (8, 9, 1), (1, 1, 1), (3, 1, 10), (1, 9, 10), (4, 5, 6, 1)])
def test_slices_and_small_volumes_are_read_as_they_are_whole(make, kind: Any, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    for affine in (np.diag([-1.0, 1, 2, 1]), np.diag([1.0, -1, 2, 1]), None):
        assert is_same(make("x.nii", array, affine, kind=kind))


def test_a_frame_is_read_as_it_is_whole(make, ct) -> None:
    path = make("x.nii", np.stack([ct + t for t in range(5)], axis=-1))
    assert is_same(path, frame=3)
    for choice in ({}, {"frame": 5}):
        with pytest.raises(FileError, match=r"^Cannot open x.nii: it (holds 5 images|has 5 frames)"):
            io.read(path, lazy=True, **choice)


def test_what_is_not_finite_is_replaced_by_the_least_of_the_whole_scan(make, ct, monkeypatch) -> None:
    monkeypatch.setattr(lazy, "AT_ONCE", 1000)
    array = ct.astype(np.float32)
    array[3, 4, 5:8] = np.nan, np.inf, -np.inf
    path = make("x.nii", array)
    assert is_same(path)
    scan = io.read(path, lazy=True)
    assert scan.notes == ("3 voxels are NaN or infinite; replaced by -300 (shown in layer metadata).",)
    assert scan.array[5, 4, 3] == -300


@pytest.mark.parametrize(("value", "words"), [(np.nan, r"180 voxels are NaN or infinite \(25 %\); this is no scan"),
                                              (1e300, "values do not fit 32-bit floats")])  # fmt: skip
def test_what_is_no_scan_is_refused_before_any_of_it_is_given_out(make, ct, value: float, words: str) -> None:
    array = ct.astype(np.float64)
    array[:2] = value
    for how in (False, True):
        with pytest.raises(FileError, match=f"^Cannot open x.nii: {words}"):
            io.read(make("x.nii", array), lazy=how)


@pytest.mark.parametrize("size", [0, 100, 352, 1000, 1791])
def test_a_truncated_file_is_refused_when_it_is_opened(make, size: int) -> None:
    path = make("x.nii")
    os.truncate(path, size)
    with pytest.raises(FileError) as whole:
        io.read(path)
    with pytest.raises(FileError) as left:
        io.read(path, lazy=True)
    assert str(left.value) == str(whole.value)


def test_a_file_much_longer_than_its_header_says_is_refused(make) -> None:
    path = make("x.nii")
    path.write_bytes(path.read_bytes() + bytes(2**21))
    with pytest.raises(FileError, match="the header does not fit the file"):
        io.read(path, lazy=True)


def test_a_file_that_is_cut_or_changed_later_ends_in_words(make) -> None:
    path = make("x.nii")
    scan = io.read(path, lazy=True)
    os.truncate(path, 1000)
    with pytest.raises(FileError, match=r"^Cannot open x.nii: the file changed while it was being read; open it again"):
        scan.array[9]
    path.unlink()
    with pytest.raises(FileError, match=r"^Cannot open x.nii: missing file x.nii\.$"):
        scan.array[9]


def test_a_file_that_ends_while_it_is_read_ends_in_words(make, monkeypatch) -> None:
    path = make("x.nii")
    scan = io.read(path, lazy=True)
    monkeypatch.setattr(pieces, "stamp", lambda file: scan.array.source.stamp)
    os.truncate(path, 1000)
    with pytest.raises(FileError, match="it ended early"):
        np.asarray(scan.array)


@pytest.mark.parametrize("name", ["x.nii.gz", "packed.nii"])
def test_a_packed_file_is_read_whole_and_it_is_said(make, ct, name: str) -> None:
    path = make("x.nii.gz")
    if name != path.name:
        path = shutil.copy(path, path.with_name(name))
    scan = io.read(path, lazy=True)
    assert isinstance(scan.array, np.ndarray)
    assert np.array_equal(scan.array.T, ct)
    assert scan.notes == ("read whole: a compressed file cannot be read piece by piece; unpack it (gunzip) if it is "
                          "larger than memory.",)  # fmt: skip


def test_a_pair_with_a_packed_header_is_read_piece_by_piece_and_one_with_packed_voxels_whole(make_pair) -> None:
    header = make_pair()
    image = header.with_suffix(".img")
    header.with_name("scan.hdr.gz").write_bytes(gzip.compress(header.read_bytes()))
    header.unlink()
    assert is_same(image)
    image.with_name("scan.img.gz").write_bytes(gzip.compress(image.read_bytes()))
    image.unlink()
    assert "read whole" in io.read(image.with_name("scan.img.gz"), lazy=True).notes[-1]


def test_channels_are_read_whole_and_it_is_said(make, ct) -> None:
    scan = io.read(make("x.nii", np.stack([ct, -ct], axis=-1)), channels=True, lazy=True)
    assert isinstance(scan.array, np.ndarray)
    assert scan.notes[-1] == "read whole: several channels are not read piece by piece."


def test_pictures_are_read_whole_and_it_is_said(tmp_path) -> None:
    from PIL import Image

    Image.fromarray(np.arange(30, dtype=np.uint8).reshape(5, 6)).save(tmp_path / "x.png")
    assert io.read(tmp_path / "x.png", lazy=True).notes[-1] == "read whole: a picture cannot be read piece by piece."


@pytest.mark.parametrize("index", [[1, 2], np.array([1]), None, True, np.zeros((10, 9, 8), bool), 1.0])
def test_lists_and_masks_are_refused_as_indices(make, index: Any) -> None:
    with pytest.raises(IndexError, match=r"takes whole numbers, slices and `\.\.\.`"):
        io.read(make(), lazy=True).array[index]


@pytest.mark.parametrize("index", [10, -11, (0, 9), (0, 0, 0, 0), (..., ...)])
def test_what_lies_outside_is_refused_as_an_index(make, index: Any) -> None:
    with pytest.raises(IndexError):
        io.read(make(), lazy=True).array[index]


def test_a_piece_reads_no_more_of_the_file_than_its_planes(make, monkeypatch) -> None:
    scan, read = io.read(make(), lazy=True), []
    fromfile = np.fromfile
    monkeypatch.setattr(pieces.np, "fromfile", lambda file, dtype, n: read.append(n) or fromfile(file, dtype, n))
    assert scan.array[4:6].shape == (2, 9, 8)
    assert sum(read) == 2 * 9 * 8
    read.clear()
    assert scan.array[:, 3:5].shape == (10, 2, 8)
    assert sum(read) == 10 * 2 * 8


def test_opening_integers_reads_no_voxel(make, monkeypatch) -> None:
    monkeypatch.setattr(pieces.np, "fromfile", None)
    assert io.read(make(), lazy=True).array.shape == (10, 9, 8)


def test_dask_takes_it_as_an_array(make, ct) -> None:
    dask = pytest.importorskip("dask.array")
    array = dask.from_array(io.read(make(), lazy=True).array, chunks=4)
    assert np.array_equal(array.compute().T, ct)


def test_an_array_of_another_kind_is_turned_and_repaired_as_it_is_read() -> None:
    dask = pytest.importorskip("dask.array")
    whole = np.random.default_rng(0).normal(size=(7, 8, 9))
    whole[1, 2, 3] = np.nan
    array, notes = lazily(dask.from_array(whole, chunks=3), axes=(2, 0, 1), flips=(True, False, True))
    expected = np.where(np.isnan(whole), np.nanmin(whole), whole).astype(np.float32).transpose(2, 0, 1)[::-1, :, ::-1]
    assert np.array_equal(array, expected)
    assert len(notes) == 1


def test_a_file_is_large_against_the_free_memory_unless_it_is_packed(make, monkeypatch) -> None:
    plain, packed = make("x.nii"), make("y.nii.gz")
    assert not is_large(plain)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("", (), {"available": 4000, "total": 4000}))
    assert is_large(plain)
    assert not is_large(packed)
    assert not is_large(plain.with_name("nothing.nii"))
