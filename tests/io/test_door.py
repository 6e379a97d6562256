"""What is not an image, not whole, or too large, is refused before it costs anything."""

from __future__ import annotations

import errno
import gzip
import os
import re
import tracemalloc
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
import pytest

from napari_ganseg import io
from napari_ganseg.errors import FileError, GeometryError
from napari_ganseg.io import door

ENDS_EARLY = r"the compressed file ends too early \(download again\)\.$"
DAMAGED = r"the compressed data are damaged"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
NO_IMAGES = {
    "nothing": (b"", "the file is empty (0 bytes)."),
    "text": (b"hello", "this is not a NIfTI file."),
    "half a header": (bytes([92, 1, 0, 0]) + bytes(170), "this is not a NIfTI file."),
    "random bytes": (np.random.default_rng(3).bytes(5000), "this is not a NIfTI file."),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(2000), "this is not a NIfTI file."),
    "HTML": (b"\n <!DOCTYPE html><html><body>404</body></html>", "this is a web page, not an image"),
    "XHTML": (b'<?xml version="1.0"?><html xmlns="x">', "this is a web page, not an image"),
    "XML": (b'<?xml version="1.0"?><GIFTI>', "this is not a NIfTI file."),
    "LFS pointer": (LFS, "this is an LFS pointer, not an image"),
    "DICOM": (bytes(128) + b"DICM" + bytes(900), "this is a DICOM file, not NIfTI; convert its folder with dcm2niix"),
}
unix = pytest.mark.skipif(os.name == "nt", reason="no such thing on Windows")


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz", "x.hdr"])
@pytest.mark.parametrize(("content", "text"), NO_IMAGES.values(), ids=NO_IMAGES)
def test_what_is_no_image_is_refused_by_name(tmp_path, name: str, content: bytes, text: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match=f"^Cannot open {name}: {re.escape(text)}"):
        io.read_any(tmp_path / name)


def test_a_short_file_is_refused_when_opened(make) -> None:
    path = make()
    os.truncate(path, 1592)
    with pytest.raises(
        FileError, match=r"Cannot open scan.nii: the file is damaged: 1,792 bytes expected, 1,592 found\.$"
    ):
        io.read(path)


def test_a_packed_file_that_was_short_before_packing_is_refused(tmp_path, build) -> None:
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(build()[:1592]))
    with pytest.raises(FileError, match=r"the file is damaged: 1,792 bytes expected, 1,592 found\.$"):
        io.read(tmp_path / "x.nii.gz")


def test_a_cut_anywhere_is_refused(make) -> None:
    path = make("scan.nii.gz")
    whole = path.read_bytes()
    cuts = [*range(3, len(whole) - 8, 41), *range(len(whole) - 8, len(whole))]
    for cut in cuts:
        path.write_bytes(whole[:cut])
        with pytest.raises(FileError, match=ENDS_EARLY):
            io.read(path)


def test_a_cut_file_of_zeros_is_refused(make) -> None:
    path = make("scan.nii.gz", np.zeros((100, 100, 100), np.uint8))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(FileError, match=ENDS_EARLY):
        io.read(path)


def flipped_results(path: Path, partner: Path, count: int) -> list[str]:
    """Flip one bit after another at random places of a gzip stream and say what reading gives."""
    whole, expected = path.read_bytes(), io.read(partner)
    results = []
    for seed in range(count):
        content = bytearray(whole)
        bit = int(np.random.default_rng(seed).integers(8 * 10, 8 * len(whole)))
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        try:
            volume = io.read(partner)
        except FileError as error:
            results.append(str(error))
        else:
            results.append("same" if np.array_equal(volume.array, expected.array) else "different")
            results[-1] += "" if volume.same_grid_as(expected) else " grid"
    return results


def test_no_flipped_bit_of_200_gives_other_data(make) -> None:
    path = make("scan.nii.gz")
    results = flipped_results(path, path, 200)
    assert set(results) <= {"same"} | {r for r in results if r.startswith("Cannot open scan.nii.gz: ")}
    assert sum("checksum differs" in r for r in results) > 50


