"""Is this scan what the model knows? Doubts in words, never a silent empty mask."""

from __future__ import annotations

from math import prod
from typing import cast

import numpy as np

from napari_ganseg.errors import UsageError
from napari_ganseg.grid import last_axes
from napari_ganseg.io.lazy import LazyArray, lazily
from napari_ganseg.io.voxels import repaired
from napari_ganseg.models import Card
from napari_ganseg.volume import Array, Volume

TOLERANCE = 1.35  # an extent may be this much beyond what the card names before it is worth a word
ENOUGH = 2**26  # voxels, to tell a CT by; of a larger scan every second plane, or third, is looked at
LEAST_3D = 8  # voxels per axis that a 3D model needs


def check_fit(volume: Volume, card: Card) -> None:
    """Refuse what a model cannot take at all.

    Raises:
        UsageError: dimensions or channels do not fit.
    """
    if card.dims == 3 and (volume.spatial_ndim == 2 or min(volume.shape) < LEAST_3D):
        size = " x ".join(map(str, volume.shape))
        raise UsageError(f"{card.name} is a 3D model and needs at least {LEAST_3D} voxels along every axis; "
                         f"this image or region is {size}. Choose a 2D model, or more of the scan.")  # fmt: skip
    if volume.channels != len(card.channels):
        raise UsageError(f"{card.name} expects {len(card.channels)} channel(s) ({', '.join(card.channels)}); "
                         f"this image has {volume.channels}.")  # fmt: skip


def finite(volume: Volume) -> Volume:
    """The volume with finite voxels. Files are so already; other arrays are repaired, and it is said.

    Raises:
        UsageError: the voxels are no real numbers. FileError: too many of them are not finite.
    """
    if volume.array.dtype.kind not in "biuf":
        raise UsageError(f"CT and MRI hold real numbers; this image holds {volume.array.dtype}. Give its magnitude.")
    if not isinstance(volume.array, np.ndarray):
        return left_there(volume)
    if volume.array.dtype.kind != "f":
        return volume
    with np.errstate(over="ignore"):
        values = volume.array.astype(np.float32, copy=False)
    is_bad = ~np.isfinite(values)
    if not is_bad.any():
        return volume
    values, notes = repaired(values.copy(), is_bad)
    return volume.derive(array=values, notes=(*volume.notes, *notes))


def left_there(volume: Volume) -> Volume:
    """A volume that is not in memory, its voxels repaired as they are read; integers need no look."""
    if isinstance(volume.array, LazyArray):
        return volume
    array, notes = lazily(volume.array, slow=int(volume.has_channels))
    return volume.derive(array=cast(Array, array), notes=(*volume.notes, *notes))


def doubts(volume: Volume, card: Card, whole: Volume | None = None) -> tuple[str, ...]:
    """Say in words where a scan is not what the model knows: contrast, intensity range, field of view.

    Args:
        volume: what is segmented.
        card: of the model.
        whole: the scan it was cut from; a region inside the body has no air to tell a CT by.
    """
    low, high = extremes(volume)
    if low == high:
        return (f"The image has no contrast (every voxel is {low:g}); nothing can be found in it.",)
    return (*intensity_doubts(whole or volume, card), *extent_doubts(volume, card))


def extremes(volume: Volume) -> tuple[float, float]:
    """The smallest and the largest value; a LazyArray goes through its voxels piece by piece, once."""
    if isinstance(volume.array, LazyArray):
        return volume.array.extremes()
    return float(volume.array.min()), float(volume.array.max())


def intensity_doubts(volume: Volume, card: Card) -> tuple[str, ...]:
    """CT is recognised by air near -1000 HU; a CT model needs Hounsfield units, an MR model has never seen them."""
    low, _ = extremes(volume)
    if card.modality == "CT" and low >= -100:
        return (f"{card.name} needs a CT in Hounsfield units; the smallest value here is {low:g}, "
                "so this looks like an MRI or a CT without its offset of -1024.",)  # fmt: skip
    if card.modality == "MR" and low <= -900 and looks_like_ct(volume):
        return (f"{card.name} was trained on MRI; values down to {low:g} look like a CT.",)
    return ()


def looks_like_ct(volume: Volume) -> bool:
    """Whether air and soft tissue both lie where Hounsfield put them."""
    every = max(1, prod(volume.shape) // ENOUGH)
    some = [slice(None, None, step) for step in (every, 2, 2)[-volume.spatial_ndim :]]
    values = np.asarray(last_axes(volume.array, some)).astype(np.float32)
    has_air = bool((np.abs(values + 1000) < 100).mean() > 0.01)
    return has_air and bool(((values > -150) & (values < 150)).mean() > 0.01)


def extent_doubts(volume: Volume, card: Card) -> tuple[str, ...]:
    """Compare the extent with what the card says the model has seen."""
    view = card.field_of_view
    extent = [n * s for n, s in zip(volume.shape, volume.spacing_mm, strict=True)][-card.dims :]
    size = " x ".join(f"{e:.0f}" for e in extent)
    if any(e > most * TOLERANCE for e, most in zip(extent, view.most_mm, strict=True)):
        return (
            f"The image covers {size} mm; {card.name} knows {view.region}. Choose a region of that size around it.",
        )
    if any(e * TOLERANCE < least for e, least in zip(extent, view.least_mm, strict=True)):
        return (f"The image covers only {size} mm; {card.name} knows {view.region}. Choose a larger region.",)
    return ()
