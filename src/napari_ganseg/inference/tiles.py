"""Cover an array with overlapping tiles, and blend what the network says about each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import ceil

import numpy as np
import numpy.typing as npt

Box = tuple[slice, ...]
Floats = npt.NDArray[np.float32]


def tile_shape(shape: Sequence[int], patch: Sequence[int], divisor: Sequence[int]) -> tuple[int, ...]:
    """The tile for an array: the patch, or the whole axis where that is little more; always divisible."""
    wanted = [n if n <= p * 5 / 4 else p for n, p in zip(shape, patch, strict=True)]
    return tuple(max(2, ceil(w / d)) * d if d > 1 else w for w, d in zip(wanted, divisor, strict=True))


def tiles(shape: Sequence[int], tile: Sequence[int], overlap: float) -> list[Box]:
    """Boxes of the tile's size that cover `shape` (which is no smaller), neighbours sharing `overlap` of it or more."""
    starts = [along(n, t, overlap) for n, t in zip(shape, tile, strict=True)]
    return [tuple(slice(s, s + t) for s, t in zip(start, tile, strict=True)) for start in product(*starts)]


def along(size: int, tile: int, overlap: float) -> list[int]:
    """Starts along one axis, evenly spread, the first at 0 and the last ending at `size`."""
    if size <= tile:
        return [0]
    count = ceil((size - tile) / max(1, int(tile * (1 - overlap)))) + 1
    return [round(i * (size - tile) / (count - 1)) for i in range(count)]


def importance(tile: Sequence[int]) -> Floats:
    """Weight of a tile's voxels: a Gaussian of an eighth of its size, as nnU-Net and MONAI blend; never zero."""
    weight = np.ones((), dtype=np.float32)
    for n in tile:
        line = np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n / 8)) ** 2)
        weight = np.multiply.outer(weight, np.maximum(line, 1e-3)).astype(np.float32)
    return weight


class Blend:
    """The weighted mean of overlapping tiles (channels, *tile), added up one by one."""

    def __init__(self, shape: Sequence[int], tile: Sequence[int], channels: int) -> None:
        self._total = np.zeros((channels, *shape), dtype=np.float32)
        self._weight = np.zeros(tuple(shape), dtype=np.float32)
        self._window = importance(tile)

    def add(self, box: Box, scores: Floats) -> None:
        """Add what was computed for one tile."""
        self._total[(slice(None), *box)] += scores * self._window
        self._weight[box] += self._window

    def mean(self) -> Floats:
        """The mean (channels, *shape); zero where no tile lies. Ends the blend: its memory becomes the result."""
        np.divide(self._total, self._weight, out=self._total, where=self._weight > 0)
        return self._total
