"""The voxels of an uncompressed file as they are stored, read piece by piece: never whole, never mapped into memory."""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_ganseg.errors import FileError
from napari_ganseg.io import door
from napari_ganseg.io.header import Header, header_bytes, parse
from napari_ganseg.io.load import halves, spatial
from napari_ganseg.volume import Array

LARGE = 0.25  # of the free memory; a file that takes more is better read piece by piece


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Voxels in a file, the first axis fastest; a tuple of slices with positive steps reads some.

    A mapping into memory would kill the process where the file turns out shorter (SIGBUS); reading fails in words.

    Attributes:
        path: the file that holds them.
        start: offset of the first one, in bytes.
        shape, dtype: as stored, byte order included.
        stamp: size and time of the file when it was checked.
    """

    path: Path
    start: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stamp: tuple[int, int]

    def __getitem__(self, box: tuple[slice, ...]) -> Array:
        """The voxels of a box, in this machine's byte order.

        Raises:
            FileError: the file changed since it was opened, or cannot be read any more.
        """
        picked = [range(n)[s] for n, s in zip(self.shape, box, strict=True)]
        piece = np.empty([len(r) for r in picked], self.dtype.newbyteorder("="), order="F")
        if not piece.size:
            return piece
        rows, planes = picked[-2], picked[-1]
        inner = (*box[:-2], slice(None, None, rows.step))
        with door.opening(self.path), open(self.path, "rb", buffering=0) as file:
            self._check_unchanged(file)
            for at, plane in enumerate(planes):
                piece[..., at] = self._rows(file, plane, rows[0], rows[-1] + 1)[inner]
        return piece

    def image(self, number: int) -> Pieces:
        """One of several images along the last axis."""
        shape = self.shape[:-1]
        return Pieces(self.path, self.start + number * prod(shape) * self.dtype.itemsize, shape, self.dtype, self.stamp)

    def flat(self) -> Pieces:
        """A single slice (i, j, 1) as (i, j)."""
        return Pieces(self.path, self.start, self.shape[:2], self.dtype, self.stamp)

    def _rows(self, file: Any, plane: int, first: int, last: int) -> Array:
        """Voxels [..., first:last, plane], which lie side by side."""
        inner = self.shape[:-2]
        count = prod(inner) * (last - first)
        file.seek(self.start + (plane * self.shape[-2] + first) * prod(inner) * self.dtype.itemsize)
        flat = np.fromfile(file, self.dtype, count)
        if len(flat) < count:
            raise FileError("it ended early: the file changed while it was being read.")
        return flat.reshape((*inner, last - first), order="F")

    def _check_unchanged(self, file: Any) -> None:
        if stamp(file) != self.stamp:
            raise FileError("the file changed while it was being read; open it again.")


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A checked file whose voxels are still where they were; the fields of `load.RawImage`.

    Attributes:
        voxels: (i, j, k) or (i, j, k, n).
    """

    path: Path
    header: Header
    header_bytes: bytes
    voxels: Pieces


def open_pieces(path: Path, *, trust_orientation: bool = True) -> Opened:
    """Read and check the header, and compare it with the file's length; no voxel is read.

    Args:
        path: either half of a pair, or a single file; not compressed.
        trust_orientation: as for `load.load`.

    Raises:
        FileError: and whatever reading a damaged file raises; `door.opening` makes one error of them.
    """
    header_path, voxel_path = halves(path)
    with door.open_regular(header_path) as stream:
        raw = header_bytes(stream)
        header = parse(raw, is_pair=header_path != voxel_path, trust_orientation=trust_orientation)
        if header_path != voxel_path:
            door.read_to_end(stream)
    with door.open_regular(voxel_path) as stream:
        check_length(stream, header)
        seen = stamp(stream)
    pieces = Pieces(voxel_path, header.start, spatial(header.shape), header.nifti.get_data_dtype(), seen)
    return Opened(path, header, raw, pieces)


def check_length(file: door.Stream, header: Header) -> None:
    """Compare what the header promises with the file, as `door.check_size` does."""
    expected, found = header.start + header.nbytes, stamp(file)[0]
    if expected > found:
        raise FileError(f"the file is damaged: {expected:,} bytes expected, {found:,} found.")
    if found > expected + door.MAX_TAIL:
        raise FileError(f"the header does not fit the file: {expected:,} bytes expected, {found:,} found.")


def stamp(file: Any) -> tuple[int, int]:
    """Size and time of change of an open file."""
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def is_packed(path: Path) -> bool:
    """Whether the voxels are compressed.

    Raises:
        FileError: the file holds no image. OSError: it cannot be opened.
    """
    with door.open_regular(halves(path)[1]) as stream:
        return isinstance(stream, gzip.GzipFile)


def is_large(path: str | Path) -> bool:
    """Whether a file is better read piece by piece: not compressed, and larger than a quarter of the free memory."""
    try:
        voxels = halves(Path(path))[1]
        return os.stat(voxels).st_size > LARGE * door.free_memory() and not is_packed(Path(path))
    except (OSError, FileError):
        return False  # reading it will say why
