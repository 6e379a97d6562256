"""Turn a file's raw numbers into image values or labels, and say what was repaired on the way."""

from __future__ import annotations

import numpy as np

from napari_ganseg.errors import FileError
from napari_ganseg.volume import Array, smallest_integers

MAX_NOT_FINITE = 0.05  # a larger share of NaN or infinite voxels is no scan
FLOAT32_MAX = float(np.finfo(np.float32).max)


def image_values(raw: Array, slope: float, inter: float) -> tuple[Array, list[str]]:
    """Image values: integers stay integers where nothing scales them, everything else becomes float32.

    Returns:
        The values, all finite, and notes.

    Raises:
        FileError: values beyond float32, or more than 5 % of them not finite.
    """
    if slope == 1 and inter == 0 and raw.dtype.kind in "iu":
        return narrow(raw), []
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = raw.astype(np.float64) * slope + inter
        is_bad = ~np.isfinite(scaled)
        if np.abs(scaled[~is_bad]).max(initial=0.0) > FLOAT32_MAX:
            raise FileError("values do not fit 32-bit floats.")
        if scaled[np.isfinite(raw)].size and not np.isfinite(scaled[np.isfinite(raw)]).all():
            raise FileError("values do not fit 32-bit floats.")
    return repaired(scaled.astype(np.float32), is_bad)


def narrow(raw: Array) -> Array:
    """Keep integers of up to 32 bits as they are; wider ones become int32 where they fit, else float32."""
    if raw.dtype.itemsize <= 2 or raw.dtype == np.int32:
        return raw
    if int(raw.max()) <= 2**31 - 1 and int(raw.min()) >= -(2**31):
        return raw.astype(np.int32)
    return raw.astype(np.float32)


def repaired(values: Array, is_bad: Array) -> tuple[Array, list[str]]:
    """Replace NaN and infinite voxels by the smallest finite value, as long as they are few."""
    count = int(is_bad.sum())
    if count == 0:
        return values, []
    if count > MAX_NOT_FINITE * values.size:
        share = 100 * count / values.size
        raise FileError(f"{count:,} voxels ({share:.0f} %) are NaN or infinite; this is no scan.")
    values = values.copy()
    values[is_bad] = least = values[~is_bad].min()
    verb = "voxels are" if count > 1 else "voxel is"
    return values, [f"{count:,} {verb} NaN or infinite; replaced by {least:g} (shown in layer metadata)."]


def label_values(raw: Array, slope: float, inter: float) -> Array:
    """Labels: whole numbers in the smallest integer type; floats that hold whole numbers are accepted.

    Raises:
        FileError: a value is not a whole number, or does not fit 32 bits.
    """
    if slope == 1 and inter == 0 and raw.dtype.kind in "iu":
        return smallest_integers(raw)
    with np.errstate(over="ignore", invalid="ignore"):
        values = raw.astype(np.float64) * slope + inter
    if not np.isfinite(values).all():
        raise FileError("it holds NaN or infinite values; labels are whole numbers.")
    whole = np.rint(values)
    is_off = np.abs(values - whole) > 1e-3
    if is_off.any():
        raise FileError(f"it holds the value {values[is_off][0]:g}; labels are whole numbers.")
    if np.abs(whole).max(initial=0.0) > 2**31 - 1:
        raise FileError(f"it holds the value {np.abs(whole).max():g}; labels fit 32-bit integers.")
    return smallest_integers(whole.astype(np.int64))
