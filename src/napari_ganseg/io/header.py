"""Read a NIfTI header with suspicion: every field is checked before a voxel is read."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np

from napari_ganseg.errors import FileError, GeometryError
from napari_ganseg.volume import Affine, check_affine, column_lengths

COLOUR = {128, 2304}
COMPLEX = {32, 1792, 2048}
REAL = {2: 8, 4: 16, 8: 32, 16: 32, 64: 64, 256: 8, 512: 16, 768: 32, 1024: 64, 1280: 64}  # NIfTI code -> bits
MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # xyzt_units & 7
KNOWN_CODES = range(1, 6)  # qform and sform codes of the standard; anything else says nothing


@dataclass(frozen=True, slots=True)
class Header:
    """A checked header.

    Attributes:
        nifti: nibabel's header object.
        shape: all sizes, trailing ones included.
        start: offset of the first voxel in the inflated file.
        affine: the file's own axes (i, j, k) to RAS+ millimetres.
        notes: what was assumed or doubtful.
    """

    nifti: Any
    shape: tuple[int, ...]
    start: int
    affine: Affine
    notes: tuple[str, ...]

    @property
    def nbytes(self) -> int:
        """Bytes that the voxels take."""
        return math.prod(self.shape) * int(self.nifti["bitpix"]) // 8


def parse(raw: bytes, *, is_pair: bool, trust_orientation: bool = True) -> Header:
    """Check a header's bytes (348, or 540 for NIfTI-2) and understand them.

    Args:
        raw: at least the header's bytes.
        is_pair: a `.hdr` whose voxels lie in a `.img`.
        trust_orientation: False takes the voxel sizes alone, for files whose affine is invalid.

    Raises:
        FileError: the file is not NIfTI, is damaged, or is of a kind that is no CT or MRI.
    """
    nifti, is_analyze = decode(raw, is_pair)
    shape = check_shape(nifti)
    check_datatype(nifti)
    start = check_start_of_data(nifti, is_pair)
    check_scaling(nifti, is_analyze)
    if is_analyze:
        trust_orientation = False
    affine, notes = find_affine(nifti, trust_orientation)
    return Header(nifti, shape, start, affine, tuple(notes))


def decode(raw: bytes, is_pair: bool) -> tuple[Any, bool]:
    """Recognise NIfTI-1, NIfTI-2 or Analyze, of either byte order; nibabel decodes the fields."""
    for order in "<>":
        size = struct.unpack_from(order + "i", raw)[0] if len(raw) >= 4 else 0
        if size == 348 and len(raw) >= 348:
            magic = raw[344:348]
            if magic in (b"n+1\0", b"ni1\0"):
                kind = nib.Nifti1Pair if is_pair else nib.Nifti1Image
                return kind.header_class(raw[:348], endianness=order, check=False), False
            if is_pair and magic == b"\0\0\0\0":
                return nib.Nifti1Pair.header_class(raw[:348], endianness=order, check=False), True
        if size == 540 and len(raw) >= 540 and raw[4:12] in (b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n"):
            kind2 = nib.Nifti2Pair if is_pair else nib.Nifti2Image
            return kind2.header_class(raw[:540], endianness=order, check=False), False
    raise FileError("this is not a NIfTI file.")


def check_shape(nifti: Any) -> tuple[int, ...]:
    """Sizes of all axes, at least two of them."""
    dim = [int(v) for v in nifti["dim"]]
    if dim[0] == 1:
        raise FileError("the header says 1 dimension; 2 to 4 are supported.")
    if not 1 <= dim[0] <= 7:
        raise FileError(f"the header says {dim[0]} dimensions; 2 to 4 are supported.")
    shape = tuple(dim[1 : dim[0] + 1])
    if min(shape) < 0:
        raise FileError("the header has a negative size.")
    if min(shape) == 0:
        raise FileError(f"the image has no voxels ({' x '.join(map(str, shape))}).")
    if dim[0] > 5 and math.prod(shape[5:]) > 1:
        raise FileError(f"the header says {dim[0]} dimensions; 2 to 4 are supported.")
    return shape


def check_datatype(nifti: Any) -> None:
    """Refuse what is no real number per voxel, and a header that contradicts itself."""
    code, bits = int(nifti["datatype"]), int(nifti["bitpix"])
    if code in COLOUR:
        raise FileError("colour images are not CT/MRI data.")
    if code in COMPLEX:
        raise FileError("the voxels are complex numbers; save their magnitude as a file of its own first.")
    if code not in REAL:
        raise FileError(f"the voxel type is unknown (datatype {code}).")
    if bits != REAL[code]:
        raise FileError(f"the header contradicts itself: datatype {code} has {REAL[code]} bits, it says {bits}.")


def check_start_of_data(nifti: Any, is_pair: bool) -> int:
    """Offset of the voxels; a wrong one would read the header as an image."""
    offset = float(nifti["vox_offset"])
    first = 0 if is_pair else int(nifti.sizeof_hdr) + 4
    if not math.isfinite(offset) or offset < first or offset > 2**62 or offset != int(offset):
        raise FileError(f"the data start is wrong (offset {offset:g}).")
    return int(offset)


def check_scaling(nifti: Any, is_analyze: bool) -> None:
    """Slope 0 or NaN means unscaled (the standard); an infinite one, or a slope without an offset, is damage."""
    if is_analyze:
        nifti["scl_slope"], nifti["scl_inter"] = 0, 0
    slope, inter = float(nifti["scl_slope"]), float(nifti["scl_inter"])
    if math.isinf(slope) or math.isinf(inter) or (math.isfinite(slope) and slope != 0 and math.isnan(inter)):
        raise FileError(f"the intensity scale is invalid (slope {slope:g}, offset {inter:g}).")


def find_affine(nifti: Any, trust_orientation: bool) -> tuple[Affine, list[str]]:
    """The file's affine in millimetres: sform, else qform, else voxel sizes; with what has to be said about it."""
    notes: list[str] = []
    sizes = voxel_sizes(nifti, notes)
    sform = form_or_none(nifti, "sform") if trust_orientation else None
    qform = form_or_none(nifti, "qform") if trust_orientation else None
    has_code = any(int(nifti[f"{f}_code"]) in KNOWN_CODES for f in ("sform", "qform"))
    if trust_orientation and has_code and sform is None and qform is None:
        raise FileError("the orientation is invalid; use voxel sizes only? (orientation='voxel-sizes' in Python, "
                        "--voxel-sizes-only in the shell)")  # fmt: skip
    affine = sform if sform is not None else qform
    if affine is None:
        affine = affine_from_sizes(nifti, sizes)
        notes.append("orientation unknown: left and right may be swapped.")
    if sform is not None and qform is not None:
        notes += disagreement(sform, qform)
    if sform is not None:
        notes += size_disagreement(sform, nifti)
    elif int(nifti["sform_code"]) in KNOWN_CODES and qform is not None:
        notes.append("the sform is invalid; the qform is used.")
    notes += shear_note(affine)
    return to_millimetres(affine, nifti, notes), notes


