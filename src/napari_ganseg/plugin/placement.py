"""Placement: how a layer's array lies in a scan's grid, so that nothing is lost between viewer and file."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product
from typing import Any, cast

import numpy as np

from napari_ganseg.io.lazy import lazily
from napari_ganseg.io.stored import StoredGrid
from napari_ganseg.io.voxels import image_values
from napari_ganseg.volume import Affine, Array, LabelMap, Volume, column_lengths, identity_affine

ASSUMED = "SPL"  # slices go up, rows to the back, columns to the left: how readers without orientation stack DICOM
WORLD = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}  # RAS axis, direction
UPRIGHT = (2, 1, 0)  # RAS axis of z, y, x


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Placement:
    """Where the array of a layer lies.

    Attributes:
        shape: of the scan's own array, spatial axes only, upright: (z, y, x) or (y, x).
        affine: of that array, as in Volume.
        stored: the file's grid, where there is one.
        notes: what reading the file had to assume.
        axes, flips: for each axis of the scan's array, the layer's axis it is, and whether it runs against it.
        source: what people call it: file or layer name.
        assumption: how the orientation was guessed, in words; empty where it is known.
    """

    shape: tuple[int, ...]
    affine: Affine
    source: str
    stored: object | None = None
    notes: tuple[str, ...] = ()
    axes: tuple[int, ...] = (0, 1, 2)
    flips: tuple[bool, ...] = (False, False, False)
    assumption: str = ""

    @classmethod
    def of(cls, grid: Volume | LabelMap, source: str) -> Placement:
        """Placement of a layer that shows a volume's or label map's own array."""
        ndim = grid.spatial_ndim
        return cls(grid.shape, grid.affine, source, grid.stored, grid.notes, tuple(range(ndim)), (False,) * ndim)

    @property
    def is_upright(self) -> bool:
        """Whether a layer's array has the scan's own axes and directions."""
        return self.axes == tuple(range(len(self.shape))) and not any(self.flips)

    @property
    def layer_shape(self) -> tuple[int, ...]:
        """Shape that a layer's array has here."""
        shape = [0] * len(self.axes)
        for axis, size in zip(self.axes, self.shape, strict=True):
            shape[axis] = size
        return tuple(shape)

    @property
    def all_notes(self) -> tuple[str, ...]:
        """What has to be said about anything made on this grid."""
        return (*self.notes, self.assumption) if self.assumption else self.notes

    def volume(self, array: Any, *, lazy: bool = False) -> Volume:
        """The layer's array as a Volume: real numbers of up to 32 bits, all finite.

        Args:
            array: numpy's, or one of those that are computed or read when they are indexed, such as dask's and zarr's.
            lazy: leave such an array where it is, for scans larger than memory; `segment` reads it slab by slab.

        Raises:
            FileError: too many voxels are NaN or infinite.
        """
        if lazy and is_elsewhere(array):
            left, repairs = lazily(array, self.axes, self.flips)
            upright = cast(Array, left)
        else:
            values, repairs = image_values(np.asarray(array), 1.0, 0.0)
            upright = self.upright(values)
        notes = (*self.all_notes, *repairs)
        return Volume(array=upright, affine=self.affine, stored=self.stored, notes=notes)

    def label_map(self, array: Array, **fields: Any) -> LabelMap:
        """The array of a Labels layer as a LabelMap."""
        fields.setdefault("notes", self.all_notes)
        return LabelMap(array=self.upright(array), affine=self.affine, stored=self.stored, **fields)

    def upright(self, array: Array) -> Array:
        """The layer's array with the scan's axes."""
        return np.ascontiguousarray(np.transpose(array, self.axes)[self._steps()])

    def as_layer(self, array: Array) -> Array:
        """Undo `upright`."""
        return np.ascontiguousarray(np.transpose(array[self._steps()], np.argsort(self.axes)))

    def is_same_grid_as(self, other: Placement) -> bool:
        """Whether a label map saved through either lands in the same voxels of the same grid."""
        if (self.shape, self.axes, self.flips) != (other.shape, other.axes, other.flips):
            return False
        mine, theirs = self.stored, other.stored
        if isinstance(mine, StoredGrid) and isinstance(theirs, StoredGrid):
            if (mine.shape, mine.axes, mine.flips, mine.ndim) != (theirs.shape, theirs.axes, theirs.flips, theirs.ndim):
                return False
        elif mine is not theirs:
            return False
        return bool(np.allclose(self.affine, other.affine, atol=1e-4))

    def _steps(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if f else 1) for f in self.flips)


