"""Where memory runs out, ask for less of it, rung by rung; the labels are those of the rung that holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

LEAST_TILE, HALVINGS = 32, 3
TEXTS = ("out of memory", "can't allocate memory", "not enough memory", "alloc_cpu", "std::bad_alloc")
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Rung:
    """A way to compute.

    Attributes:
        name: in words.
        device, store: where the network computes, and where its scores wait.
        patch: voxels of a tile, before they are fitted to the scan.
    """

    name: str
    device: torch.device
    store: torch.device
    patch: tuple[int, ...]


def rungs(device: torch.device, patch: Sequence[int], divisor: Sequence[int], cpu_fallback: bool) -> Iterator[Rung]:
    """From the fastest to the most frugal.

    Args:
        device: where the network shall compute.
        patch: voxels of the model's tiles.
        divisor: what a tile's sides are multiples of.
        cpu_fallback: whether the user agrees to the CPU where a GPU is full.
    """
    patch = tuple(patch)
    yield Rung("as planned", device, device, patch)
    if device.type != "cpu":
        yield Rung("scores in main memory", device, CPU, patch)
    smaller = patch
    for _ in range(HALVINGS):
        halved = with_longest_halved(smaller, divisor)
        if halved == smaller:
            break
        smaller = halved
        yield Rung(f"tiles of {' x '.join(map(str, smaller))}", device, CPU, smaller)
    if device.type != "cpu" and cpu_fallback:
        yield Rung("the CPU", CPU, CPU, patch)


def with_longest_halved(tile: tuple[int, ...], divisor: Sequence[int]) -> tuple[int, ...]:
    """A tile of half the length along its longest axis; itself where that would be too short."""
    axis = tile.index(max(tile))
    half = tile[axis] // 2 // divisor[axis] * divisor[axis]
    if half < max(LEAST_TILE, divisor[axis]):
        return tile
    return (*tile[:axis], half, *tile[axis + 1 :])


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a fault means that memory ran out, and nothing else."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(known in text for known in TEXTS)
