"""Headers that lie, contradict themselves or are no headers."""

from __future__ import annotations

import gzip
import re

import nibabel as nib
import numpy as np
import pytest

from napari_ganseg import io
from napari_ganseg.errors import FileError

BIG = 1024, 1024, 1024
SECOND = nib.Nifti2Image


def dims(*sizes: int) -> list[int]:
    """The header's dim field."""
    return [len(sizes), *sizes, *[1] * (7 - len(sizes))]


REFUSED = {
    "no dimension": ({"dim": [0, 8, 9, 10, 1, 1, 1, 1]}, "the header says 0 dimensions; 2 to 4 are supported."),
    "one dimension": ({"dim": dims(720)}, "the header says 1 dimension; 2 to 4 are supported."),
    "nine dimensions": ({"dim": [9, 8, 9, 10, 1, 1, 1, 1]}, "the header says 9 dimensions; 2 to 4 are supported."),
    "-1 dimensions": ({"dim": [-1, 8, 9, 10, 1, 1, 1, 1]}, "the header says -1 dimensions; 2 to 4 are supported."),
    "six dimensions": ({"dim": dims(8, 9, 5, 1, 1, 2)}, "the header says 6 dimensions; 2 to 4 are supported."),
    "size zero": ({"dim": dims(0, 9, 10)}, "the image has no voxels (0 x 9 x 10)."),
    "negative size": ({"dim": dims(8, -9, 10)}, "the header has a negative size."),
    "time and channels": ({"dim": dims(8, 9, 1, 5, 2)}, "the image has 5 dimensions (8 x 9 x 1 x 5 x 2); save one"),
    "2 GB claimed": ({"dim": dims(*BIG)}, "the file is damaged: 2,147,484,000 bytes expected, 1,792 found."),
    "RGB": ({"datatype": 128, "bitpix": 24}, "colour images are not CT/MRI data."),
    "RGBA": ({"datatype": 2304, "bitpix": 32}, "colour images are not CT/MRI data."),
    "complex": ({"datatype": 32, "bitpix": 64}, "the voxels are complex numbers; save their magnitude"),
    "datatype 0": ({"datatype": 0}, "the voxel type is unknown (datatype 0)."),
    "datatype 1": ({"datatype": 1, "bitpix": 1}, "the voxel type is unknown (datatype 1)."),
    "datatype 999": ({"datatype": 999}, "the voxel type is unknown (datatype 999)."),
    "bitpix lies": ({"bitpix": 64}, "the header contradicts itself: datatype 4 has 16 bits, it says 64."),
    "offset 0": ({"vox_offset": 0}, "the data start is wrong (offset 0)."),
    "offset NaN": ({"vox_offset": np.nan}, "the data start is wrong (offset nan)."),
    "offset infinite": ({"vox_offset": np.inf}, "the data start is wrong (offset inf)."),
    "offset negative": ({"vox_offset": -100}, "the data start is wrong (offset -100)."),
    "offset far away": ({"vox_offset": 1e12}, "the data start is wrong (offset 1e+12)."),
    "offset fractional": ({"vox_offset": 352.5}, "the data start is wrong (offset 352.5)."),
    "offset a little late": ({"vox_offset": 368}, "the file is damaged: 1,808 bytes expected, 1,792 found."),
    "slope infinite": ({"scl_slope": np.inf, "scl_inter": 0}, "the intensity scale is invalid (slope inf, offset 0)."),
    "offset of scale": ({"scl_slope": 1, "scl_inter": np.nan}, "the intensity scale is invalid (slope 1, offset nan)."),
    "slope too steep": ({"scl_slope": 3e38, "scl_inter": 0}, "values do not fit 32-bit floats."),
    "header size 999": ({"sizeof_hdr": 999}, "this is not a NIfTI file."),
    "wrong magic": ({"magic": b"n+9"}, "this is not a NIfTI file."),
    "no magic": ({"magic": b""}, "this is not a NIfTI file."),
}


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize(("fields", "text"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_trusted_is_refused(make, name: str, fields: dict, text: str) -> None:
    if name.endswith(".gz") and text.startswith("the file is damaged: 2,147,484,000"):
        text = "the compressed file ends too early (download again)."
    with pytest.raises(FileError, match=f"^Cannot open {name}: {re.escape(text)}"):
        io.read(make(name, **fields))


@pytest.mark.parametrize(
    ("kind", "sizes", "text"),
    [
        (nib.Nifti1Image, (32767, 32767, 32767), "70.4 TB are needed; limit "),
        (SECOND, (2**31, 2**31, 2**31), "19,807,040,628,566,08"),
        (SECOND, (2**62, 2, 2), "36,893,488.1 TB are needed; limit "),
    ],
)
@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_more_than_any_machine_has_is_refused(make, name, kind, sizes: tuple[int, ...], text: str) -> None:
    with pytest.raises(FileError, match=f"^Cannot open {name}: {text}"):
        io.read(make(name, kind=kind, dim=dims(*sizes)))


@pytest.mark.parametrize("slope", [0, np.nan])
def test_slope_zero_and_nan_mean_no_scaling(make, slope: float) -> None:
    volume = io.read(make(scl_slope=slope, scl_inter=7))
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, io.read(make("plain.nii")).array)


def test_a_slope_gives_the_values_nibabel_gives(make) -> None:
    path = make(scl_slope=0.37, scl_inter=-1024)
    volume = io.read(path)
    assert volume.array.dtype == np.float32
    assert np.array_equal(volume.array.T, nib.load(path).get_fdata(dtype=np.float64).astype(np.float32))


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize("esize", [0, -32, 2**31 - 16, 16])
def test_a_broken_extension_is_passed_over(tmp_path, build, ct, name: str, esize: int) -> None:
    content = build(vox_offset=384)
    sizes = esize.to_bytes(4, "little", signed=True) + (30).to_bytes(4, "little")
    content = content[:348] + b"\1\0\0\0" + sizes + b"<CaretExtension><LabelTa" + content[352:]
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert np.array_equal(io.read(tmp_path / name).array.T, ct)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, SECOND])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_every_version_order_and_type_gives_the_same_array(make, regions, dtype: str, kind, order: str) -> None:
    path = make("scan.nii.gz", regions.astype(dtype), kind=kind, order=order)
    volume = io.read(path)
    assert volume.array.dtype.isnative
    assert np.array_equal(volume.array.T, regions)
    assert np.array_equal(io.read_labels(path).array.T, regions)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, SECOND])
def test_a_pair_in_one_file_is_read_and_said(make, ct, kind) -> None:
    magic = b"ni1" if kind is nib.Nifti1Image else b"ni2\0\r\n\x1a\n"
    volume = io.read(make(kind=kind, magic=magic))
    assert np.array_equal(volume.array.T, ct)
    assert volume.notes == ("its header says that the voxels lie in another file; those that follow it are used.",)


def test_a_real_nifti_2_file_is_read(data_dir) -> None:
    path = data_dir / "odd_inputs" / "nibabel" / "example_nifti2.nii.gz"
    volume = io.read(path, frame=1)
    assert np.array_equal(np.sort(volume.array, axis=None), np.sort(nib.load(path).get_fdata()[..., 1], axis=None))
