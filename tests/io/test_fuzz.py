"""Thousands of damaged files: one kind of error, never a wrong array from a packed file, little memory."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_ganseg import io
from napari_ganseg.errors import FileError

TIMES = 250
MOST_MEMORY = 300e6
EXTREMES = {
    1: [b"\0", b"\1", b"\x7f", b"\x80", b"\xff"],
    2: [b"\0\0", b"\xff\x7f", b"\0\x80", b"\xff\xff", b"\1\0"],
    4: [np.float32(v).tobytes() for v in (0, np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 1e30, -1)],
}


@pytest.fixture(autouse=True)
def _little_memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < MOST_MEMORY


@pytest.fixture(params=["nifti-1", "nifti-2", "labels", "qform"])
def content(request, build, regions, tmp_path) -> bytes:
    """A whole file of one kind or another."""
    match request.param:
        case "nifti-1":
            return build(scl_slope=0.5, scl_inter=3)
        case "nifti-2":
            return build(kind=nib.Nifti2Image)
        case "qform":
            return build(regions.astype(np.float32), qform_code=1, sform_code=0, quatern_b=0.3)
    source = tmp_path / "source.nii"
    source.write_bytes(build(regions))
    return io.write(tmp_path / "seg.nii", io.read_labels(source)).read_bytes()


def outcome(path: Path, reader: Callable[[Path], object]) -> object:
    """What reading gives, None where it refuses in words; anything but a FileError passes through."""
    try:
        return reader(path)
    except FileError as error:
        text = str(error)
    assert text.startswith(f"Cannot open {path.name}: ")
    assert text.isprintable()
    return None


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """One to five changes in the header: random bytes, or the extremes of a number."""
    new = bytearray(content)
    for _ in range(rng.integers(1, 6)):
        width = int(rng.choice([1, 1, 2, 4]))
        at = int(rng.integers(352 // width)) * width
        new[at : at + width] = rng.bytes(width) if rng.random() < 0.5 else rng.choice(EXTREMES[width])
    return bytes(new)


def test_a_mutated_header_is_read_or_refused(content: bytes, tmp_path) -> None:
    rng = np.random.default_rng(0)
    path, is_read = tmp_path / "x.nii", 0
    for _ in range(TIMES):
        path.write_bytes(mutated(content, rng)[: rng.integers(300, len(content)) if rng.random() < 0.1 else None])
        for reader in (io.read_any, lambda p: io.read(p, frame=0, orientation="voxel-sizes")):
            is_read += outcome(path, reader) is not None
    assert 0.1 < is_read / (2 * TIMES) < 0.9


def test_what_is_read_from_a_mutated_header_can_be_written(content: bytes, tmp_path) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "x.nii"
    for _ in range(TIMES // 5):
        path.write_bytes(mutated(content, rng))
        if labels := outcome(path, io.read_labels):
            again = io.read_labels(io.write(tmp_path / "seg.nii.gz", labels))
            assert np.array_equal(again.array, labels.array)
            assert again.same_grid_as(labels)


def test_a_mutated_packed_file_is_refused_or_the_same(content: bytes, tmp_path) -> None:
    rng = np.random.default_rng(2)
    path, packed = tmp_path / "x.nii.gz", gzip.compress(content, mtime=0)
    path.write_bytes(packed)
    whole = io.read(path)
    for _ in range(TIMES):
        new = bytearray(packed)
        for at in rng.integers(10, len(packed), rng.integers(1, 4)):
            new[at] = rng.integers(256)
        path.write_bytes(new[: rng.integers(len(new)) if rng.random() < 0.2 else None])
        volume = outcome(path, io.read)
        assert volume is None or (np.array_equal(volume.array, whole.array) and volume.same_grid_as(whole))


def test_a_mutated_pair_is_read_or_refused(make_pair) -> None:
    rng = np.random.default_rng(3)
    path = make_pair()
    content = path.read_bytes()
    for magic in (content[344:348], bytes(4)):
        for _ in range(TIMES // 2):
            path.write_bytes(mutated(content[:344] + magic, rng)[:348])
            outcome(path, io.read_any)


def test_random_bytes_are_refused(tmp_path) -> None:
    rng = np.random.default_rng(4)
    path = tmp_path / "x.nii"
    for start in (
        b"",
        bytes([92, 1, 0, 0]),
        bytes([0, 0, 1, 92]),
        bytes([28, 2, 0, 0]),
        b"\x1f\x8b\x08",
        b"\x1f\x8b\x08\0",
    ):
        for _ in range(TIMES // 10):
            path.write_bytes(start + rng.bytes(int(rng.integers(1, 2000))))
            assert outcome(path, io.read_any) is None
