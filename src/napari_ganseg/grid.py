"""Change the grid of a volume or label map; each function returns the new one and how to undo it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from napari_ganseg.errors import GeometryError
from napari_ganseg.volume import Affine, Array, Grid, LabelMap, Volume

G = TypeVar("G", Volume, LabelMap)


def resample(grid: G, spacing_mm: Sequence[float]) -> tuple[G, Callable[[G], G]]:
    """Bring a volume (linear) or label map (nearest) to another spacing around the same centre.

    Args:
        grid: what to resample.
        spacing_mm: millimetres along (z, y, x) or (y, x).

    Returns:
        The new one, and a function that brings anything on the new grid back to the old one.
    """
    ratio = [new / old for new, old in zip(spacing_mm, grid.spacing_mm, strict=True)]
    shape = tuple(max(1, round(n / r)) for n, r in zip(grid.shape, ratio, strict=True))
    if np.allclose(ratio, 1.0, atol=1e-3):
        return grid, lambda same: same
    coordinates = [centred(n_new, n_old, r) for n_new, n_old, r in zip(shape, grid.shape, ratio, strict=True)]
    affine = affine_at(grid, coordinates, ratio)
    new = grid.derive(array=sample(grid, coordinates, ratio), affine=affine)

    def undo(other: G) -> G:
        back = [(np.arange(n) - c[0]) / r for n, c, r in zip(grid.shape, coordinates, ratio, strict=True)]
        array = sample(other, back, [1 / r for r in ratio])
        return other.derive(array=array, affine=grid.affine, stored=grid.stored)

    return new, undo


def crop(grid: G, box: Sequence[slice]) -> tuple[G, Callable[[LabelMap], LabelMap]]:
    """Cut a box out of a volume; undo puts labels made inside it back into an empty map of the old grid.

    Args:
        grid: what to cut.
        box: one slice of voxel indices per spatial axis, in array order; it is clipped to the grid.

    Raises:
        GeometryError: the box lies outside the grid.
    """
    bounds = [s.indices(n)[:2] for s, n in zip(box, grid.shape, strict=True)]
    if any(stop <= start for start, stop in bounds):
        raise GeometryError("The region lies outside the image; draw it over the scan.")
    inside = tuple(slice(*b) for b in bounds)
    affine = shifted(grid.affine, [start for start, _ in bounds])
    new = grid.derive(array=last_axes(grid.array, inside), affine=affine)

    def undo(labels: LabelMap) -> LabelMap:
        array = np.zeros(grid.shape, labels.array.dtype)
        array[inside] = labels.array
        return labels.derive(array=array, affine=grid.affine, stored=grid.stored)

    return new, undo


def pad(grid: G, shape: Sequence[int], value: float | None = 0) -> tuple[G, Callable[[G], G]]:
    """Grow a volume or label map to at least `shape`, evenly on both sides; undo cuts it back.

    Args:
        grid: what to grow.
        shape: voxels wanted per spatial axis; axes that are larger already stay.
        value: what the new voxels hold; None repeats the edge, which makes no border a network could see.
    """
    missing = [max(0, want - have) for want, have in zip(shape, grid.shape, strict=True)]
    before = [m // 2 for m in missing]
    widths = [(b, m - b) for b, m in zip(before, missing, strict=True)]
    lead = [(0, 0)] * (grid.array.ndim - grid.spatial_ndim)
    if value is None:
        array = np.pad(grid.array, lead + widths, mode="edge")
    else:
        array = np.pad(grid.array, lead + widths, constant_values=value)
    new = grid.derive(array=array, affine=shifted(grid.affine, [-b for b in before]))
    inside = tuple(slice(b, b + n) for b, n in zip(before, grid.shape, strict=True))

    def undo(other: G) -> G:
        return other.derive(array=last_axes(other.array, inside), affine=grid.affine, stored=grid.stored)

    return new, undo


def last_axes(array: Array, index: Sequence[Any]) -> Array:
    """Index the last axes of an array; channels before them stay."""
    return array[(..., *index)]


def sample(grid: Grid, coordinates: Sequence[npt.NDArray[np.float64]], ratio: Sequence[float]) -> Array:
    """Read a grid at the outer product of fractional voxel coordinates: nearest for a LabelMap, linear for a Volume.

    Before a linear shrink a Gaussian of (ratio - 1) / 2 voxels keeps fine structure from aliasing.
    """
    lead = grid.array.ndim - grid.spatial_ndim
    if isinstance(grid, LabelMap):
        return last_axes(grid.array, np.ix_(*[nearest(c, n) for c, n in zip(coordinates, grid.shape, strict=True)]))
    array = grid.array.astype(np.float32, copy=False)
    for axis, (coordinate, r) in enumerate(zip(coordinates, ratio, strict=True), start=lead):
        if r > 1.001:
            array = gaussian_filter1d(array, (r - 1) / 2, axis=axis, mode="nearest")
        array = interpolate(array, coordinate, axis)
    return array


def interpolate(array: Array, coordinate: npt.NDArray[np.float64], axis: int) -> Array:
    """Linear interpolation along one axis at fractional indices; beyond the ends the end value holds."""
    last = array.shape[axis] - 1
    position = np.clip(coordinate, 0, last)
    low = np.floor(position).astype(np.intp)
    high = np.minimum(low + 1, last)
    weight = (position - low).astype(array.dtype).reshape([-1 if a == axis else 1 for a in range(array.ndim)])
    below = np.take(array, low, axis)
    below += (np.take(array, high, axis) - below) * weight
    return below


def nearest(coordinate: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.intp]:
    """Index of the closest voxel; halves go up, so a tie falls the same way along the whole axis."""
    return np.clip(np.floor(coordinate + 0.5), 0, size - 1).astype(np.intp)


def centred(size_new: int, size_old: int, ratio: float) -> npt.NDArray[np.float64]:
    """Old voxel coordinates of the new voxels when both grids share their centre."""
    return np.asarray((np.arange(size_new) - (size_new - 1) / 2) * ratio + (size_old - 1) / 2)


def affine_at(grid: Grid, coordinates: Sequence[npt.NDArray[np.float64]], ratio: Sequence[float]) -> Affine:
    """Affine of the grid whose voxels lie at the given coordinates of the old one."""
    affine = shifted(grid.affine, [float(c[0]) for c in coordinates])
    affine[:3, 3 - len(ratio) : 3] *= np.asarray(ratio)
    return affine


def shifted(affine: Affine, start: Sequence[float]) -> Affine:
    """Affine of an array that begins at the (fractional) voxel `start` of the old one."""
    moved = affine.copy()
    moved[:3, 3] += affine[:3, 3 - len(start) : 3] @ np.asarray(start, dtype=np.float64)
    return moved
