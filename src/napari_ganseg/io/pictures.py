"""Read and write PNG and TIFF: 2D slices that came as pictures, shown the way a picture is looked at."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from napari_ganseg.errors import FileError
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.io.door import check_memory, open_regular
from napari_ganseg.io.labels import classes_of, read_sidecar
from napari_ganseg.io.names import shown, sidecar_path
from napari_ganseg.io.stored import StoredGrid, orient
from napari_ganseg.io.voxels import image_values, label_values
from napari_ganseg.volume import Array, LabelMap, Volume

AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0])  # columns run to the patient's left, rows to the back, as on a light box
DAMAGE = (UnidentifiedImageError, Image.DecompressionBombError, Warning, SyntaxError, tifffile.TiffFileError)
ASSUMED = "a picture says nothing of its size and place: 1 mm a pixel and an axial slice assumed."


def read_picture(path: Path) -> Volume:
    """A grey picture as a 2D volume, a colour picture with its channels first (red, green, blue).

    Raises:
        FileError: not one picture of numbers per pixel.
    """
    pixels, notes = decoded(path)
    values, repairs = image_values(pixels, 1.0, 0.0)
    stored = stored_grid(path, pixels, is_image=True)
    return Volume(
        array=stored.to_array(values), affine=stored.array_affine(AFFINE), stored=stored,
        notes=(ASSUMED, *notes, *repairs), has_channels=pixels.ndim == 4,
    )  # fmt: skip


def read_picture_labels(path: Path) -> LabelMap:
    """A picture whose grey values (or palette indices) are labels; names from the JSON sidecar.

    Raises:
        FileError: it has colours.
    """
    pixels, _ = decoded(path)
    if pixels.ndim == 4:
        raise FileError("it is a colour picture; a label map has one number per pixel.")
    stored, sidecar = stored_grid(path, pixels, is_image=False), read_sidecar(sidecar_path(path))
    return LabelMap(
        array=stored.to_array(label_values(pixels, 1.0, 0.0)), affine=stored.array_affine(AFFINE), stored=stored,
        notes=(ASSUMED,), classes=classes_of(sidecar, b""), provenance=sidecar.get("provenance", {}),
    )  # fmt: skip


def decoded(path: Path) -> tuple[Array, list[str]]:
    """Pixels as (column, row, 1) or (column, row, 1, channel), and what was left out."""
    open_regular(path).close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow warns of decompression bombs
        try:
            pixels, notes = from_pillow(path) if path.name.lower().endswith(".png") else from_tiff(path)
        except (
            UnidentifiedImageError,
            Image.DecompressionBombError,
            Warning,
            SyntaxError,
            tifffile.TiffFileError,
        ) as error:
            raise FileError(f"the picture is damaged or too large ({error}).") from error
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8)
    if pixels.dtype.kind not in "iuf" or pixels.ndim not in (2, 3):
        raise FileError(f"it is not one picture of numbers per pixel (shape {pixels.shape}, {pixels.dtype}).")
    arrangement, ignored = arranged(pixels)
    return arrangement, [*notes, *ignored]


def from_pillow(path: Path) -> tuple[Array, list[str]]:
    """Pixels of a PNG, its size known before it is inflated; Pillow reads colours at 8 bits."""
    with open(path, "rb") as file:
        is_deep = file.read(25)[24:] == b"\x10"
    with Image.open(path) as image:
        check_memory(image.width * image.height * 16)
        pixels = np.asarray(image)
    return pixels, ["16-bit colours read at 8 bits."] if is_deep and pixels.dtype == np.uint8 else []


def from_tiff(path: Path) -> tuple[Array, list[str]]:
    """Pixels of a TIFF's first page; further ones may only be thumbnails of another size."""
    with tifffile.TiffFile(path) as file:
        first, *rest = file.pages
        if any(page.shape == first.shape for page in rest):
            raise FileError(f"it holds {len(file.pages)} pages; save them as NIfTI, or one by one.")
        check_memory(first.size * 8)
        return np.asarray(first.asarray()), ["pages of another size ignored."] if rest else []


def arranged(pixels: Array) -> tuple[Array, list[str]]:
    """Columns first, as NIfTI stores slices; transparency is no channel."""
    if pixels.ndim == 2:
        return pixels.T[:, :, np.newaxis], []
    notes = ["transparency ignored."] if pixels.shape[2] in (2, 4) else []
    pixels = pixels[..., : {2: 1, 4: 3}.get(pixels.shape[2], pixels.shape[2])]
    turned = pixels.transpose(1, 0, 2)[:, :, np.newaxis]
    return (turned[..., 0] if turned.shape[3] == 1 else turned), notes


def stored_grid(path: Path, pixels: Array, *, is_image: bool) -> StoredGrid:
    """How the picture keeps its pixels; it has no header."""
    axes, flips = orient(AFFINE, 2)
    return StoredGrid(path.absolute(), is_image, 2, (pixels.shape[0], pixels.shape[1], 1), axes, flips, b"")


def write_picture(path: Path, labels: LabelMap) -> None:
    """Write a 2D label map as a grey PNG or TIFF.

    Raises:
        FileError: it is 3D, or holds values that a picture cannot.
    """
    if labels.spatial_ndim != 2 or labels.array.dtype == np.int32:
        raise FileError(f"Cannot write {shown(path)}: pictures hold 2D labels from 0 to 65535; use .nii.gz.")
    stored = labels.stored if isinstance(labels.stored, StoredGrid) and labels.stored.holds(labels.array) else None
    pixels = stored.to_stored(labels.array).T if stored else labels.array[::-1, ::-1]
    content = BytesIO()
    kind = "PNG" if path.name.lower().endswith(".png") else "TIFF"
    Image.fromarray(np.ascontiguousarray(pixels)).save(content, kind)
    write_bytes(path, content.getvalue())
