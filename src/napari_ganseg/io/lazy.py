"""An array that is larger than memory may be: numbers are read when it is indexed, and forgotten then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import Any

import numpy as np

from napari_ganseg.errors import FileError
from napari_ganseg.io.voxels import MAX_NOT_FINITE, scaled
from napari_ganseg.volume import Array

AT_ONCE = 2**26  # bytes that are looked at together to find out what an array holds
PLAIN = (1.0, 0.0)


class LazyArray:
    """Image values of an array that lies elsewhere, upright; indexing gives numpy arrays.

    Whole numbers, slices and `...` are understood, as numpy understands them; lists and masks are not. Like any array
    it may be handed to `dask.array.from_array`.

    Args:
        source: gives numbers for a tuple of slices with positive steps: voxels in a file, a dask or a zarr array.
        axes, flips: for each axis here, which of the source's it is, and whether it runs against it.
        recipe: what makes image values of the source's numbers.
        slow: the source's axis along which it is fastest to go through all of it.
        bounds: the smallest and the largest value, where they are known already.
    """

    def __init__(
        self, source: Any, axes: Sequence[int], flips: Sequence[bool], recipe: Recipe, slow: int = 0,
        bounds: tuple[float, float] | None = None,
    ) -> None:  # fmt: skip
        self.source, self.axes, self.flips = source, tuple(axes), tuple(flips)
        self.recipe, self.slow, self._bounds = recipe, slow, bounds
        self.shape: tuple[int, ...] = tuple(int(source.shape[axis]) for axis in self.axes)
        self.dtype: np.dtype[Any] = recipe.dtype

    def __repr__(self) -> str:
        return f"LazyArray({'x'.join(map(str, self.shape))}, {self.dtype})"

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return prod(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """All of it, in memory."""
        if copy is False:
            raise ValueError("What is read when it is asked for cannot be had without a copy.")
        whole = self[...]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> Array:
        """A part of it, in memory."""
        index = full_index(key, self.ndim)
        chosen = [range(n)[i] if isinstance(i, slice) else single(i, n) for i, n in zip(index, self.shape, strict=True)]
        box, backwards = [slice(0)] * self.ndim, []
        for axis, picked, size, is_flipped in zip(self.axes, chosen, self.shape, self.flips, strict=True):
            box[axis], is_backwards = along(picked, size, is_flipped)
            backwards.append(is_backwards)
        piece = self.recipe.values(np.asarray(self.source[tuple(box)])).transpose(self.axes)
        turned = tuple(slice(None, None, -1 if b else 1) for b in backwards)
        kept = tuple(slice(None) if isinstance(i, slice) else 0 for i in index)
        return np.asarray(piece[turned][kept], order="C")

    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest value; the first time, all of it may be read."""
        if self._bounds is None:
            seen = survey(self.source, self.slow, self.recipe)
            least = [self.recipe.least] if seen.bad and self.recipe.least is not None else []
            self._bounds = min([seen.low, *least]), max([seen.high, *least])
        return self._bounds

    def part(self, box: Sequence[slice]) -> LazyArray:
        """A box of it, not read either.

        Args:
            box: a slice for every axis, with step 1.
        """
        inside = [slice(0)] * self.ndim
        for axis, wanted, size, is_flipped in zip(self.axes, box, self.shape, self.flips, strict=True):
            inside[axis] = along(range(size)[wanted], size, is_flipped)[0]
        return LazyArray(Window(self.source, tuple(inside)), self.axes, self.flips, self.recipe, self.slow)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A box of a source, as a source."""

    source: Any
    box: tuple[slice, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along the source's axes."""
        return tuple(b.stop - b.start for b in self.box)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the source."""
        dtype: np.dtype[Any] = np.dtype(self.source.dtype)
        return dtype

    def __getitem__(self, box: tuple[slice, ...]) -> Any:
        """Numbers of a box within the box."""
        pairs = zip(box, self.box, strict=True)
        return self.source[tuple(slice(b.start + o.start, b.stop + o.start, b.step) for b, o in pairs)]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What makes image values of stored numbers, as `io.voxels.image_values` does of all at once.

    Attributes:
        dtype: of the values.
        scaling: slope and offset.
        least: what stands in for NaN and infinity: the smallest finite value of all; None where there are none.
    """

    dtype: np.dtype[Any]
    scaling: tuple[float, float] = PLAIN
    least: float | None = None

    def values(self, raw: Array) -> Array:
        """Image values of a piece."""
        if is_plain(raw.dtype, self.scaling):
            return raw.astype(self.dtype, copy=False)
        is_ready = raw.dtype == np.float32 and self.scaling == PLAIN
        values = raw if is_ready and self.least is None else scaled(raw, *self.scaling)
        if self.least is not None:
            values[~np.isfinite(values)] = self.least
        return values


@dataclass(frozen=True, slots=True)
class Survey:
    """What an array holds: the smallest and largest finite value, and how many are not finite."""

    low: float
    high: float
    bad: int


