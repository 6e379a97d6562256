"""Memory that is used again: thousands of blocks of some dozen sizes would leave a heap full of holes.

On a CPU the pieces lie outside of the heap, so that the network's activations find their old place there.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left, insort
from typing import Any

import torch
from torch import Tensor

PRIVATE: dict[str, Any] = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
WASTE = 1.5  # a free piece may be so many times larger than what is asked for


class Pool:
    """Pieces of memory of one kind.

    Args:
        kind, device: of the numbers.
    """

    def __init__(self, kind: torch.dtype, device: torch.device) -> None:
        self._kind, self._device = kind, device
        self._free: dict[int, list[Tensor]] = {}
        self._sizes: list[int] = []  # of the free pieces, ascending

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """Numbers of a shape that hold anything: in the smallest free piece that is large enough, or in a new one."""
        wanted = torch.Size(shape).numel()
        place = bisect_left(self._sizes, wanted)
        if place < len(self._sizes) and self._sizes[place] <= WASTE * wanted:
            piece = self._free[self._sizes.pop(place)].pop()
        else:
            piece = self._new(wanted)
        return piece[:wanted].view(shape)

    def give_back(self, taken: Tensor) -> None:
        """What was taken is no longer used."""
        piece = taken._base
        if piece is not None:
            self._free.setdefault(piece.numel(), []).append(piece)
            insort(self._sizes, piece.numel())

    def _new(self, count: int) -> Tensor:
        if self._device.type != "cpu":
            return torch.empty(count, dtype=self._kind, device=self._device)
        try:
            pages = mmap.mmap(-1, count * self._kind.itemsize, **PRIVATE)
        except OSError as error:
            raise MemoryError(f"no room for {count} scores") from error
        return torch.frombuffer(pages, dtype=self._kind)
