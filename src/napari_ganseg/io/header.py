"""Read a NIfTI header with suspicion: every field is checked before a voxel is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import nibabel as nib

from napari_ganseg.errors import FileError
from napari_ganseg.io.door import Stream
from napari_ganseg.io.orientation import find_affine
from napari_ganseg.volume import Affine

COLOUR = {128, 2304}
COMPLEX = {32, 1792, 2048}
REAL = {2: 8, 4: 16, 8: 32, 16: 32, 64: 64, 256: 8, 512: 16, 768: 32, 1024: 64, 1280: 64}  # NIfTI code -> bits
MAX_START = 2**27  # bytes before the voxels; label tables of whole atlases take a few megabytes
MAGIC_1 = {b"n+1\0": False, b"ni1\0": True}  # -> whether it says that the voxels lie in a file of their own
MAGIC_2 = {b"n+2\0\r\n\x1a\n": False, b"ni2\0\r\n\x1a\n": True}
FROM_ANALYZE = ("dim", "datatype", "bitpix", "pixdim", "vox_offset", "scl_slope")  # SPM scales, Analyze leaves it 0


@dataclass(frozen=True, slots=True)
class Header:
    """A checked header.

    Attributes:
        nifti: nibabel's header object.
        shape: all sizes, trailing ones included.
        start: offset of the first voxel in the inflated file.
        scaling: slope and offset of the intensities; (1, 0) for none.
        affine: the file's own axes (i, j, k) to RAS+ millimetres.
        notes: what was assumed or doubtful.
    """

    nifti: Any
    shape: tuple[int, ...]
    start: int
    scaling: tuple[float, float]
    affine: Affine
    notes: tuple[str, ...]

    @property
    def nbytes(self) -> int:
        """Bytes that the voxels take in the file."""
        return math.prod(self.shape) * int(self.nifti["bitpix"]) // 8

    @property
    def memory(self) -> int:
        """Bytes that reading takes: the voxels and their upright copy, both in float32 where something is computed."""
        if self.scaling == (1, 0) and self.nifti.get_data_dtype().kind in "iu":
            return 2 * self.nbytes
        return self.nbytes + 9 * math.prod(self.shape)


def header_bytes(stream: Stream) -> bytes:
    """The first 348 bytes, 540 where they say NIfTI-2."""
    start = stream.read(348)
    is_second = 540 in (int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big"))
    return start + stream.read(540 - 348) if is_second else start


def parse(raw: bytes, *, is_pair: bool, trust_orientation: bool = True) -> Header:
    """Check a header's bytes (348, or 540 for NIfTI-2) and understand them.

    Args:
        raw: the header's bytes.
        is_pair: a `.hdr` whose voxels lie in a `.img`.
        trust_orientation: False takes the voxel sizes alone, for files whose affine is invalid.

    Raises:
        FileError: the file is not NIfTI, is damaged, or is of a kind that is no CT or MRI.
    """
    nifti = decode(raw, is_pair=is_pair)
    shape = check_shape(nifti)
    check_datatype(nifti)
    start = check_start_of_data(nifti, is_pair)
    scaling = check_scaling(nifti)
    affine, notes = find_affine(nifti, trust_orientation=trust_orientation)
    if not is_pair and says_pair(raw):
        notes.append("its header says that the voxels lie in another file; those that follow it are used.")
    return Header(nifti, shape, start, scaling, affine, tuple(notes))


def decode(raw: bytes, *, is_pair: bool) -> Any:
    """Recognise NIfTI-1, NIfTI-2 or Analyze, of either byte order; nibabel decodes the fields."""
    first: Any = nib.Nifti1Header
    second: Any = nib.Nifti2Header
    for order in ("<", ">"):
        size = int.from_bytes(raw[:4], "little" if order == "<" else "big")
        if size == 348 == len(raw) and raw[344:348] in MAGIC_1:
            return first(raw, endianness=order, check=False)
        if size == 348 == len(raw) and is_pair and raw[344:348] == bytes(4):
            return from_analyze(first(raw, endianness=order, check=False))
        if size == 540 == len(raw) and raw[4:12] in MAGIC_2:
            return second(raw, endianness=order, check=False)
    raise FileError("this is not a NIfTI file.")


def says_pair(raw: bytes) -> bool:
    """Whether the magic says that the voxels lie in a file of their own."""
    return MAGIC_1.get(raw[344:348], False) if len(raw) == 348 else MAGIC_2[raw[4:12]]


def from_analyze(old: Any) -> Any:
    """A NIfTI header with the few fields that Analyze has in the same place; it has no orientation."""
    new = type(old)(endianness=old.endianness)
    for name in FROM_ANALYZE:
        new[name] = old[name]
    new.set_xyzt_units("mm")
    return new


def check_shape(nifti: Any) -> tuple[int, ...]:
    """Sizes of all axes, at least two of them."""
    dim = [int(v) for v in nifti["dim"]]
    if not 2 <= dim[0] <= 7:
        raise FileError(f"the header says {dim[0]} dimension{'s' * (dim[0] != 1)}; 2 to 4 are supported.")
    shape = tuple(dim[1 : dim[0] + 1])
    if min(shape) < 0:
        raise FileError("the header has a negative size.")
    if min(shape) == 0:
        raise FileError(f"the image has no voxels ({' x '.join(map(str, shape))}).")
    if max(shape[5:], default=1) > 1:
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
    if not first <= offset <= MAX_START or offset != int(offset):
        raise FileError(f"the data start is wrong (offset {offset:g}).")
    return int(offset)


def check_scaling(nifti: Any) -> tuple[float, float]:
    """Slope and offset: 0 or NaN means none (the standard); infinity, or a slope without an offset, is damage."""
    slope, inter = float(nifti["scl_slope"]), float(nifti["scl_inter"])
    if math.isinf(slope) or math.isinf(inter) or (math.isfinite(slope) and slope != 0 and math.isnan(inter)):
        raise FileError(f"the intensity scale is invalid (slope {slope:g}, offset {inter:g}).")
    return (1.0, 0.0) if slope == 0 or math.isnan(slope) else (slope, inter)
