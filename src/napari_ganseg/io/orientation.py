"""Where a NIfTI header says that its voxels lie: sform, qform or voxel sizes, and what is doubtful about it."""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from napari_ganseg.errors import FileError, GeometryError
from napari_ganseg.volume import Affine, check_affine, column_lengths

MM_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}  # xyzt_units & 7
KNOWN_CODES = range(1, 6)  # qform and sform codes of the standard; anything else says nothing
MIN_TURN = 0.5  # degrees between two axes that count as different
INVALID = (
    "the orientation is invalid; use voxel sizes only? (orientation='voxel-sizes' in Python, --voxel-sizes-only in the "
    "shell)"
)


def find_affine(nifti: Any, *, trust_orientation: bool) -> tuple[Affine, list[str]]:
    """The file's affine in millimetres: sform, else qform, else voxel sizes; with what has to be said about it.

    Raises:
        FileError: an orientation is claimed and none is valid.
        GeometryError: the voxel sizes are absurd.
    """
    nifti = nifti.copy()
    with np.errstate(all="ignore"):
        doubts = mend_sizes(nifti)
        sform = form_or_none(nifti, "sform") if trust_orientation else None
        qform = form_or_none(nifti, "qform") if trust_orientation else None
        if sform is not None:
            affine, notes = sform, doubts_of_sform(sform, qform, nifti, has_sizes=not doubts)
        elif qform is not None:
            affine, notes = qform, [*doubts, *doubts_of_qform(nifti)]
        elif trust_orientation and (claims(nifti, "sform") or claims(nifti, "qform")):
            raise FileError(INVALID)
        else:
            affine, notes = affine_from_sizes(nifti), [*doubts, "orientation unknown: left and right may be swapped."]
        affine, said = to_millimetres(affine, nifti)
        check_affine(affine)
        return affine, [*notes, *shear_note(affine), *said]


def mend_sizes(nifti: Any) -> list[str]:
    """Put 1 for voxel sizes that are missing and drop the sign of negative ones; say so."""
    notes = []
    nifti["pixdim"][0] = -1 if nifti["pixdim"][0] < 0 else 1  # qfac: anything but a negative number means 1
    for axis in range(1, 4):
        size = float(nifti["pixdim"][axis])
        is_missing = not np.isfinite(size) or size == 0
        nifti["pixdim"][axis] = 1.0 if is_missing else abs(size)
        if axis <= int(nifti["dim"][0]) and (is_missing or size < 0):
            text = "voxel size missing, 1 mm assumed."
            notes.append(text if is_missing else f"voxel size {size:g} is negative; {-size:g} is used.")
    return list(dict.fromkeys(notes))


def claims(nifti: Any, which: str) -> bool:
    """Whether the header says that its sform or qform holds."""
    return int(nifti[f"{which}_code"]) in KNOWN_CODES


def form_or_none(nifti: Any, which: str) -> Affine | None:
    """The sform or qform, or None where its code says nothing or it is invalid."""
    if not claims(nifti, which):
        return None
    try:
        affine = np.array(nifti.get_sform() if which == "sform" else nifti.get_qform(), dtype=np.float64)
        if int(nifti["dim"][0]) == 2 and not affine[:3, 2].any():
            affine[:3, 2] = np.cross(affine[:3, 0], affine[:3, 1]) / np.linalg.norm(affine[:3, 1])
        check_affine(affine)
    except (GeometryError, HeaderDataError, ValueError):
        return None
    return affine


def affine_from_sizes(nifti: Any) -> Affine:
    """The affine of a file that gives no orientation: nibabel's fallback, x to the left, centred."""
    sizes = np.array(nifti["pixdim"][1:4], dtype=np.float64) * (-1, 1, 1)
    shape = [int(n) if axis < int(nifti["dim"][0]) else 1 for axis, n in enumerate(nifti["dim"][1:4])]
    affine = np.diag([*sizes, 1.0])
    affine[:3, 3] = -sizes * (np.array(shape) - 1) / 2
    return affine


def doubts_of_sform(sform: Affine, qform: Affine | None, nifti: Any, *, has_sizes: bool) -> list[str]:
    """Say where qform or pixdim contradict the sform, which is the one that counts."""
    if not has_sizes:
        return ["voxel size missing in pixdim; the affine's is used."]
    if qform is not None:
        return disagreement(sform, qform)
    axes = min(3, int(nifti["dim"][0]))
    sizes, lengths = nifti["pixdim"][1 : axes + 1], column_lengths(sform)[:axes]
    if np.allclose(sizes, lengths, rtol=0.01):
        return []
    return [f"the voxel sizes in pixdim ({times(sizes)} mm) are not the affine's ({times(lengths)} mm), which is used."]


def doubts_of_qform(nifti: Any) -> list[str]:
    """Say when the qform is used although the file has an sform."""
    return ["the sform is invalid; the qform is used."] if claims(nifti, "sform") else []


def disagreement(sform: Affine, qform: Affine) -> list[str]:
    """Say in what the two orientations of one file differ by more than rounding."""
    parts = []
    sizes_q, sizes_s = column_lengths(qform), column_lengths(sform)
    if not np.allclose(sizes_q, sizes_s, rtol=0.01):
        parts.append(f"voxel sizes {times(sizes_q)} against {times(sizes_s)} mm")
    cosines = (qform[:3, :3] * sform[:3, :3]).sum(axis=0) / np.multiply(sizes_q, sizes_s)
    turn = float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).max())
    if turn > MIN_TURN:
        names = "" if codes(qform) == codes(sform) else f"{codes(qform)} against {codes(sform)}, "
        parts.append(f"axes {names}up to {turn:.3g} degrees apart")
    if np.abs(qform[:3, 3] - sform[:3, 3]).max() > 0.1 * max(sizes_s):
        parts.append(f"first voxel at {point(qform)} against {point(sform)} mm")
    return [f"qform and sform disagree: {'; '.join(parts)}; the sform is used."] if parts else []


def times(sizes: Any) -> str:
    """Numbers as 1 x 1 x 3."""
    return " x ".join(f"{v:.3g}" for v in sizes)


def codes(affine: Affine) -> str:
    """Axis directions as RAS."""
    library: Any = nib.orientations
    return "".join(library.aff2axcodes(affine))


def point(affine: Affine) -> str:
    """Place of the first voxel."""
    return f"({', '.join(f'{v:.4g}' for v in affine[:3, 3])})"


def shear_note(affine: Affine) -> list[str]:
    """Say when the axes are not at right angles."""
    unit = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = np.abs(unit.T @ unit - np.eye(3)).max()
    return ["the grid is sheared: volumes exact, display approximate."] if cosines > 1e-3 else []


def to_millimetres(affine: Affine, nifti: Any) -> tuple[Affine, list[str]]:
    """Convert metres and micrometres; a missing or invalid unit counts as millimetres, and is said."""
    factor = MM_PER_UNIT.get(int(nifti["xyzt_units"]) & 7)
    if factor is None:
        return affine, ["the unit of length is missing; millimetres assumed."]
    if factor == 1:
        return affine, []
    scale = np.diag([factor, factor, factor, 1.0])
    return scale @ affine, [f"the file's unit is {'metre' if factor > 1 else 'micrometre'}; converted to millimetres."]
