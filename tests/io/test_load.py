"""Files of one and of two parts, packed and plain, under any name."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_ganseg import io
from napari_ganseg.errors import FileError
from napari_ganseg.io.names import stem

UNKNOWN = "orientation unknown: left and right may be swapped."
NAMES = ("plain.nii", "two  words.nii", "new\nline.nii", "rtl\u202egpj.nii", "%s{x}.nii", "-x.nii", "Кость.NII",
         "SCAN.NII.GZ", "b\udcffd.nii", "x" * 246 + ".nii", "\U0001f9e0" * 61 + ".nii.gz", "'\"$(x).nii")  # fmt: skip
linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems forbid some of these names")


@pytest.mark.parametrize("half", ["scan.hdr", "scan.img"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_either_half_of_a_pair_opens_both(make_pair, ct, half: str, order: str) -> None:
    volume = io.read(make_pair(order=order).with_name(half))
    assert np.array_equal(volume.array.T, ct)
    assert volume.spacing_mm == (3, 2, 1)


@pytest.mark.parametrize("names", [("A.HDR", "A.IMG"), ("A.HDR", "A.img"), ("a.hdr", "a.IMG"), ("a.hdr.gz", "a.img"),
                                   ("a.hdr", "a.img.gz"), ("a.hdr.gz", "a.img.gz")])  # fmt: skip
def test_halves_find_each_other_packed_and_in_capitals(make_pair, ct, tmp_path, names: tuple[str, str]) -> None:
    header = make_pair("source.hdr")
    for source, name in zip((header, header.with_suffix(".img")), names, strict=True):
        content = source.read_bytes()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    for name in names:
        assert np.array_equal(io.read(tmp_path / name).array.T, ct)


@pytest.mark.parametrize(("given", "gone"), [("scan.hdr", "scan.img"), ("scan.img", "scan.hdr")])
def test_a_missing_half_is_named(make_pair, given: str, gone: str) -> None:
    path = make_pair()
    path.with_name(gone).unlink()
    with pytest.raises(FileError, match=f"^Cannot open {given}: missing file {gone}\\.$"):
        io.read(path.with_name(given))


def test_an_image_half_that_is_short_is_refused(make_pair) -> None:
    path = make_pair()
    os.truncate(path.with_suffix(".img"), 1240)
    with pytest.raises(FileError, match=r"the file is damaged: 1,440 bytes expected, 1,240 found\.$"):
        io.read(path)


@linux
def test_an_image_half_that_is_a_pipe_is_refused(make_pair) -> None:
    path = make_pair()
    path.with_suffix(".img").unlink()
    os.mkfifo(path.with_suffix(".img"))
    with pytest.raises(FileError, match=r"this is not a regular file\.$"):
        io.read(path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_analyze_is_accepted_and_its_orientation_doubted(make_pair, ct, order: str) -> None:
    path = make_pair(order=order, magic=b"", sform_code=0, pixdim=[0, 1, 2, 3, 0, 0, 0, 0])
    volume = io.read(path)
    assert np.array_equal(volume.array[..., ::-1].T, ct)
    assert volume.spacing_mm == (3, 2, 1)
    assert volume.notes == (UNKNOWN,)


def test_analyze_has_no_fields_where_nifti_keeps_its_orientation(make_pair) -> None:
    path = make_pair(magic=b"", sform_code=1, qform_code=2, srow_x=[5, 0, 0, 0], scl_inter=9, xyzt_units=7)
    volume = io.read(path)
    assert volume.notes == (UNKNOWN,)
    assert volume.array.dtype == np.int16


def test_the_scale_that_spm_keeps_in_analyze_is_used(make_pair, ct) -> None:
    path = make_pair(magic=b"", sform_code=0, scl_slope=0.5)
    assert np.array_equal(io.read(path).array[..., ::-1].T, ct * 0.5)


def test_labels_for_an_analyze_scan_stay_on_its_grid_and_claim_no_orientation(make_pair, tmp_path) -> None:
    volume = io.read(make_pair(magic=b"", sform_code=0))
    labels = io.read_labels(make_pair("seg.hdr", magic=b"", sform_code=0)).derive(stored=volume.stored)
    written = io.write(tmp_path / "again.nii.gz", labels)
    header = nib.load(written).header
    assert (int(header["qform_code"]), int(header["sform_code"])) == (0, 0)
    again = io.read_labels(written)
    assert again.same_grid_as(volume)
    assert again.notes == (UNKNOWN,)
    assert np.array_equal(again.array, labels.array)


def test_magic_less_headers_are_analyze_only_beside_an_image(make_pair, tmp_path) -> None:
    path = make_pair(magic=b"")
    shutil.copy(path, tmp_path / "alone.nii")
    with pytest.raises(FileError, match=r"^Cannot open alone\.nii: this is not a NIfTI file\.$"):
        io.read(tmp_path / "alone.nii")


def test_content_decides_not_the_name(make, tmp_path, ct) -> None:
    packed, plain = make("a.nii.gz"), make("b.nii")
    packed.rename(tmp_path / "packed.nii")
    plain.rename(tmp_path / "plain.nii.gz")
    for name in ("packed.nii", "plain.nii.gz"):
        assert np.array_equal(io.read(tmp_path / name).array.T, ct)


@linux
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_file_name_works(make, tmp_path, regions, name: str) -> None:
    labels = io.read_labels(make(name, regions))
    written = io.write(tmp_path / name.replace("x", "y", 1), labels)
    assert np.array_equal(io.read_labels(written).array.T, regions)
    assert written.with_name(stem(name.replace("x", "y", 1)) + ".json").exists()
    assert not list(tmp_path.glob(".*"))


@linux
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_file_name_may_stand_in_a_message(tmp_path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(FileError, match=r"^Cannot open .*: this is not a NIfTI file") as caught:
        io.read(tmp_path / name)
    assert str(caught.value).isprintable()
    assert str(caught.value).encode()


def test_control_characters_are_escaped(tmp_path) -> None:
    with pytest.raises(FileError, match=re.escape(r"Cannot open a\nb\u202ec\udcff.nii: missing file a\nb")):
        io.read(tmp_path / "a\nb\u202ec\udcff.nii")


def test_a_relative_path_works_and_is_kept_absolute(make, monkeypatch) -> None:
    path = make()
    monkeypatch.chdir(path.parent)
    stored = io.read("scan.nii").stored
    monkeypatch.chdir(Path("/"))
    assert stored.path == path