def test_no_flipped_bit_of_a_packed_header_gives_another_grid(make_pair) -> None:
    path = make_pair()
    packed = path.with_name("scan.hdr.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    results = flipped_results(packed, packed, 100)
    assert set(results) <= {"same"} | {r for r in results if r.startswith("Cannot open scan.hdr.gz: ")}


@pytest.mark.parametrize("byte", [-8, -1])
def test_a_wrong_checksum_or_length_is_refused(make, byte: int) -> None:
    path = make("scan.nii.gz")
    content = bytearray(path.read_bytes())
    content[byte] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileError, match=DAMAGED + r" \(checksum differs\)\.$"):
        io.read(path)


def test_an_invalid_deflate_stream_is_refused(tmp_path) -> None:
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(b"")[:10] + b"\xff" * 1000)
    with pytest.raises(FileError, match=DAMAGED):
        io.read(tmp_path / "x.nii.gz")


def test_garbage_after_the_stream_is_refused_and_padding_is_not(make, ct) -> None:
    path = make("scan.nii.gz")
    whole = path.read_bytes()
    path.write_bytes(whole + b"garbage")
    with pytest.raises(FileError, match=DAMAGED + " or followed by something else"):
        io.read(path)
    path.write_bytes(whole + bytes(512))
    assert np.array_equal(io.read(path).array.T, ct)


@pytest.mark.parametrize("cut", [100, 348, 352, 1000])
def test_a_stream_of_several_members_is_accepted(tmp_path, build, ct, cut: int) -> None:
    content = build()
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(content[:cut]) + gzip.compress(content[cut:]))
    assert np.array_equal(io.read(tmp_path / "x.nii.gz").array.T, ct)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_a_megabyte_may_follow_the_image_and_no_more(tmp_path, build, ct, name: str) -> None:
    for tail, is_fine in ((2**20, True), (2**20 + 2**16 + 1, False)):
        content = build() + bytes(tail)
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        if is_fine:
            assert np.array_equal(io.read(tmp_path / name).array.T, ct)
        else:
            with pytest.raises(FileError, match="the header does not fit the file: "):
                io.read(tmp_path / name)


def zeros_packed(gigabytes: int) -> bytes:
    """Gzip members that inflate to so many GiB of zeros."""
    return gzip.compress(bytes(2**24)) * (64 * gigabytes)


def test_two_gigabytes_after_a_small_image_are_not_read(tmp_path, build) -> None:
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(build()) + zeros_packed(2))
    tracemalloc.start()
    with pytest.raises(FileError, match="the header does not fit the file: much more data follow than it says"):
        io.read(tmp_path / "x.nii.gz")
    assert tracemalloc.get_traced_memory()[1] < 8e6
    tracemalloc.stop()


def test_a_bomb_is_refused_from_its_header(tmp_path, build, monkeypatch) -> None:
    content = build(dim=[3, 1024, 1024, 1024, 1, 1, 1, 1])[:352]
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(content) + zeros_packed(2))
    monkeypatch.setattr(door, "free_memory", lambda: 5_100_000_000)
    monkeypatch.setattr(door, "read_exactly", lambda *_: pytest.fail("it was inflated"))
    with pytest.raises(FileError, match=r"Cannot open x.nii.gz: needs 4\.3 GB, 5\.1 GB free\. Open a crop\?"):
        io.read(tmp_path / "x.nii.gz")


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_a_small_file_that_claims_gigabytes_costs_nothing(make, name: str) -> None:
    path = make(name, dim=[3, 1024, 1024, 1024, 1, 1, 1, 1])
    tracemalloc.start()
    with pytest.raises(FileError, match=r"the file is damaged: 2,147,484,000 bytes expected|ends too early"):
        io.read(path)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_scaled_images_need_more_memory_than_plain_ones(make, monkeypatch) -> None:
    plain = make("a.nii", np.zeros((64, 64, 64), np.int16))
    scaled = make("b.nii", np.zeros((64, 64, 64), np.int16), scl_slope=2, scl_inter=0)
    monkeypatch.setattr(door, "free_memory", lambda: 4 * 64**3 / door.MEMORY_SHARE)
    assert io.read(plain).array.any() == 0
    with pytest.raises(FileError, match=r"needs 2\.9 MB, 1\.7 MB free"):
        io.read(scaled)


@unix
def test_free_memory_knows_the_limit_of_the_process(monkeypatch) -> None:
    import resource

    used = psutil.Process().memory_info().vms
    monkeypatch.setattr(resource, "getrlimit", lambda _: (used + 2**28, resource.RLIM_INFINITY))
    assert 0 < door.free_memory() < 2**29


