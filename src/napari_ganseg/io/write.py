"""Write volumes and label maps: onto the file's own grid where they came from one, whole or not at all."""

from __future__ import annotations

import gzip
import logging
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from napari_ganseg.errors import FileError, GansegError, UsageError
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.io.header import decode
from napari_ganseg.io.labels import CARET_CODE, colour_for, is_ours, label_table, sidecar_bytes
from napari_ganseg.io.load import PAIR
from napari_ganseg.io.names import PICTURE_SUFFIXES, shown, sidecar_path
from napari_ganseg.io.orientation import find_affine, shear_note
from napari_ganseg.io.stored import StoredGrid
from napari_ganseg.io.voxels import narrow
from napari_ganseg.volume import Affine, Array, LabelClass, LabelMap, Volume

log = logging.getLogger(__name__)
NIFTI = (".nii.gz", ".nii")
ORIENTATION_FIELDS = (
    "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y",
    "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip


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
        UsageError: a volume of something other than real numbers.
    """
    target = Path(path)
    check_target(target, content.stored)
    if isinstance(content, LabelMap):
        sidecar = sidecar_bytes(content)
        if target.name.lower().endswith(PICTURE_SUFFIXES):
            from napari_ganseg.io.pictures import write_picture  # needs an image library

            write_picture(target, content)
        else:
            save(target, label_image(content))
        write_sidecar(sidecar_path(target), sidecar)
    elif target.name.lower().endswith(NIFTI):
        save(target, volume_image(content))
    else:
        raise FileError(f"Cannot write {shown(target)}: an image is written as .nii or .nii.gz.")
    return target


def check_target(path: str | Path, stored: object | None = None) -> None:
    """Refuse, before anything is computed, a path that cannot or must not be written.

    Raises:
        FileError: a wrong suffix, no such folder, or the scan itself.
    """
    target = Path(path)
    if not target.name.lower().endswith((*NIFTI, *PICTURE_SUFFIXES)):
        raise FileError(f"Cannot write {shown(target)}: the name must end in .nii or .nii.gz (or .png for a 2D slice).")
    if target.is_dir():
        raise FileError(f"Cannot write {shown(target)}: a folder has that name.")
    if not target.parent.is_dir():
        raise FileError(f"Cannot write {shown(target)}: there is no folder {shown(target.parent)}. Make it first.")
    if not os.access(target.parent, os.W_OK):
        raise FileError(f"Cannot write {shown(target)}: you have no permission to write there. Choose another folder.")
    if isinstance(stored, StoredGrid) and stored.ndim == 3 and target.name.lower().endswith(PICTURE_SUFFIXES):
        raise FileError(f"Cannot write {shown(target)}: pictures hold 2D labels; use .nii.gz for a volume.")
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
    stored = labels.stored
    if isinstance(stored, StoredGrid) and stored.header and stored.holds(labels.array):
        image = image_like(stored_header(stored), stored.to_stored(labels.array))
    else:
        image = ras_image(labels.array, labels.affine, labels.spatial_ndim)
    image.header.set_intent("label", name="")
    classes = labels.classes or tuple(LabelClass(v, labels.name_of(v), colour_for(v)) for v in labels.counts())
    if classes:
        nifti1: Any = nib.nifti1
        image.header.extensions.append(nifti1.Nifti1Extension(CARET_CODE, label_table(classes)))
    return image


def stored_header(stored: StoredGrid) -> Any:
    """The source's header in this machine's byte order; it claims no orientation where its own is invalid."""
    header = decode(stored.header, is_pair=PAIR.fullmatch(stored.path.name) is not None).as_byteswapped("<")
    try:
        find_affine(header, trust_orientation=True)
    except GansegError:
        header["qform_code"] = header["sform_code"] = 0
    return header


def image_like(header: Any, array: Array) -> Any:
    """A single-file image of an integer array, of the header's NIfTI version and with its orientation fields."""
    kind: Any = nib.Nifti2Image if header.sizeof_hdr == 540 else nib.Nifti1Image
    image = kind(array, None)
    for name in ORIENTATION_FIELDS:
        image.header[name] = header[name]
    return image


def volume_image(volume: Volume) -> Any:
    """The nibabel image of a volume, in RAS; channels are NIfTI's fifth axis, since the fourth is time."""
    array = np.asarray(volume.array)
    if array.dtype.kind not in "biuf":
        raise UsageError(f"A volume holds real numbers; this one holds {array.dtype}.")
    dtypes = {"b": np.uint8, "f": np.float32}
    array = array.astype(dtypes[array.dtype.kind]) if array.dtype.kind in dtypes else narrow(array)
    return ras_image(array, volume.affine, volume.spatial_ndim)


def ras_image(array: Array, affine: Affine, ndim: int) -> Any:
    """A fresh image of (z, y, x), (y, x), or channels first, in millimetres; a sheared grid has an sform alone."""
    channels_last = np.moveaxis(array, 0, -1) if array.ndim > ndim else array
    spatial = channels_last.transpose(*range(ndim)[::-1], *range(ndim, array.ndim))
    if array.ndim > ndim:
        spatial = spatial.reshape((*spatial.shape[:ndim], *(1,) * (4 - ndim), spatial.shape[-1]))
    nifti_affine = affine[:, [2, 1, 0, 3]]
    kind: Any = nib.Nifti1Image if max(array.shape) < 2**15 else nib.Nifti2Image
    image = kind(spatial, nifti_affine)
    image.set_qform(nifti_affine, code=0 if shear_note(affine) else 1)
    image.set_sform(nifti_affine, code=1)
    image.header.set_xyzt_units("mm")
    return image


def save(target: Path, image: Any) -> None:
    """Serialise an image, packed without a time stamp so that equal is equal, and write it whole or not at all."""
    content = BytesIO()
    image.to_stream(content)
    is_packed = target.name.lower().endswith(".gz")
    write_bytes(target, gzip.compress(content.getbuffer(), 6, mtime=0) if is_packed else content.getbuffer())


def write_sidecar(path: Path, content: bytes) -> None:
    """Write the JSON sidecar, unless a file of that name is somebody else's."""
    if path.exists() and not is_ours(path):
        log.warning("%s is not ours and stays as it is; names are in the label table.", shown(path))
        return
    write_bytes(path, content)
