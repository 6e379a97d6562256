"""A NIfTI or Analyze file as Volume or LabelMap: upright, in millimetres, nothing taken on trust."""

from __future__ import annotations

from typing import Literal, cast

import nibabel as nib

from napari_ganseg.errors import FileError
from napari_ganseg.io.kind import is_label_map
from napari_ganseg.io.labels import classes_of, parse_label_table, read_sidecar
from napari_ganseg.io.lazy import lazily
from napari_ganseg.io.load import RawImage
from napari_ganseg.io.names import sidecar_path
from napari_ganseg.io.pieces import Opened
from napari_ganseg.io.stored import StoredGrid, orient
from napari_ganseg.io.voxels import image_values, label_values
from napari_ganseg.volume import Array, LabelMap, Volume

Orientation = Literal["file", "voxel-sizes"]


def as_volume(raw: RawImage, frame: int | None, channels: bool | None) -> Volume:
    """Orient and scale an image; decide about a fourth axis."""
    index, has_channels, choice = fourth_axis(raw, frame, channels)
    voxels = raw.voxels if index is None else raw.voxels[..., index]
    values, repairs = image_values(voxels, *raw.header.scaling)
    stored = stored_grid(raw, is_image=True)
    return Volume(
        array=stored.to_array(values),
        affine=stored.array_affine(raw.header.affine),
        stored=stored,
        notes=(*raw.header.notes, *choice, *repairs),
        has_channels=has_channels,
    )


def as_lazy_volume(opened: Opened, frame: int | None) -> Volume:
    """The same image, its voxels left in the file; one without channels."""
    index, _, choice = fourth_axis(opened, frame, None)
    stored, skipped = stored_grid(opened, is_image=True), 0
    voxels = opened.voxels if index is None else opened.voxels.image(index)
    if stored.ndim == 2:
        voxels, skipped = voxels.flat(), 1
    axes, flips = stored.axes[skipped:], stored.flips[skipped:]
    array, repairs = lazily(voxels, axes, flips, opened.header.scaling, slow=len(axes) - 1)
    return Volume(
        array=cast(Array, array),
        affine=stored.array_affine(opened.header.affine),
        stored=stored,
        notes=(*opened.header.notes, *choice, *repairs),
    )


def fourth_axis(raw: RawImage | Opened, frame: int | None, channels: bool | None) -> tuple[int | None, bool, list[str]]:
    """Take one frame, or all as channels, as the caller says; refuse to guess.

    Returns:
        Which image along the fourth axis to take, None for all there is; whether they are channels; and what was
        chosen, in words.
    """
    sizes, shape = raw.voxels.shape, raw.header.shape
    count = sizes[3] if len(sizes) == 4 else 1
    if frame is not None and not 0 <= frame < count:
        raise FileError(f"it has {count} frame{'s' * (count > 1)}, counted from 0; there is no frame {frame}.")
    if len(sizes) == 3:
        return None, False, []
    axis = 1 + next(a for a in range(3, len(shape)) if shape[a] > 1)
    if frame is not None:
        return frame, False, [f"frame {frame} of {count} along NIfTI axis {axis}."]
    if channels or axis == 5:
        return None, True, [f"NIfTI axis {axis} ({count} entries) read as channels."]
    raise FileError(f"it holds {count} images along NIfTI axis {axis}; say which one (frame=0 in Python, --frame 0 in "
                    "the shell), or that they are channels (channels=True, --channels).")  # fmt: skip


def as_labels(raw: RawImage) -> LabelMap:
    """Orient a label map and find its names."""
    if raw.voxels.ndim == 4:
        raise FileError(f"it has the shape {' x '.join(map(str, raw.header.shape))}; a label map has 2 or 3 axes.")
    stored = stored_grid(raw, is_image=False)
    sidecar = read_sidecar(sidecar_path(raw.path))
    return LabelMap(
        array=stored.to_array(label_values(raw.voxels, *raw.header.scaling)),
        affine=stored.array_affine(raw.header.affine),
        stored=stored,
        notes=raw.header.notes,
        classes=classes_of(sidecar, raw.extensions),
        provenance=sidecar.get("provenance", {}),
    )


def has_labels(raw: RawImage) -> bool:
    """Whether a file is a label map: said by its intent code or a label table, or seen in its values."""
    if raw.voxels.ndim == 4:
        return False
    is_declared = int(raw.header.nifti["intent_code"]) == nib.nifti1.intent_codes["label"]
    return is_declared or bool(parse_label_table(raw.extensions)) or is_label_map(raw.voxels, *raw.header.scaling)


def stored_grid(raw: RawImage | Opened, *, is_image: bool) -> StoredGrid:
    """How the file keeps its voxels."""
    ndim = min(3, len(raw.header.shape))
    axes, flips = orient(raw.header.affine, ndim)
    i, j, k = raw.voxels.shape[:3]
    return StoredGrid(raw.path.absolute(), is_image, ndim, (i, j, k), axes, flips, raw.header_bytes)
