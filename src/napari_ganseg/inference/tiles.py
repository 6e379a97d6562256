"""Cover an array with overlapping tiles, and blend what the network says about each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import ceil

import numpy as np
import numpy.typing as npt

Box = tuple[slice, ...]


def tile_shape(shape: Sequence[int], patch: Sequence[int], divisor: Sequence[int]) -> tuple[int, ...]:
    """The tile for an array: the patch, or the whole axis where that is little more; always divisible."""
    wanted = [n if n <= p * 5 / 4 else p for n, p in zip(shape, patch, strict=True)]
    return tuple(max(2, ceil(w / d)) * d if d > 1 else w for w, d in zip(wanted, divisor, strict=True))


def tiles(shape: Sequence[int], tile: Sequence[int], overlap: float) -> list[Box]:
    """Boxes of the tile's size that cover `shape` (which is no smaller), neighbours sharing at least `overlap` of it."""
    starts = [along(n, t, overlap) for n, t in zip(shape, tile, strict=True)]
    return [tuple(slice(s, s + t) for s, t in zip(start, tile, strict=True)) for start in product(*starts)]


def along(size: int, tile: int, overlap: float) -> list[int]:
    """Starts along one axis, evenly spread, the first at 0 and the last ending at `size`."""
    if size <= tile:
        return [0]
    count = ceil((size - tile) / max(1, int(tile * (1 - overlap)))) + 1
    return [round(i * (size - tile) / (count - 1)) for i in range(count)]


def importance(tile: Sequence[int]) -> npt.NDArray[np.float32]:
    """Weight of a tile's voxels: a Gaussian of an eighth of its size, as nnU-Net and MONAI blend; never zero."""
    weight = np.ones((), dtype=np.float32)
    for n in tile:
        line = np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n / 8)) ** 2)
        weight = np.multiply.outer(weight, np.maximum(line, 1e-3)).astype(np.float32)
    return weight


def blend(
    shape: Sequence[int], tile: Sequence[int], channels: int, scored: Iterator[tuple[Box, npt.NDArray[np.float32]]]
) -> Iterator[npt.NDArray[np.float32] | None]:
    """Add up scored tiles; yield None after each and, at the end, the weighted mean (channels, *shape)."""
    total = np.zeros((channels, *shape), dtype=np.float32)
    weight = np.zeros(tuple(shape), dtype=np.float32)
    window = importance(tile)
    for box, scores in scored:
        total[(slice(None), *box)] += scores * window
        weight[box] += window
        yield None
    total /= weight
    yield total
