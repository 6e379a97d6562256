"""Numbers in files: NaN, infinity, wide integers, and labels that are no whole numbers."""

from __future__ import annotations

import re

import numpy as np
import pytest

from napari_ganseg import io
from napari_ganseg.errors import FileError
from napari_ganseg.io.voxels import image_values, label_values


def broken(ct: np.ndarray, count: int, value: float, dtype: str = "f4") -> np.ndarray:
    """The first `count` voxels replaced."""
    array = ct.astype(dtype)
    array.flat[:count] = value
    return array


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_a_few_bad_voxels_become_the_smallest_value_and_are_said(make, ct, name, value: float, dtype: str) -> None:
    volume = io.read(make(name, broken(ct, 3, value, dtype)))
    least = ct.flat[3:].min()
    assert volume.notes == (f"3 voxels are NaN or infinite; replaced by {least} (shown in layer metadata).",)
    assert np.array_equal(volume.array.T, broken(ct, 3, least))
    assert volume.array.dtype == np.float32


def test_one_bad_voxel_is_one(make, ct) -> None:
    assert "1 voxel is NaN or infinite; replaced by" in io.read(make("x.nii", broken(ct, 1, np.nan))).notes[0]


@pytest.mark.parametrize(("count", "share"), [(37, 5), (72, 10), (720, 100)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_many_bad_voxels_are_no_scan(make, ct, count: int, share: int, value: float) -> None:
    text = re.escape(f"{count} voxels are NaN or infinite ({share} %); this is no scan.")
    with pytest.raises(FileError, match=f"^Cannot open x.nii: {text}$"):
        io.read(make("x.nii", broken(ct, count, value)))


def test_up_to_five_percent_are_repaired(make, ct) -> None:
    assert np.isfinite(io.read(make("x.nii", broken(ct, 36, np.nan))).array).all()


@pytest.mark.parametrize("value", [1e300, -1e39])
def test_one_finite_value_beyond_float32_is_refused(make, ct, value: float) -> None:
    with pytest.raises(FileError, match=r"values do not fit 32-bit floats\.$"):
        io.read(make("x.nii", broken(ct, 1, value, "f8")))


def test_a_slope_may_not_leave_float32(make) -> None:
    with pytest.raises(FileError, match=r"values do not fit 32-bit floats\.$"):
        io.read(make(scl_slope=1e38, scl_inter=0))


def test_bad_voxels_in_a_scaled_image_are_repaired_after_scaling(make, ct) -> None:
    volume = io.read(make("x.nii", broken(ct, 1, np.nan), scl_slope=2, scl_inter=1))
    assert volume.array.flat[0] == volume.array.min() == 2 * ct.flat[1:].min() + 1


@pytest.mark.parametrize("value", [0, -1024])
def test_a_constant_image_is_an_image(make, value: int) -> None:
    volume = io.read(make("x.nii", np.full((8, 9, 10), value, np.int16)))
    assert (volume.array == value).all()


def test_a_ct_without_its_shift_keeps_its_numbers(make, ct) -> None:
    assert io.read(make("x.nii", (ct + 300).astype(np.uint16))).array.dtype == np.uint16


@pytest.mark.parametrize(
    ("values", "dtype", "result"),
    [
        ([-5, 2**31 - 1], np.int64, np.int32),
        ([0, 2**31 - 1], np.uint64, np.int32),
        ([0, 2**31], np.uint32, np.float32),
        ([0, 2**63], np.uint64, np.float32),
        ([-(2**40), 0], np.int64, np.float32),
        ([0, 7], np.uint32, np.int32),
    ],
)
def test_wide_integers_are_narrowed_where_they_fit(values: list[int], dtype: type, result: type) -> None:
    array, notes = image_values(np.array([[values]], dtype), 1, 0)
    assert array.dtype == result
    assert array.tolist() == [[values]]
    assert notes == []


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "u2", "i8", "u8"])
def test_label_files_of_any_type_hold_whole_numbers(make, regions, dtype: str) -> None:
    labels = io.read_labels(make("seg.nii.gz", regions.astype(dtype)))
    assert labels.array.dtype == np.uint8
    assert np.array_equal(labels.array.T, regions)


def test_label_files_that_are_scaled_to_whole_numbers_are_read(make, regions) -> None:
    labels = io.read_labels(make("seg.nii", regions * 10, scl_slope=0.1, scl_inter=0))
    assert np.array_equal(labels.array.T, regions)


@pytest.mark.parametrize(
    ("dtype", "value", "text"),
    [
        ("f4", 1.5, "it holds the value 1.5; labels are whole numbers."),
        ("f8", 0.01, "it holds the value 0.01; labels are whole numbers."),
        ("f4", np.nan, "it holds the value nan; labels are whole numbers."),
        ("f4", np.inf, "it holds the value inf; labels are whole numbers."),
        ("f8", 1e300, "it holds the value 1e+300; labels fit 32-bit integers."),
        ("f4", 2.0**31, "it holds the value 2.14748e+09; labels fit 32-bit integers."),
        ("u8", 2**32 + 1, "Label values from 0 to 4294967297 do not fit 32-bit integers; renumber them first."),
        ("i8", -(2**40), "Label values from -1099511627776 to 3 do not fit 32-bit integers; renumber them first."),
    ],
)
def test_labels_that_are_none_are_refused_by_name(make, regions, dtype: str, value: float, text: str) -> None:
    array = regions.astype(dtype)
    array[0, 0, 0] = value
    with pytest.raises(FileError, match=f"^Cannot open seg.nii: {re.escape(text)}$"):
        io.read_labels(make("seg.nii", array))


def test_negative_labels_are_kept(make, regions) -> None:
    labels = io.read_labels(make("seg.nii", regions.astype(np.int16) - 1))
    assert labels.array.dtype == np.int32
    assert labels.array.min() == -1


def test_rounding_of_scaled_labels_is_forgiven_and_no_more() -> None:
    assert label_values(np.array([[[1.0005, 2.9995]]]), 1, 0).tolist() == [[[1, 3]]]
    with pytest.raises(FileError, match=r"it holds the value 1\.002"):
        label_values(np.array([[[1.002]]]), 1, 0)