def lazily(
    source: Any, axes: Sequence[int] | None = None, flips: Sequence[bool] | None = None,
    scaling: tuple[float, float] = PLAIN, slow: int = 0,
) -> tuple[LazyArray, list[str]]:  # fmt: skip
    """The image values of an array that lies elsewhere. All but plain integers are gone through once, piece by piece.

    Args:
        source, axes, flips, slow: as for LazyArray; the source's own axes by default.
        scaling: slope and offset.

    Returns:
        The array, and notes on what is repaired when it is read.

    Raises:
        FileError: values beyond float32, or more than 5 % of them not finite.
    """
    axes = range(len(source.shape)) if axes is None else axes
    flips = [False] * len(axes) if flips is None else flips
    dtype = np.dtype(source.dtype).newbyteorder("=")
    if is_plain(dtype, scaling) and (dtype.itemsize <= 2 or dtype == np.int32):
        return LazyArray(source, axes, flips, Recipe(dtype), slow), []
    seen = survey(source, slow, Recipe(np.dtype(np.float32), scaling))
    notes = repairs(seen, prod(source.shape))
    fits = is_plain(dtype, scaling) and seen.low >= -(2**31) and seen.high <= 2**31 - 1
    recipe = Recipe(np.dtype(np.int32 if fits else np.float32), scaling, seen.low if seen.bad else None)
    return LazyArray(source, axes, flips, recipe, slow, (seen.low, seen.high)), notes


def survey(source: Any, axis: int, recipe: Recipe) -> Survey:
    """Go through an array slab by slab along one axis.

    Raises:
        FileError: values beyond float32.
    """
    low, high, bad = inf, -inf, 0
    for raw in slabs(source, axis):
        values = raw
        if not is_plain(raw.dtype, recipe.scaling):
            values = scaled(raw, *recipe.scaling)
            is_finite = np.isfinite(values)
            if (~is_finite & np.isfinite(raw)).any():
                raise FileError("values do not fit 32-bit floats.")
            values = values[is_finite]
            bad += raw.size - values.size
        if values.size:
            low, high = min(low, values.min().item()), max(high, values.max().item())
    return Survey(low, high, bad)


def slabs(source: Any, axis: int) -> Iterator[Array]:
    """All of an array, so many planes at once as are a moderate amount of memory."""
    shape = tuple(int(n) for n in source.shape)
    plane = prod(shape) // shape[axis] * np.dtype(source.dtype).itemsize
    step = max(1, AT_ONCE // plane)
    for start in range(0, shape[axis], step):
        box = [slice(0, n) for n in shape]
        box[axis] = slice(start, min(start + step, shape[axis]))
        yield np.asarray(source[tuple(box)])


def repairs(seen: Survey, size: int) -> list[str]:
    """Say what stands in for NaN and infinity, as `io.voxels.repaired` does.

    Raises:
        FileError: they are more than 5 %.
    """
    if not seen.bad:
        return []
    verb = "voxels are" if seen.bad > 1 else "voxel is"
    if seen.bad > MAX_NOT_FINITE * size:
        raise FileError(f"{seen.bad:,} {verb} NaN or infinite ({100 * seen.bad / size:.0f} %); this is no scan.")
    return [f"{seen.bad:,} {verb} NaN or infinite; replaced by {seen.low:g} (shown in layer metadata)."]


def is_plain(dtype: np.dtype[Any], scaling: tuple[float, float]) -> bool:
    """Whether numbers are whole and nothing scales them."""
    return dtype.kind in "iu" and scaling == PLAIN


def full_index(key: Any, ndim: int) -> tuple[slice | int, ...]:
    """A slice or number for every axis.

    Raises:
        IndexError: there are too many, or something else among them.
    """
    given = key if isinstance(key, tuple) else (key,)
    dots = [number for number, item in enumerate(given) if item is ...]
    if len(dots) > 1 or len(given) - len(dots) > ndim:
        raise IndexError(f"too many indices: this array has {ndim} axes.")
    at = dots[0] if dots else len(given)
    fill = [slice(None)] * (ndim - len(given) + len(dots))
    index = [*given[:at], *fill, *given[at + len(dots) :]]
    for item in index:
        if isinstance(item, bool) or not isinstance(item, slice | int | np.integer):
            raise IndexError("an array that is read piece by piece takes whole numbers, slices and `...` as indices; "
                             "np.asarray(array) brings all of it into memory.")  # fmt: skip
    return tuple(item if isinstance(item, slice) else int(item) for item in index)


def single(index: int, size: int) -> range:
    """The one place that a number means.

    Raises:
        IndexError: it lies outside.
    """
    place = range(size)[index]
    return range(place, place + 1)


def along(picked: range, size: int, is_flipped: bool) -> tuple[slice, bool]:
    """The source's slice for places along an axis, and whether what comes has to be turned round."""
    if not picked:
        return slice(0, 0), False
    ends = (picked[0], picked[-1])
    first, last = (size - 1 - e for e in ends) if is_flipped else ends
    return slice(min(first, last), max(first, last) + 1, abs(picked.step)), first > last