def is_elsewhere(array: Any) -> bool:
    """Whether an array of real numbers gives its voxels only when it is indexed."""
    if isinstance(array, np.ndarray) or not all(hasattr(array, a) for a in ("shape", "dtype", "__getitem__")):
        return False
    return isinstance(array.dtype, np.dtype) and array.dtype.kind in "biuf"


def display(placement: Placement) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scale and translate of a layer that shows an upright array: positive, world coordinates in millimetres.

    An oblique scan is shown unrotated about its true centre; its own affine stays in the placement.
    """
    ndim = len(placement.shape)
    scale = column_lengths(placement.affine)[3 - ndim :]
    middle_index = np.array([0.0] * (3 - ndim) + [(n - 1) / 2 for n in placement.shape])
    middle = placement.affine[:3, :3] @ middle_index + placement.affine[:3, 3]
    world = [middle[axis] for axis in world_axes(placement)]
    translate = tuple(float(w - s * (n - 1) / 2) for w, s, n in zip(world, scale, placement.shape, strict=True))
    return tuple(float(s) for s in scale), translate


def world_axes(placement: Placement) -> tuple[int, ...]:
    """The RAS axes that a scan's own axes follow; a slice lies in whatever plane it was taken."""
    if len(placement.shape) == 3:
        return UPRIGHT
    rows, columns = (int(np.argmax(np.abs(placement.affine[:3, column]))) for column in (1, 2))
    return (rows, columns) if rows != columns else UPRIGHT[1:]


def world_letters(placement: Placement) -> tuple[str, ...]:
    """The directions that a scan's own axes grow to."""
    return tuple("RAS"[axis] for axis in world_axes(placement))


def assumed(shape: tuple[int, ...], spacing_mm: tuple[float, ...], source: str, codes: str = ASSUMED) -> Placement:
    """Placement of an array whose orientation nobody knows, as three letters say: the directions its axes grow to.

    Args:
        shape: of the layer's array, 2 or 3 axes.
        spacing_mm: millimetres along its axes.
        source: what people call it.
        codes: for example "SPL"; a 2D array is taken as it is.
    """
    if len(shape) == 2:
        assumption = f"orientation unknown: {source} is taken as it is; left and right may be swapped."
        affine = identity_affine((1.0, *spacing_mm))
        return Placement(shape, affine, source, None, (), (0, 1), (False, False), assumption)
    assumption = f"orientation assumed: the axes of {source} grow to {', '.join(codes)} (unknown to napari)."
    world = [WORLD[letter] for letter in codes]
    axes = tuple(next(a for a, (axis, _) in enumerate(world) if axis == wanted) for wanted in UPRIGHT)
    flips = tuple(world[a][1] < 0 for a in axes)
    size, step = [shape[a] for a in axes], [spacing_mm[a] for a in axes]
    affine = identity_affine((step[0], step[1], step[2]))
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(size) - 1) / 2)
    return Placement(tuple(size), affine, source, None, (), axes, flips, assumption)


def matched(array: Array, volume: Volume | LabelMap, source: str) -> Placement | None:
    """Find how another reader's array shows a file's volume: the one permutation and mirroring that makes them equal.

    Returns:
        None where no or more than one way fits: then the orientation stays unknown.
    """
    if array.ndim != 3 or volume.array.ndim != 3:
        return None
    seen = [np.random.default_rng(0).integers(0, n, 4096) for n in volume.shape]  # most ways fail on these already
    found = []
    for axes, flips in product(permutations(range(3)), product((False, True), repeat=3)):
        if tuple(array.shape[a] for a in axes) != volume.shape:
            continue
        way = Placement(volume.shape, volume.affine, source, volume.stored, volume.notes, axes, flips)
        turned = np.transpose(array, axes)[way._steps()]
        if is_same(turned[tuple(seen)], volume.array[tuple(seen)]) and is_same(turned, volume.array):
            found.append(way)
    return found[0] if len(found) == 1 else None


def is_same(first: Array, second: Array) -> bool:
    """Whether two arrays hold the same numbers, read with another precision perhaps."""
    if first.dtype.kind in "iub" and second.dtype.kind in "iub":
        return np.array_equal(first, second)
    return np.allclose(first, second, rtol=1e-5, atol=1e-5 * float(np.abs(second).max()))


def orientation_codes() -> list[str]:
    """All 48 ways three axes can point, the likeliest first."""
    pairs = [("R", "L"), ("A", "P"), ("S", "I")]
    codes = sorted({"".join(p) for choice in product(*pairs) for p in permutations(choice)})
    first = [ASSUMED, "SAR", "IPL", "IAR"]
    return first + [c for c in codes if c not in first]
