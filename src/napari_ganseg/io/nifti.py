"""Read NIfTI-1, NIfTI-2 and Analyze into Volume and LabelMap, upright, in millimetres, nothing taken on trust."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np

from napari_ganseg.errors import FileError
from napari_ganseg.io import door
from napari_ganseg.io.header import Header, parse
from napari_ganseg.io.kind import is_label_map
from napari_ganseg.io.labels import classes_of, read_sidecar
from napari_ganseg.io.names import IMAGE_SUFFIXES, sidecar_path
from napari_ganseg.io.stored import StoredGrid, orient
from napari_ganseg.io.voxels import image_values, label_values
from napari_ganseg.volume import Array, LabelMap, Volume

EXTENSIONS = IMAGE_SUFFIXES
CARET = b"<CaretExtension"
Orientation = Literal["file", "voxel-sizes"]


@dataclass(frozen=True, slots=True, eq=False)
class RawImage:
    """A file's voxels as stored, whole and checked, with its header."""

    path: Path
    header: Header
    header_bytes: bytes
    extensions: bytes
    voxels: Array

    @property
    def scaling(self) -> tuple[float, float]:
        """Slope and offset; slope 0 or NaN means none (the standard)."""
        slope, inter = float(self.header.nifti["scl_slope"]), float(self.header.nifti["scl_inter"])
        if slope == 0 or np.isnan(slope):
            return 1.0, 0.0
        return slope, inter


def read(
    path: str | Path,
    *,
    frame: int | None = None,
    channels: bool | None = None,
    orientation: Orientation = "file",
) -> Volume:
    """Read an image.

    Args:
        path: `.nii`, `.nii.gz`, or either half of `.hdr`/`.img`; told by content, not by name.
        frame: which of several images along the fourth axis to take, from 0.
        channels: take the fourth axis as channels. With neither, a fourth axis is asked about, never guessed.
        orientation: "voxel-sizes" ignores an invalid affine and keeps the voxel sizes alone.

    Returns:
        A Volume: integers as stored, anything scaled in float32; all finite; assumptions in its notes.

    Raises:
        FileError: what is wrong and what to do, beginning with `Cannot open FILE:`.
    """
    with door.opening(path):
        raw = load(Path(path), orientation)
        return as_volume(raw, frame, channels)


def read_labels(path: str | Path, *, orientation: Orientation = "file") -> LabelMap:
    """Read a label map with its class names, from its JSON sidecar or its NIfTI label table.

    Raises:
        FileError: also when the file holds values that are not whole numbers.
    """
    with door.opening(path):
        return as_labels(load(Path(path), orientation))


def read_any(path: str | Path, *, frame: int | None = None, channels: bool | None = None) -> Volume | LabelMap:
    """Read a file as what it is, image or label map, as `is_label_map` decides."""
    with door.opening(path):
        raw = load(Path(path), "file")
        if spatial(raw).ndim == 3 and has_labels(raw):
            return as_labels(raw)
        return as_volume(raw, frame, channels)


def load(path: Path, orientation: Orientation) -> RawImage:
    """Bring a file into memory: header first, sizes before allocation, the stream to its end."""
    header_path, voxel_path = halves(path)
    is_pair = header_path != voxel_path
    with door.open_regular(header_path) as stream:
        start = stream.read(544)
        header = parse(start, is_pair=is_pair, trust_orientation=orientation == "file")
        is_gzip = is_compressed(voxel_path)
        door.check_size(voxel_path, start=header.start, size=header.nbytes, is_gzip=is_gzip)
        size = int(header.nifti.sizeof_hdr)
        if is_pair:
            return RawImage(path, header, start[:size], start[size:] + stream.read(2**20), voxels_of_pair(voxel_path, header))
        gap = start[header.start :]
        extensions = start[size : header.start] + stream.read(max(0, header.start - len(start)))
        voxels = voxels_from(stream, header, gap)
    return RawImage(path, header, start[:size], extensions, voxels)


def voxels_of_pair(voxel_path: Path, header: Header) -> Array:
    """Voxels of a `.img`, which begin at the header's offset."""
    with door.open_regular(voxel_path) as stream:
        stream.read(header.start)
        return voxels_from(stream, header, b"")


def voxels_from(stream: object, header: Header, already: bytes) -> Array:
    """Read the voxels and the rest of the stream; `already` came along with the header."""
    rest = door.read_exactly(stream, max(0, header.nbytes - len(already)))  # type: ignore[arg-type]
    door.read_to_end(stream)  # type: ignore[arg-type]
    buffer = already[: header.nbytes] + rest if already else rest
    voxels = np.frombuffer(buffer, dtype=header.nifti.get_data_dtype())
    return voxels.reshape(header.shape, order="F").astype(voxels.dtype.newbyteorder("="), copy=False)


