"""Write volumes and label maps as NIfTI: onto the file's own grid where they came from one, whole or not at all."""

from __future__ import annotations

import gzip
import logging
import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from napari_ganseg.errors import FileError
from napari_ganseg.io.atomic import replacing, write_bytes
from napari_ganseg.io.header import decode, find_affine
from napari_ganseg.io.labels import CARET_CODE, colour_for, is_ours, label_table, sidecar_bytes
from napari_ganseg.io.names import shown, sidecar_path
from napari_ganseg.io.stored import StoredGrid
from napari_ganseg.volume import Array, LabelClass, LabelMap, Volume

log = logging.getLogger(__name__)
SUFFIXES = (".nii.gz", ".nii")


def write(path: str | Path, content: Volume | LabelMap) -> Path:
    """Write a label map or a volume as NIfTI, atomically.

    A label map whose grid came from a file gets that file's axes, directions and orientation fields byte for byte, an
    integer type without scaling, its class names in a label table, and a JSON sidecar beside it.

    Args:
        path: `.nii` or `.nii.gz`; an older file is replaced.
        content: what to write.

    Returns:
        The path written.

    Raises:
        FileError: the path is the scan the labels came from, the folder cannot be written, the disk is full.
    """
    target = Path(path)
    check_target(target, content.stored)
    if isinstance(content, LabelMap):
        save(target, label_image(content))
        write_sidecar(sidecar_path(target), content)
    else:
        save(target, volume_image(content))
    return target


def check_target(path: str | Path, stored: object | None = None) -> None:
    """Refuse, before anything is computed, a path that cannot or must not be written.

    Raises:
        FileError: a wrong suffix, no such folder, or the scan itself.
    """
    target = Path(path)
    if not target.name.lower().endswith(SUFFIXES):
        raise FileError(f"Cannot write {shown(target)}: the name must end in .nii or .nii.gz.")
    if target.is_dir():
        raise FileError(f"Cannot write {shown(target)}: a folder has that name.")
    if not target.parent.is_dir():
        raise FileError(f"Cannot write {shown(target)}: there is no folder {shown(target.parent)}. Make it first.")
    if not os.access(target.parent, os.W_OK):
        raise FileError(f"Cannot write {shown(target)}: you have no permission to write there. Choose another folder.")
    if isinstance(stored, StoredGrid) and stored.is_image and is_same_file(target, stored.path):
        raise FileError(f"Cannot write {shown(target)}: it would overwrite the input image. Choose another name.")


def is_same_file(first: Path, second: Path) -> bool:
    """Whether two names mean one file, through links too."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return os.path.realpath(first) == os.path.realpath(second)


def label_image(labels: LabelMap) -> Any:
    """The nibabel image of a label map: on the stored grid, or in RAS where there is none."""
    array, header, affine = place(labels.array, labels)
    image = image_like(header, array, affine)
    image.header.set_intent("label", name="")
    image.header["cal_min"], image.header["cal_max"] = 0, 0
    classes = labels.classes or tuple(LabelClass(v, labels.name_of(v), colour_for(v)) for v in labels.counts())
    if classes:
        image.header.extensions.append(nib.nifti1.Nifti1Extension(CARET_CODE, label_table(classes)))
    return image


def volume_image(volume: Volume) -> Any:
    """The nibabel image of a volume, in RAS; channels come last."""
    array = volume.array.astype(np.int16 if volume.array.dtype == np.bool_ else volume.array.dtype, copy=False)
    if array.dtype in (np.float16, np.float64, np.int64, np.uint64):
        array = array.astype(np.float32)
    if volume.has_channels:
        return ras_image(np.moveaxis(array, 0, -1), volume.affine, volume.spatial_ndim)
    return ras_image(array, volume.affine, volume.spatial_ndim)


def place(array: Array, labels: LabelMap) -> tuple[Array, Any, Any]:
    """Array, source header (or None) and affine (None: the header's own) for a label map."""
    stored = labels.stored
    if isinstance(stored, StoredGrid) and stored.holds(array):
        header = usable_header(stored)
        if header is not None:
            return stored.to_stored(array), header, None
    if labels.spatial_ndim == 2:
        array = array[np.newaxis]
    return array.transpose(2, 1, 0), None, labels.affine[:, [2, 1, 0, 3]]


def usable_header(stored: StoredGrid) -> Any | None:
    """The source's header in this machine's byte order, or None where its orientation cannot be trusted."""
    is_pair = stored.path.name.lower().endswith((".hdr", ".img", ".hdr.gz", ".img.gz"))
    header, is_analyze = decode(stored.header, is_pair)
    if is_analyze:
        return None
    try:
        find_affine(header.copy(), trust_orientation=True)
    except FileError:
        return None
    return header.as_byteswapped("<")


def image_like(header: Any | None, array: Array, affine: Any | None) -> Any:
    """A single-file image of an integer array with the orientation fields of `header`."""
    if header is None:
        return ras_image(array, affine, array.ndim, is_transposed=True)
    kind = nib.Nifti2Image if int(header.sizeof_hdr) == 540 else nib.Nifti1Image
    fresh = kind.header_class(header.binaryblock, endianness="<", check=False)
    keep = {name: header[name].copy() for name in ORIENTATION_FIELDS if name in header.keys()}
    fresh.set_data_dtype(array.dtype)
    fresh["dim"] = 1
    fresh["dim"][: array.ndim + 1] = (array.ndim, *array.shape)
    fresh["magic"] = kind.header_class.single_magic
    fresh["vox_offset"] = 0
    fresh["scl_slope"], fresh["scl_inter"] = 1, 0
    image = kind(array, None, fresh)
    for name, value in keep.items():
        image.header[name] = value
    return image


ORIENTATION_FIELDS = (
    "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y",
    "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip


def ras_image(array: Array, affine: Any, ndim: int, *, is_transposed: bool = False) -> Any:
    """A fresh NIfTI-1 image whose sform and qform are the affine, in millimetres."""
    if not is_transposed:
        lead = array if ndim == 3 else array[np.newaxis]
        array = lead.transpose(2, 1, 0, *range(3, lead.ndim))
        affine = np.asarray(affine)[:, [2, 1, 0, 3]]
    image = nib.Nifti1Image(np.ascontiguousarray(array), affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    return image


def save(target: Path, image: Any) -> None:
    """Serialise an image to a temporary file and move it into place; gzip without a time stamp, so equal is equal."""
    needed = image.dataobj.nbytes + 2**20
    with replacing(target, needed=needed if target.name.lower().endswith(".nii") else 2**16) as temporary:
        with open(temporary, "wb") as file:
            if target.name.lower().endswith(".gz"):
                with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                    image.to_stream(packed)
            else:
                image.to_stream(file)


def write_sidecar(path: Path, labels: LabelMap) -> None:
    """Write the JSON sidecar, unless a file of that name is somebody else's."""
    if path.exists() and not is_ours(path):
        log.warning("%s is not ours and stays as it is; names are in the label table.", shown(path))
        return
    write_bytes(path, sidecar_bytes(labels))
