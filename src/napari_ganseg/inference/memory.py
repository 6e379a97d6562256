"""How much memory a segmentation needs, and how much there is: said before anything is computed."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import psutil
import torch

from napari_ganseg import heap
from napari_ganseg.inference.blocks import lines_of
from napari_ganseg.inference.frame import Axis
from napari_ganseg.inference.tiles import Tiling
from napari_ganseg.models import Card

GIB = 2**30
LIVE = 6  # feature maps of the finest level that a U-Net holds at once: skip, concatenation, convolution and norm
FLOAT, HALF = 4, 2  # bytes
MOST_TILES = 8  # at once, after which a GPU gains nothing


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that a segmentation needs beside the scan and its labels, and bytes that are free.

    Attributes:
        network: for one tile, on the device.
        scores: that wait to be summed up, where they wait.
        planes: of the scan at the model's spacing, in main memory.
        free: on the device; free_main in main memory.
        is_apart: the scores wait in main memory, though the device has its own.
        is_main: the device has none of its own.
    """

    network: int
    scores: int
    planes: int
    free: int
    free_main: int
    is_apart: bool
    is_main: bool = False

    @property
    def fits(self) -> bool:
        """Whether there is room for it."""
        if self.is_main:
            return self.network + self.scores + self.planes <= self.free
        on_device, in_main = self.network, self.planes
        if self.is_apart:
            in_main += self.scores
        else:
            on_device += self.scores
        return on_device <= self.free and in_main <= self.free_main

    @property
    def batch(self) -> int:
        """Tiles for which a GPU has room at once, with as much to spare; a processor is busy with one."""
        room = self.free - (0 if self.is_apart else self.scores)
        return 1 if self.is_main else max(1, min(MOST_TILES, room // max(1, 2 * self.network)))

    def __str__(self) -> str:
        return f"needs about {(self.network + self.scores + self.planes) / GIB:.1f} GiB, {self.free / GIB:.1f} are free"


def estimated(card: Card, axes: Sequence[Axis], tiling: Tiling, device: torch.device, store: torch.device) -> Memory:
    """What it takes to segment a scan."""
    tile = prod(tiling.tile)
    network = FLOAT * tile * (LIVE * card.arch.features[0] + 2 * card.out_channels)
    waiting = front(tiling, int(any(axis.is_resampled for axis in axes)))
    planes = FLOAT * len(card.channels) * 2 * tiling.tile[0] * prod(tiling.shape[1:])
    return Memory(
        network, (HALF * card.out_channels + FLOAT) * waiting, planes, free(device), free(torch.device("cpu")),
        is_apart=store != device, is_main=device.type == "cpu",
    )  # fmt: skip


def front(tiling: Tiling, halo: int = 0) -> int:
    """Voxels whose scores wait at the worst: what neighbours share along the first axis, and rows along the others.

    Args:
        tiling: the tiles.
        halo: as in Blocks.
    """
    lines = lines_of(tiling, halo)
    total, outer = 0, 1
    for axis, line in enumerate(lines):
        total += outer * line.waiting() * prod(inner.length for inner in lines[axis + 1 :])
        outer *= line.at_once()
    return total


def free(device: torch.device) -> int:
    """Free bytes of a device."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    return int(psutil.virtual_memory().available)


def give_back(device: torch.device) -> None:
    """Return what nobody uses any more."""
    gc.collect()
    heap.trim()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
