"""Turn a file's raw numbers into image values or labels, and say what was repaired on the way."""

from __future__ import annotations

import numpy as np

from napari_ganseg.errors import FileError
from napari_ganseg.volume import Array, smallest_integers

MAX_NOT_FINITE = 0.05  # a larger share of NaN or infinite voxels is no scan
MAX_OFF_WHOLE = 1e-3  # scaled labels may miss a whole number by rounding


def image_values(raw: Array, slope: float, inter: float) -> tuple[Array, list[str]]:
    """Image values: integers stay integers where nothing scales them, everything else becomes float32.

    Returns:
        The values, all finite, and notes.

    Raises:
        FileError: values beyond float32, or more than 5 % of them not finite.
    """
    if raw.dtype.kind in "iu" and (slope, inter) == (1, 0):
        return narrow(raw), []
    values = scaled(raw, slope, inter)
    is_bad = ~np.isfinite(values)
    if (is_bad & np.isfinite(raw)).any():
        raise FileError("values do not fit 32-bit floats.")
    return repaired(values, is_bad)


def narrow(raw: Array) -> Array:
    """Keep integers of up to 32 bits as they are; wider ones become int32 where they fit, else float32."""
    if raw.dtype.itemsize <= 2 or raw.dtype == np.int32:
        return raw
    if int(raw.max()) <= 2**31 - 1 and int(raw.min()) >= -(2**31):
        return raw.astype(np.int32)
    return raw.astype(np.float32)


def scaled(raw: Array, slope: float, inter: float) -> Array:
    """Compute slope * raw + inter in float64, slice by slice to save memory, and keep it in float32."""
    values = np.empty_like(raw, dtype=np.float32)
    with np.errstate(all="ignore"):
        for k in range(raw.shape[-1]):
            values[..., k] = raw[..., k].astype(np.float64) * slope + inter
    return values


def repaired(values: Array, is_bad: Array) -> tuple[Array, list[str]]:
    """Replace NaN and infinite voxels, in place, by the smallest finite value, as long as they are few."""
    count = int(is_bad.sum())
    if count == 0:
        return values, []
    verb = "voxels are" if count > 1 else "voxel is"
    if count > MAX_NOT_FINITE * values.size:
        share = 100 * count / values.size
        raise FileError(f"{count:,} {verb} NaN or infinite ({share:.0f} %); this is no scan.")
    values[is_bad] = least = values[~is_bad].min()
    return values, [f"{count:,} {verb} NaN or infinite; replaced by {least:g} (shown in layer metadata)."]


def label_values(raw: Array, slope: float, inter: float) -> Array:
    """Labels: whole numbers in the smallest integer type; floats that hold whole numbers are accepted.

    Raises:
        FileError: a value is not a whole number.
        GeometryError: a value does not fit 32 bits.
    """
    is_scaled = (slope, inter) != (1, 0)
    if raw.dtype.kind in "iu" and not is_scaled:
        return smallest_integers(raw)
    with np.errstate(all="ignore"):
        values = raw.astype(np.float64) * slope + inter if is_scaled else raw
        whole = np.rint(values)
        is_off = ~(np.abs(values - whole) <= MAX_OFF_WHOLE)
    if is_off.any():
        raise FileError(f"it holds the value {values[is_off][0]:g}; labels are whole numbers.")
    if (most := float(np.abs(whole).max())) > 2**31 - 1:
        raise FileError(f"it holds the value {most:g}; labels fit 32-bit integers.")
    return smallest_integers(whole.astype(np.int64))
