"""StoredGrid: how a file keeps its voxels, so that labels can be written back onto exactly that grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from napari_ganseg.volume import Affine, Array


@dataclass(frozen=True, slots=True)
class StoredGrid:
    """The file's own grid, beside an array whose axes grow to S, A, R.

    Attributes:
        path: the file the array came from.
        is_image: it was read as an image: never to be overwritten by labels made on it.
        ndim: 2 or 3 spatial axes in the file.
        shape: voxels along the file's first three axes.
        axes: for each array axis (z, y, x), or (normal, y, x) in 2D, the file's axis it came from.
        flips: for each array axis, whether it runs against the file's.
        header: the file's NIfTI header, byte for byte.
    """

    path: Path
    is_image: bool
    ndim: int
    shape: tuple[int, int, int]
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    header: bytes

    def to_array(self, stored: Array) -> Array:
        """Bring the file's voxels (i, j, k) or (i, j, k, channel) to (z, y, x), (y, x), or channels first."""
        stored = stored.reshape(self.shape + stored.shape[3:])
        lead = tuple(range(3, stored.ndim))
        index: tuple[Any, ...] = (..., *self._steps())
        array = stored.transpose(lead + self.axes)[index]
        if self.ndim == 2:
            array = array[..., 0, :, :]
        return np.ascontiguousarray(array)

    def to_stored(self, array: Array) -> Array:
        """Undo `to_array` for a label map (no channels): the file's own axes and directions, 2 or 3 of them."""
        if self.ndim == 2:
            array = array[np.newaxis]
        stored = array[self._steps()].transpose(np.argsort(self.axes))
        return stored.reshape(self.shape[: self.ndim])

    def array_affine(self, stored_affine: Affine) -> Affine:
        """Affine of the array, from the affine of the file's own axes."""
        affine = stored_affine[:, [*self.axes, 3]].copy()
        for axis, is_flipped in enumerate(self.flips):
            if is_flipped:
                affine[:3, 3] += affine[:3, axis] * (self.shape[self.axes[axis]] - 1)
                affine[:3, axis] *= -1
        return affine

    def holds(self, array: Array) -> bool:
        """Whether an array of labels has the shape that this grid's array has."""
        return array.shape == tuple(self.shape[a] for a in self.axes)[3 - self.ndim :]

    def _steps(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if f else 1) for f in self.flips)


def orient(affine: Affine, ndim: int) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Choose the file's axis and direction for each array axis: closest to S, A, R; in 2D the normal comes first.

    Returns:
        `axes` and `flips` of StoredGrid.
    """
    library: Any = nib.orientations
    orientation = library.io_orientation(affine)
    towards = {int(world): file for file, world in enumerate(orientation[:, 0])}
    axes = [towards[world] for world in (2, 1, 0)]
    if ndim == 2:
        axes.sort(key=lambda file: file != 2)  # stable: the file's third axis first, the others stay in order
    flips = [bool(orientation[file, 1] < 0) for file in axes]
    return (axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2])