def halves(path: Path) -> tuple[Path, Path]:
    """The files that hold the header and the voxels: the same one, or a `.hdr` with its `.img`."""
    name = path.name.lower()
    for mine, other in ((".hdr", ".img"), (".img", ".hdr")):
        for packed in ("", ".gz"):
            if name.endswith(mine + packed):
                end = len(mine + packed)
                kept = path.name[len(path.name) - end]  # the dot
                partner = first_existing(path.name[:-end] + kept + other[1:], path.parent)
                return (path, partner) if mine == ".hdr" else (partner, path)
    return path, path


def first_existing(name: str, folder: Path) -> Path:
    """The partner file, plain, compressed or in capitals; the plain name when none exists, for the message."""
    candidates = [folder / n for n in (name, name + ".gz", name.upper(), name[:-3] + name[-3:].upper())]
    return next((c for c in candidates if c.exists()), candidates[0])


def is_compressed(path: Path) -> bool:
    """Whether a file is gzip, by content."""
    if not os.path.exists(path):
        raise FileNotFoundError(2, "missing", str(path))
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def spatial(raw: RawImage) -> Array:
    """Voxels as (i, j, k) or (i, j, k, n): missing axes added, trailing ones of size 1 dropped."""
    shape = raw.header.shape
    sizes = (shape + (1,))[:3] if len(shape) < 3 else shape[:3]
    rest = tuple(n for n in shape[3:] if n > 1)
    if len(rest) > 1:
        raise FileError(f"the image has {len(shape)} dimensions ({' x '.join(map(str, shape))}); save one time point.")
    return raw.voxels.reshape(sizes + rest, order="F")


def as_volume(raw: RawImage, frame: int | None, channels: bool | None) -> Volume:
    """Orient and scale an image; decide about a fourth axis."""
    voxels, notes = spatial(raw), list(raw.header.notes)
    has_channels = False
    if voxels.ndim == 4:
        voxels, has_channels = fourth_axis(voxels, raw.header.shape, frame, channels, notes)
    values, repairs = image_values(voxels, *raw.scaling)
    stored = stored_grid(raw, is_image=True)
    return Volume(
        array=stored.to_array(values),
        affine=stored.array_affine(raw.header.affine),
        stored=stored,
        notes=(*notes, *repairs),
        has_channels=has_channels,
    )


def fourth_axis(
    voxels: Array, shape: tuple[int, ...], frame: int | None, channels: bool | None, notes: list[str]
) -> tuple[Array, bool]:
    """Take one frame, or all as channels, as the caller says; refuse to guess."""
    count, axis = voxels.shape[3], 1 + next(a for a in range(3, len(shape)) if shape[a] > 1)
    if frame is not None:
        if not 0 <= frame < count:
            raise FileError(f"it has the frames 0 to {count - 1}, there is no frame {frame}.")
        notes.append(f"frame {frame} of {count} along NIfTI axis {axis}.")
        return voxels[..., frame], False
    if channels or axis == 5:
        notes.append(f"NIfTI axis {axis} ({count} entries) read as channels.")
        return voxels, True
    raise FileError(f"it holds {count} images along NIfTI axis {axis}; say which one (frame=0 in Python, --frame 0 in "
                    "the shell), or that they are channels (channels=True, --channels).")  # fmt: skip


def as_labels(raw: RawImage) -> LabelMap:
    """Orient a label map and find its names."""
    voxels = spatial(raw)
    if voxels.ndim == 4:
        raise FileError(f"it has the shape {' x '.join(map(str, raw.header.shape))}; a label map has 2 or 3 axes.")
    array = label_values(voxels, *raw.scaling)
    stored = stored_grid(raw, is_image=False)
    sidecar = read_sidecar(sidecar_path(raw.path))
    return LabelMap(
        array=stored.to_array(array),
        affine=stored.array_affine(raw.header.affine),
        stored=stored,
        notes=raw.header.notes,
        classes=classes_of(sidecar, raw.extensions),
        provenance=sidecar.get("provenance", {}),
    )


def has_labels(raw: RawImage) -> bool:
    """Whether a file is a label map: said by intent code, label table or sidecar, or seen in its values."""
    is_declared = int(raw.header.nifti["intent_code"]) == nib.nifti1.intent_codes["label"]
    if is_declared or CARET in raw.extensions or "classes" in read_sidecar(sidecar_path(raw.path)):
        return True
    return is_label_map(spatial(raw), *raw.scaling)


def stored_grid(raw: RawImage, *, is_image: bool) -> StoredGrid:
    """How the file keeps its voxels."""
    shape = raw.header.shape
    ndim = 2 if len(shape) == 2 else 3
    axes, flips = orient(raw.header.affine, ndim)
    sizes = (shape[0], shape[1], shape[2] if ndim == 3 else 1)
    return StoredGrid(raw.path.absolute(), is_image, ndim, sizes, axes, flips, raw.header_bytes)
