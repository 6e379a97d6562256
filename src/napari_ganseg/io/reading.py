"""The ways in: one call reads whatever a file turns out to be."""

from __future__ import annotations

from pathlib import Path

from napari_ganseg.io import door
from napari_ganseg.io.load import load
from napari_ganseg.io.names import IMAGE_SUFFIXES, PICTURE_SUFFIXES
from napari_ganseg.io.nifti import Orientation, as_labels, as_lazy_volume, as_volume, fourth_axis, has_labels
from napari_ganseg.io.pieces import is_packed, open_pieces
from napari_ganseg.volume import LabelMap, Volume

EXTENSIONS = IMAGE_SUFFIXES  # what napari shall open with us
READABLE = (*IMAGE_SUFFIXES, *PICTURE_SUFFIXES)
PICTURE_STARTS = (b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read(
    path: str | Path,
    *,
    frame: int | None = None,
    channels: bool | None = None,
    orientation: Orientation = "file",
    lazy: bool = False,
) -> Volume:
    """Read an image.

    Args:
        path: `.nii`, `.nii.gz`, either half of `.hdr`/`.img`, PNG or TIFF; told by content, not by name.
        frame: which of several images along the fourth axis to take, from 0.
        channels: take the fourth axis as channels. With neither, a fourth axis is asked about, never guessed.
        orientation: "voxel-sizes" ignores an invalid affine and keeps the voxel sizes alone.
        lazy: leave the voxels in the file, for scans larger than memory. The Volume's array is then read piece by
            piece as it is indexed (with numbers and slices; np.asarray(array) brings all of it into memory), and
            `segment` never holds more than a slab of it. The file must stay as it is meanwhile. Compressed files,
            pictures and several channels are read whole all the same, and a note says so. What is not plain integers
            is gone through once at the start, to see whether its values are finite.

    Returns:
        A Volume: integers as stored, anything scaled in float32; all finite; assumptions in its notes.

    Raises:
        FileError: what is wrong and what to do, beginning with `Cannot open FILE:`.
    """
    with door.opening(path):
        if lazy:
            return read_lazily(Path(path), frame, channels, orientation)
        if is_picture(Path(path)):
            from napari_ganseg.io.pictures import read_picture  # needs an image library

            return read_picture(Path(path))
        return as_volume(load(Path(path), trust_orientation=orientation == "file"), frame, channels)


def read_lazily(path: Path, frame: int | None, channels: bool | None, orientation: Orientation) -> Volume:
    """Leave the voxels in the file, or read it whole and say why."""
    if is_picture(path):
        why = "a picture cannot be read piece by piece"
    elif is_packed(path):
        why = "a compressed file cannot be read piece by piece; unpack it (gunzip) if it is larger than memory"
    else:
        opened = open_pieces(path, trust_orientation=orientation == "file")
        if not fourth_axis(opened, frame, channels)[1]:
            return as_lazy_volume(opened, frame)
        why = "several channels are not read piece by piece"
    volume = read(path, frame=frame, channels=channels, orientation=orientation)
    return volume.derive(notes=(*volume.notes, f"read whole: {why}."))


def read_labels(path: str | Path, *, orientation: Orientation = "file") -> LabelMap:
    """Read a label map with its class names, from its own NIfTI label table or else the JSON sidecar beside it.

    Raises:
        FileError: also when the file holds values that are not whole numbers.
    """
    with door.opening(path):
        if is_picture(Path(path)):
            from napari_ganseg.io.pictures import read_picture_labels  # needs an image library

            return read_picture_labels(Path(path))
        return as_labels(load(Path(path), trust_orientation=orientation == "file"))


def read_any(path: str | Path, *, frame: int | None = None, channels: bool | None = None) -> Volume | LabelMap:
    """Read a file as what it is, image or label map: its header says so, or `is_label_map` decides."""
    with door.opening(path):
        if is_picture(Path(path)):
            from napari_ganseg.io.pictures import read_picture  # needs an image library

            return read_picture(Path(path))
        raw = load(Path(path))
        return as_labels(raw) if has_labels(raw) else as_volume(raw, frame, channels)


def is_picture(path: Path) -> bool:
    """Whether a file is PNG or TIFF, by content and name; False where it cannot be opened."""
    if not path.name.lower().endswith(PICTURE_SUFFIXES):
        return False
    try:
        with open(path, "rb") as file:
            return file.read(8).startswith(PICTURE_STARTS)
    except OSError:
        return False
