"""Volume, LabelMap and Annotation: frozen arrays that know where their voxels lie in the patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from napari_ganseg.errors import GeometryError

Array = npt.NDArray[Any]
Affine = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelClass:
    """One class of a label map.

    Attributes:
        value: the integer in the array; 0 is background and never listed.
        name: what people read, for example "Left parotid".
        colour: "#rrggbb".
    """

    value: int
    name: str
    colour: str


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True, kw_only=True)
class Grid:
    """What Volume and LabelMap share: an array and its place in space.

    Attributes:
        array: (z, y, x) or (y, x); channels first where the subclass has them. Axes grow to S, A, R.
        affine: 4 x 4, maps voxel index (z, y, x) to RAS+ millimetres, columns in the order of the array's axes.
            A 2D array has z = 0: its first column is the slice's normal, as long as the slice is thick.
        stored: how the file kept it, made and read by `napari_ganseg.io` alone.
        notes: what was assumed, repaired or doubtful, in words for people.
    """

    array: Array
    affine: Affine = field(default_factory=lambda: identity_affine())
    stored: object | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        check_affine(affine)
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        if self.spatial_ndim not in (2, 3):
            raise GeometryError(f"A volume has 2 or 3 spatial axes, this array has the shape {self.array.shape}.")
        if 0 in self.array.shape:
            raise GeometryError(f"The image has no voxels ({' x '.join(map(str, self.array.shape))}).")

    @property
    def spatial_ndim(self) -> int:
        """2 for a slice, 3 for a volume."""
        return self.array.ndim

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along (z, y, x) or (y, x)."""
        return self.array.shape[self.array.ndim - self.spatial_ndim :]

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Distance of voxel centres along (z, y, x) or (y, x), from the affine."""
        return column_lengths(self.affine)[3 - self.spatial_ndim :]

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres, right for sheared grids too."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    def in_words(self) -> str:
        """Size and spacing, as the array has them."""
        size, spacing = "x".join(map(str, self.shape)), " x ".join(f"{s:.3g}" for s in self.spacing_mm)
        return f"{size} at {spacing} mm, {self.array.dtype}"

    def to_mm(self, index: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Turn voxel indices (..., 2 or 3), in array order, into RAS+ millimetres (..., 3)."""
        points = np.asarray(index, dtype=np.float64)
        if points.shape[-1] == 2:
            points = np.concatenate([np.zeros_like(points[..., :1]), points], axis=-1)
        return np.asarray(points @ self.affine[:3, :3].T + self.affine[:3, 3])

    def same_grid_as(self, other: Grid) -> bool:
        """Tell whether both have the same shape and their voxels lie within a hundredth of a voxel of each other."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij")).reshape(len(self.shape), -1).T
        apart_mm = np.abs(self.to_mm(corners) - other.to_mm(corners)).max()
        return bool(apart_mm <= 0.01 * min(self.spacing_mm))

    def derive(self, **changes: Any) -> Self:
        """Make a copy with some fields changed; a changed shape or affine forgets how the file stored the old one."""
        made = replace(self, **changes)
        if "stored" not in changes and not made.same_grid_as(self):
            made = replace(made, stored=None)
        return made


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True, kw_only=True)
class Volume(Grid):
    """An image: CT in Hounsfield units, MRI in the scanner's own numbers, or a picture.

    Attributes:
        has_channels: the first axis of `array` counts channels: (c, z, y, x) or (c, y, x).
    """

    has_channels: bool = False

    def __repr__(self) -> str:
        return f"Volume({self.in_words()}{f', {self.channels} channels' if self.has_channels else ''})"

    @property
    def spatial_ndim(self) -> int:
        """2 for a slice, 3 for a volume, channels not counted."""
        return self.array.ndim - int(self.has_channels)

    @property
    def channels(self) -> int:
        """How many channels; 1 where the array has no such axis."""
        return int(self.array.shape[0]) if self.has_channels else 1


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True, kw_only=True)
class LabelMap(Grid):
    """Integers per voxel; 0 is background, any other value a class.

    Attributes:
        classes: names and colours; values without an entry are allowed and shown as numbers.
        provenance: how it was made (model, hash, versions, parameters); JSON values only.
    """

    classes: tuple[LabelClass, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Grid.__post_init__(self)
        if self.array.dtype.kind not in "iub":
            raise GeometryError(f"Labels are whole numbers; this array holds {self.array.dtype}.")
        if isinstance(self.array, np.ndarray) and not isinstance(self.array, np.memmap):  # what lies elsewhere stays
            object.__setattr__(self, "array", smallest_integers(self.array))

    def __repr__(self) -> str:
        classes = ", ".join(f"{c.value} {c.name}" for c in self.classes[:8]) + (
            ", ..." if len(self.classes) > 8 else ""
        )
        return f"LabelMap({self.in_words()}: {classes or 'no named classes'})"

    def name_of(self, value: int) -> str:
        """Name of a class, or "label 7" where nobody named it."""
        return next((c.name for c in self.classes if c.value == value), f"label {value}")

    def counts(self) -> dict[int, int]:
        """Voxels per value: every declared class, also when empty, then whatever else the array holds."""
        values, voxels = np.unique(self.array[self.array != 0], return_counts=True)
        found = {int(v): int(n) for v, n in zip(values, voxels, strict=True)}
        return {c.value: found.get(c.value, 0) for c in self.classes} | found


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Annotation:
    """Labels of which only a part is known.

    Attributes:
        labels: the label map.
        known: boolean, of the labels' shape: painted or declared complete.
        missing: classes nobody contoured in this case; their voxels hide in the background.
    """

    labels: LabelMap
    known: npt.NDArray[np.bool_]
    missing: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if self.known.shape != self.labels.array.shape:
            raise GeometryError(f"The known mask has the shape {self.known.shape}, the labels {self.labels.shape}.")


def identity_affine(spacing_mm: tuple[float, ...] = (1.0, 1.0, 1.0)) -> Affine:
    """Affine of an upright array (z, y, x) that starts at the origin."""
    affine = np.zeros((4, 4))
    affine[[2, 1, 0, 3], [0, 1, 2, 3]] = (*spacing_mm, 1.0)
    return affine


def column_lengths(affine: Affine) -> tuple[float, ...]:
    """Millimetres that one step along each array axis takes."""
    return tuple(float(v) for v in np.linalg.norm(affine[:3, :3], axis=0))


def check_affine(affine: Affine) -> None:
    """Raise GeometryError unless the affine is a finite, invertible 4 x 4 of sensible size."""
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or np.abs(affine).max() > 1e6:
        raise GeometryError("The orientation is invalid: its affine is not finite or absurdly large.")
    if not np.array_equal(affine[3], (0, 0, 0, 1)):
        raise GeometryError("The orientation is invalid: the last row of its affine is not 0 0 0 1.")
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if lengths.min() < 1e-6 or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-3:
        raise GeometryError("The orientation is invalid: its affine is singular.")


def smallest_integers(array: Array) -> Array:
    """Cast whole numbers to the smallest of uint8, uint16 and int32 that holds them all.

    Raises:
        GeometryError: a value lies outside int32.
    """
    if array.dtype == np.uint8:
        return array
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    return array.astype(smallest_type(high, low), copy=False)


def smallest_type(high: int, low: int = 0) -> type[np.integer[Any]]:
    """The smallest of uint8, uint16 and int32 that holds whole numbers from `low` to `high`.

    Raises:
        GeometryError: none does.
    """
    for dtype in (np.uint8, np.uint16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return dtype
    raise GeometryError(f"Label values from {low} to {high} do not fit 32-bit integers; renumber them first.")
