"""Written files: exact, never over the scan, never half there."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_ganseg import io
from napari_ganseg.errors import FileError, GeometryError, UsageError
from napari_ganseg.volume import LabelMap, Volume

OVER_IT = r"^Cannot write .*: it would overwrite the input image\. Choose another name\.$"
unix = pytest.mark.skipif(os.name == "nt", reason="no such thing on Windows")


@pytest.fixture
def scan(make) -> Path:
    """A scan whose header says uint8."""
    return make("scan.nii", np.random.default_rng(0).integers(0, 255, (8, 9, 10), np.uint8))


@pytest.fixture
def labels(scan: Path) -> LabelMap:
    """Labels 0 to 300 made on the scan."""
    volume = io.read(scan)
    array = np.random.default_rng(1).integers(0, 301, volume.shape)
    return LabelMap(array=array, affine=volume.affine, stored=volume.stored)


@pytest.mark.parametrize("name", ["seg.nii", "seg.nii.gz", "SEG.NII.GZ"])
def test_300_labels_on_a_uint8_scan_are_saved_identical(labels: LabelMap, tmp_path, name: str) -> None:
    path = io.write(tmp_path / name, labels)
    saved = nib.load(path)
    assert saved.get_data_dtype() == np.uint16
    assert (saved.dataobj.slope, saved.dataobj.inter) == (1, 0)
    assert np.array_equal(np.asanyarray(saved.dataobj).T, labels.array)
    assert np.array_equal(io.read_labels(path).array, labels.array)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([0, 1], np.int64), np.uint8),
        (np.array([False, True]), np.uint8),
        (np.array([0, 7], np.uint64), np.uint8),
        (np.array([-5, 7], np.int64), np.int32),
        (np.array([-5, 7], np.int8), np.int32),
        (np.array([0, 70000], np.int64), np.int32),
        (np.array([0, 2**31 - 1], np.uint64), np.int32),
    ],
)
@pytest.mark.parametrize("has_file", [True, False])
def test_labels_of_any_integer_type_are_saved_exactly(labels, tmp_path, values, dtype: type, has_file: bool) -> None:
    array = np.resize(values, labels.shape)
    made = labels.derive(array=array, stored=labels.stored if has_file else None)
    path = io.write(tmp_path / "seg.nii.gz", made)
    assert nib.load(path).get_data_dtype() == dtype
    assert np.array_equal(io.read_labels(path).array, array)


@pytest.mark.parametrize("array", [np.full((2, 2, 2), 2**32 + 1, np.uint64), np.full((2, 2, 2), 1.5)])
def test_labels_that_do_not_fit_never_reach_a_file(array: np.ndarray) -> None:
    with pytest.raises(GeometryError, match=r"do not fit 32-bit integers; renumber|Labels are whole numbers"):
        LabelMap(array=array)


def test_equal_labels_are_equal_bytes(labels: LabelMap, tmp_path) -> None:
    first, second = (io.write(tmp_path / n / "seg.nii.gz", labels) for n in map(folder(tmp_path), "ab"))
    assert first.read_bytes() == second.read_bytes()


def folder(parent: Path):
    """Make folders inside a folder."""

    def make(name: str) -> Path:
        (parent / name).mkdir()
        return parent / name

    return make


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
def test_labels_for_any_version_and_byte_order_lie_on_the_scan(make, tmp_path, kind, order: str) -> None:
    scan = make("other.nii", kind=kind, order=order, qform_code=1, quatern_d=0.1)
    volume = io.read(scan)
    made = LabelMap(array=np.ones(volume.shape, np.uint8), affine=volume.affine, stored=volume.stored)
    saved = nib.load(io.write(tmp_path / "seg.nii", made))
    assert type(saved) is kind
    assert np.array_equal(saved.affine, nib.load(scan).affine)
    assert np.array_equal(saved.get_qform(), nib.load(scan).get_qform())
    assert io.read(tmp_path / "seg.nii").notes == volume.notes


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "i8", "f2", "f4", "f8", "?"])
def test_volumes_of_any_real_type_are_saved(tmp_path, dtype: str) -> None:
    array = np.random.default_rng(0).integers(0, 2, (4, 5, 6)).astype(dtype)
    again = io.read(io.write(tmp_path / "x.nii", Volume(array=array)))
    assert np.array_equal(again.array, array)


def test_a_volume_of_complex_numbers_is_not_saved(tmp_path) -> None:
    with pytest.raises(UsageError, match="A volume holds real numbers; this one holds complex128"):
        io.write(tmp_path / "x.nii", Volume(array=np.zeros((2, 2, 2), complex)))


def test_an_axis_too_long_for_nifti_1_is_saved_as_nifti_2(tmp_path) -> None:
    array = np.random.default_rng(0).integers(0, 3, (2, 2, 40000), np.uint8)
    path = io.write(tmp_path / "seg.nii.gz", LabelMap(array=array))
    assert isinstance(nib.load(path), nib.Nifti2Image)
    assert np.array_equal(io.read_labels(path).array, array)


def test_the_scan_itself_is_never_overwritten(labels: LabelMap, scan: Path, monkeypatch) -> None:
    before = scan.read_bytes()
    folder(scan.parent)("sub")
    monkeypatch.chdir(scan.parent / "sub")
    for path in (scan, str(scan), "../scan.nii", scan.parent / "sub" / ".." / "scan.nii"):
        for call in (io.write, lambda p, c: io.check_target(p, c.stored)):
            with pytest.raises(FileError, match=OVER_IT):
                call(path, labels)
    assert scan.read_bytes() == before


@unix
def test_the_scan_is_known_through_links(labels: LabelMap, scan: Path) -> None:
    scan.with_name("soft.nii").symlink_to(scan)
    os.link(scan, scan.with_name("hard.nii"))
    scan.with_name("linked").symlink_to(scan.parent)
    for path in ("soft.nii", "hard.nii", "linked/scan.nii"):
        with pytest.raises(FileError, match=OVER_IT):
            io.write(scan.parent / path, labels)


def test_the_scan_is_known_by_its_name_when_it_is_gone(labels: LabelMap, scan: Path) -> None:
    scan.unlink()
    with pytest.raises(FileError, match=OVER_IT):
        io.write(scan, labels)


def test_a_volume_is_not_written_over_the_file_it_came_from(scan: Path) -> None:
    with pytest.raises(FileError, match=OVER_IT):
        io.write(scan, io.read(scan))


def test_a_label_file_may_be_replaced_by_its_correction(make, regions) -> None:
    path = make("seg.nii", regions)
    labels = io.read_labels(path)
    io.write(path, labels.derive(array=labels.array * 2))
    assert np.array_equal(io.read_labels(path).array, labels.array * 2)


def test_a_bad_target_is_refused_before_anything_is_computed(labels: LabelMap, tmp_path) -> None:
    folder(tmp_path)("folder.nii")
    (tmp_path / "file").write_bytes(b"")
    for path, text in (
        ("seg.jpg", r"the name must end in \.nii or \.nii\.gz \(or \.png for a 2D slice\)\."),
        ("seg.hdr", r"the name must end in \.nii or \.nii\.gz \(or \.png for a 2D slice\)\."),
        ("folder.nii", r"a folder has that name\."),
        ("missing/seg.nii", r"there is no folder missing\. Make it first\."),
        ("file/seg.nii", r"there is no folder file\. Make it first\."),
    ):
        with pytest.raises(FileError, match=f"^Cannot write {Path(path).name}: {text}$"):
            io.check_target(tmp_path / path)
        with pytest.raises(FileError, match=text):
            io.write(tmp_path / path, labels)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(FileError, match=r"you have no permission to write there\. Choose another folder"):
        io.check_target(tmp_path / "seg.nii")


def test_a_read_only_disk_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(
        FileError, match=r"^Cannot write seg\.nii: you have no permission to write there\. Choose another"
    ):
        io.check_target(tmp_path / "seg.nii")


@pytest.mark.parametrize("name", ["seg.nii", "seg.nii.gz"])
def test_a_good_target_is_accepted_and_nothing_is_made(labels: LabelMap, tmp_path, name: str) -> None:
    before = sorted(tmp_path.iterdir())
    io.check_target(tmp_path / name, labels.stored)
    assert sorted(tmp_path.iterdir()) == before


ON_A_FULL_DISK = """
import resource, sys, numpy as np
from napari_ganseg import io
from napari_ganseg.volume import LabelMap
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
array = np.random.default_rng(0).integers(0, 200, (100, 100, 100), np.uint8)
try:
    io.write(sys.argv[1], LabelMap(array=array))
except io.write.__globals__["FileError"] as error:
    print(error)
"""


@unix
@pytest.mark.parametrize("name", ["seg.nii", "seg.nii.gz"])
def test_a_full_disk_leaves_the_old_file_and_no_other(labels: LabelMap, tmp_path, name: str) -> None:
    path = io.write(tmp_path / name, labels)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    run = subprocess.run([sys.executable, "-c", ON_A_FULL_DISK, path], capture_output=True, text=True, check=True)
    assert run.stdout.startswith(f"Cannot write {name}: no file may be that large there (")
    assert "kB needed, " in run.stdout or "MB needed, " in run.stdout
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_packed_file_is_whole_and_has_no_date(labels: LabelMap, tmp_path) -> None:
    packed = io.write(tmp_path / "seg.nii.gz", labels).read_bytes()
    assert packed[4:8] == bytes(4)
    assert gzip.decompress(packed) == io.write(tmp_path / "seg.nii", labels).read_bytes()
