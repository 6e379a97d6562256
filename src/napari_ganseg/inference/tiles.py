"""Cover an array with overlapping tiles, all of one size, and weigh what the network says about each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import ceil, prod

import numpy as np
import numpy.typing as npt

Box = tuple[slice, ...]
Place = tuple[int, ...]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tiles over an array: every combination of their starts along the axes.

    Attributes:
        shape: of the array, no smaller than the tile.
        tile: voxels of each.
        starts: along every axis, ascending.
    """

    shape: tuple[int, ...]
    tile: tuple[int, ...]
    starts: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return prod(len(starts) for starts in self.starts)

    def places(self) -> Iterator[Place]:
        """Which start along each axis, the last axis fastest: what is behind the sweep is never touched again."""
        return product(*[range(len(starts)) for starts in self.starts])

    def box(self, place: Place) -> Box:
        """The voxels of a tile."""
        corner = [starts[i] for starts, i in zip(self.starts, place, strict=True)]
        return tuple(slice(s, s + t) for s, t in zip(corner, self.tile, strict=True))

    def within(self, first: int, last: int) -> Tiling:
        """Only the tiles that hold one of the planes `first` to `last` of the first axis."""
        kept = tuple(s for s in self.starts[0] if s <= last and s + self.tile[0] > first)
        return replace(self, starts=(kept, *self.starts[1:]))


def cover(shape: Sequence[int], tile: Sequence[int], overlap: float) -> Tiling:
    """Tiles that cover `shape` (which is no smaller), neighbours sharing `overlap` of it or more."""
    starts = tuple(tuple(along(n, t, overlap)) for n, t in zip(shape, tile, strict=True))
    return Tiling(tuple(shape), tuple(tile), starts)


def tile_shape(shape: Sequence[int], patch: Sequence[int], divisor: Sequence[int]) -> tuple[int, ...]:
    """The tile for an array: the patch, or the whole axis where that is little more; always divisible."""
    wanted = [n if n <= p * 5 / 4 else p for n, p in zip(shape, patch, strict=True)]
    return tuple(max(2, ceil(w / d)) * d if d > 1 else w for w, d in zip(wanted, divisor, strict=True))


def along(size: int, tile: int, overlap: float) -> list[int]:
    """Starts along one axis, evenly spread, the first at 0 and the last ending at `size`."""
    if size <= tile:
        return [0]
    count = ceil((size - tile) / max(1, int(tile * (1 - overlap)))) + 1
    return [round(i * (size - tile) / (count - 1)) for i in range(count)]


def importance(tile: Sequence[int]) -> Floats:
    """Weight of a tile's voxels: a Gaussian of an eighth of its size, nowhere below 0.001, as MONAI blends."""
    weight = np.ones((), dtype=np.float32)
    for n in tile:
        line = np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n / 8)) ** 2)
        weight = np.multiply.outer(weight, line).astype(np.float32)
    return np.maximum(weight, np.float32(1e-3))