@unix
def test_devices_and_pipes_are_refused_and_do_not_hang(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.nii")
    (tmp_path / "zero.nii").symlink_to("/dev/zero")
    for name in ("pipe.nii", "zero.nii"):
        with pytest.raises(FileError, match=f"^Cannot open {name}: this is not a regular file\\.$"):
            io.read(tmp_path / name)


@unix
def test_broken_links_say_what_is_missing(tmp_path) -> None:
    (tmp_path / "dangling.nii").symlink_to("gone.nii")
    (tmp_path / "loop.nii").symlink_to("loop.nii")
    with pytest.raises(FileError, match=r"^Cannot open dangling\.nii: missing file dangling\.nii\.$"):
        io.read(tmp_path / "dangling.nii")
    with pytest.raises(
        FileError, match=r"^Cannot open loop\.nii: it cannot be read \(Too many levels of symbolic links\)\.$"
    ):
        io.read(tmp_path / "loop.nii")


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(FileError, match=r"^Cannot open gone\.nii: missing file gone\.nii\.$"):
        io.read(tmp_path / "gone.nii")


def test_a_name_too_long_and_a_file_as_folder_are_refused(make) -> None:
    for path in (make().parent / ("x" * 300 + ".nii"), make() / "x.nii"):
        with pytest.raises(
            FileError, match=r"^Cannot open x+\.nii: it cannot be read \((File name too long|Not a directory)"
        ):
            io.read(path)


def test_a_folder_is_refused_with_the_way_out(tmp_path) -> None:
    with pytest.raises(FileError, match=r"this is a folder, not a NIfTI file; open the files in it one by one"):
        io.read(tmp_path)
    (tmp_path / "series" / "1").mkdir(parents=True)
    (tmp_path / "series" / "1" / "IM0").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(FileError, match=r"this is a DICOM folder; convert it with dcm2niix or 3D Slicer"):
        io.read(tmp_path / "series")


def test_a_real_dicom_folder_is_refused_with_the_way_out(data_dir) -> None:
    with pytest.raises(FileError, match=r"^Cannot open dicom_series: this is a DICOM folder; convert it with dcm2niix"):
        io.read(data_dir / "odd_inputs" / "dicom_series")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_refused(make) -> None:
    path = make()
    path.chmod(0)
    with pytest.raises(FileError, match=r"^Cannot open scan\.nii: you have no permission to read it\.$"):
        io.read(path)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "you have no permission to read it."),
        (OSError(errno.EIO, "Input/output error"), "it cannot be read (Input/output error)."),
        (OSError(errno.ESTALE, "Stale file handle"), "it cannot be read (Stale file handle)."),
        (FileNotFoundError(errno.ENOENT, "gone", "/net/scan.nii"), "missing file scan.nii."),
        (MemoryError(), "there is not enough memory."),
        (zlib.error("Error -3"), "the compressed data are damaged (download again)."),
        (EOFError(), "the compressed file ends too early (download again)."),
        (ValueError("odd"), "it cannot be read (odd)."),
        (KeyError(), "it cannot be read (KeyError)."),
        (OverflowError("x"), "it cannot be read (x)."),
        (nib.spatialimages.HeaderDataError("x"), "it cannot be read (x)."),
        (GeometryError("The affine."), "The affine."),
    ],
)
def test_whatever_happens_while_reading_becomes_one_message(make, monkeypatch, error: Exception, text: str) -> None:
    def vanish(*_: object) -> None:
        raise error

    path = make()
    monkeypatch.setattr(door, "read_to_end", vanish)
    with pytest.raises(FileError, match=f"^Cannot open scan.nii: {re.escape(text)}$"):
        io.read(path)


def test_a_bug_of_ours_is_not_dressed_up_as_a_file_error(make) -> None:
    with pytest.raises(ZeroDivisionError), door.opening("x"):
        1 / 0  # noqa: B018


def test_a_file_cut_after_reading_changes_nothing(make, ct) -> None:
    path = make("scan.nii", np.tile(ct, (8, 8, 8)))
    volume = io.read(path)
    os.truncate(path, 400)
    assert np.array_equal(volume.array.T, np.tile(ct, (8, 8, 8)))