def voxel_sizes(nifti: Any, notes: list[str]) -> list[float]:
    """Voxel sizes from pixdim; absent or negative ones are mended in the header object and said."""
    pixdim = nifti["pixdim"]
    for axis in range(1, 4):
        size = float(pixdim[axis])
        if not math.isfinite(size) or size == 0:
            pixdim[axis] = 1.0
            if axis <= int(nifti["dim"][0]):
                text = "voxel size missing, 1 mm assumed."
                if int(nifti["sform_code"]) in KNOWN_CODES:
                    text = "voxel size missing in pixdim; the affine's is used."
                notes += [text] if text not in notes else []
        elif size < 0:
            pixdim[axis] = -size
            text = f"voxel size {size:g} is negative; {-size:g} is used."
            notes.append(text)
    return [float(v) for v in pixdim[1:4]]


def form_or_none(nifti: Any, which: str) -> Affine | None:
    """The sform or qform, or None where its code says nothing or it is invalid."""
    if int(nifti[f"{which}_code"]) not in KNOWN_CODES:
        return None
    try:
        affine = np.array(nifti.get_sform() if which == "sform" else nifti.get_qform(), dtype=np.float64)
        if int(nifti["dim"][0]) == 2 and not affine[:3, 2].any():
            affine[:3, 2] = np.cross(affine[:3, 0], affine[:3, 1]) / np.linalg.norm(affine[:3, 1])
        check_affine(affine)
    except (GeometryError, ValueError, np.linalg.LinAlgError):
        return None
    return affine


def affine_from_sizes(nifti: Any, sizes: list[float]) -> Affine:
    """The affine of a file that gives no orientation: nibabel's fallback, x to the left, centred."""
    shape = [int(v) for v in nifti["dim"][1:4]]
    shape = [n if axis < int(nifti["dim"][0]) else 1 for axis, n in enumerate(shape)]
    affine = np.diag([-sizes[0], sizes[1], sizes[2], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def disagreement(sform: Affine, qform: Affine) -> list[str]:
    """Say where the two orientations of one file differ by more than rounding."""
    scale = max(column_lengths(sform))
    if np.abs(sform[:3, :3] - qform[:3, :3]).max() <= 0.01 * scale and np.abs(sform - qform).max() <= 0.1 * scale:
        return []
    return [
        f"qform and sform disagree (qform {described(qform)}, sform {described(sform)}); the sform is used."
    ]


def described(affine: Affine) -> str:
    """Axis directions and voxel sizes of an affine in a few characters."""
    sizes = " x ".join(f"{v:.3g}" for v in column_lengths(affine))
    return f"{''.join(nib.aff2axcodes(affine))} {sizes} mm at {', '.join(f'{v:.4g}' for v in affine[:3, 3])}"


def size_disagreement(affine: Affine, nifti: Any) -> list[str]:
    """Say when pixdim gives other voxel sizes than the affine, which is the one that counts."""
    pixdim = np.array([float(v) for v in nifti["pixdim"][1:4]])
    lengths = np.array(column_lengths(affine))
    axes = min(3, int(nifti["dim"][0]))
    if np.allclose(pixdim[:axes], lengths[:axes], rtol=0.01):
        return []
    sizes = " x ".join(f"{v:.3g}" for v in pixdim[:axes])
    used = " x ".join(f"{v:.3g}" for v in lengths[:axes])
    return [f"the voxel sizes in pixdim ({sizes}) are not the affine's ({used} mm); the affine is used."]


def shear_note(affine: Affine) -> list[str]:
    """Say when the axes are not at right angles."""
    unit = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = np.abs(unit.T @ unit - np.eye(3)).max()
    return ["the grid is sheared: volumes exact, display approximate."] if cosines > 1e-3 else []


def to_millimetres(affine: Affine, nifti: Any, notes: list[str]) -> Affine:
    """Convert metres and micrometres; a missing or invalid unit counts as millimetres, and is said."""
    unit = int(nifti["xyzt_units"]) & 7
    if unit not in MM_PER_UNIT or unit == 0:
        notes.append("the unit of length is missing; millimetres assumed.")
    factor = MM_PER_UNIT.get(unit, 1.0)
    if factor == 1.0:
        return affine
    notes.append(f"the file's unit is {'metre' if unit == 1 else 'micrometre'}; converted to millimetres.")
    affine = affine.copy()
    affine[:3] *= factor
    return affine
