"""Bring a NIfTI-1, NIfTI-2 or Analyze file into memory as it is stored, whole and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_ganseg.errors import FileError
from napari_ganseg.io import door
from napari_ganseg.io.header import Header, header_bytes, parse
from napari_ganseg.volume import Array

PAIR = re.compile(r"(.*\.)(hdr|img)(\.gz)?", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class RawImage:
    """A file's voxels as stored, with its header.

    Attributes:
        path: the file that was asked for; of a pair, either half.
        header: the checked header.
        header_bytes: the header, byte for byte.
        extensions: what follows the header, not checked.
        voxels: (i, j, k) or (i, j, k, n), in this machine's byte order.
    """

    path: Path
    header: Header
    header_bytes: bytes
    extensions: bytes
    voxels: Array


def load(path: Path, *, trust_orientation: bool = True) -> RawImage:
    """Read the header, compare it with the file and the memory, then read the voxels and the stream to its end.

    Raises:
        FileError: and whatever reading a damaged file raises; `door.opening` makes one error of them.
    """
    header_path, voxel_path = halves(path)
    is_pair = header_path != voxel_path
    with door.open_regular(header_path) as stream:
        raw = header_bytes(stream)
        header = parse(raw, is_pair=is_pair, trust_orientation=trust_orientation)
        if not is_pair:
            extensions, voxels = read_voxels(stream, header)
            return RawImage(path, header, raw, extensions, voxels)
        extensions = stream.read(door.MAX_TAIL)
        door.read_to_end(stream)
    with door.open_regular(voxel_path) as stream:
        return RawImage(path, header, raw, extensions, read_voxels(stream, header)[1])


def read_voxels(stream: door.Stream, header: Header) -> tuple[bytes, Array]:
    """What lies before the voxels, and the voxels."""
    door.check_size(stream, start=header.start, size=header.nbytes, needed=header.memory)
    before = stream.read(header.start - stream.tell())
    buffer = door.read_exactly(stream, header.nbytes)
    door.read_to_end(stream)
    voxels = np.frombuffer(buffer, dtype=header.nifti.get_data_dtype()).reshape(spatial(header.shape), order="F")
    return before, voxels.astype(voxels.dtype.newbyteorder("="), copy=False)


def spatial(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A file's sizes as (i, j, k) or (i, j, k, n): a missing axis added, later ones of size 1 dropped."""
    rest = tuple(n for n in shape[3:] if n > 1)
    if len(rest) > 1:
        raise FileError(f"the image has {len(shape)} dimensions ({' x '.join(map(str, shape))}); save one time point.")
    return (*shape, 1)[:3] + rest


def halves(path: Path) -> tuple[Path, Path]:
    """The files that hold the header and the voxels: the same one, or a `.hdr` with its `.img`."""
    match = PAIR.fullmatch(path.name)
    if match is None:
        return path, path
    base, mine, packed = match[1], match[2], match[3] or ""
    other = "img" if mine.lower() == "hdr" else "hdr"
    names = [base + (other.upper() if mine.isupper() else other) + packed]
    names += [base + o + p for o in (other, other.upper()) for p in ("", ".gz")]
    partner = next((p for p in map(path.with_name, names) if p.exists()), path.with_name(names[0]))
    return (path, partner) if other == "img" else (partner, path)
