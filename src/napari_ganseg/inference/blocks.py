"""Sum up what overlapping tiles say, and let go of every block of voxels as soon as no later tile touches it.

The sweep goes along the last axis first, so that what waits is a thin front: the planes, rows and voxels that
neighbouring tiles share. Memory grows with the front and the classes, not with the volume.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from math import prod

import torch
from torch import Tensor

from napari_ganseg.inference.pool import Pool
from napari_ganseg.inference.tiles import Place, Tiling, importance

TINY = torch.finfo(torch.float32).tiny  # divides the sums of voxels that no tile was computed for


@dataclass(frozen=True, slots=True)
class Section:
    """A piece of an axis that the same tiles touch.

    Attributes:
        start, stop: the voxels that it answers for.
        reach: where its scores end; one voxel further where labels are interpolated between voxels.
    """

    start: int
    stop: int
    reach: int


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Voxels about which all is said.

    Attributes:
        sections: where it lies, axis by axis.
        scores: (classes, ...) weighted sums of logits up to the sections' reach; None where no tile was computed.
        weight: (...) what they have to be divided by; None where it is 1.
    """

    sections: tuple[Section, ...]
    scores: Tensor | None
    weight: Tensor | None = None

    def means(self) -> Tensor:
        """(classes, ...) mean logits in float32, of a block with scores."""
        assert self.scores is not None
        if self.weight is None:
            return self.scores.float()
        return self.scores / self.weight.clamp_min(TINY)


class Line:
    """One axis, cut into sections, and which of them each tile touches.

    Args:
        starts: of the tiles, without gaps; sections lie only where tiles do.
        tile: their length.
        halo: voxels that a section's scores reach beyond it, so that they can be interpolated; 0 or 1.
        is_thrifty: cut the halo off, so that it alone waits for a neighbour. It pays along the first axis; along all of
            them it would make many small blocks.
    """

    def __init__(self, starts: Sequence[int], tile: int, halo: int, is_thrifty: bool) -> None:
        first, last = starts[0], starts[-1] + tile
        edges = {edge for start in starts for edge in (start, start + tile) if first < edge < last}
        cuts = sorted({first, last, *[edge - halo for edge in edges], *(edges if is_thrifty else ())})
        self.sections = [Section(a, b, min(b + halo, last)) for a, b in pairwise(cuts)]
        self.touched = [
            [i for i, s in enumerate(self.sections) if s.start < start + tile and s.reach > start] for start in starts
        ]
        self.counts = [sum(i in touched for touched in self.touched) for i in range(len(self.sections))]

    @property
    def length(self) -> int:
        """Voxels of all sections, up to their reach."""
        return self._voxels(range(len(self.sections)))

    def waiting(self) -> int:
        """Voxels of sections, at the worst, that wait for a later tile."""
        begun: set[int] = set()
        worst = 0
        for number, touched in enumerate(self.touched):
            begun |= set(touched)
            later = {i for others in self.touched[number + 1 :] for i in others}
            worst = max(worst, self._voxels(begun & later))
        return worst

    def at_once(self) -> int:
        """Voxels of sections, at the worst, that one tile touches."""
        return max(self._voxels(touched) for touched in self.touched)

    def _voxels(self, indices: Iterable[int]) -> int:
        return sum(self.sections[i].reach - self.sections[i].start for i in indices)


def lines_of(tiling: Tiling, halo: int) -> list[Line]:
    """All axes of a tiling."""
    pairs = zip(tiling.starts, tiling.tile, strict=True)
    return [Line(starts, tile, halo, axis == 0) for axis, (starts, tile) in enumerate(pairs)]


class Blocks:
    """What tiles said so far about blocks that later tiles touch too.

    Args:
        tiling: the tiles, to be added in the order of its places.
        halo: 1 where labels are interpolated between voxels, else 0.
        device: where the sums wait.
    """

    def __init__(self, tiling: Tiling, halo: int, device: torch.device) -> None:
        self.tiling, self.device = tiling, device
        self.lines = lines_of(tiling, halo)
        self._left: dict[Place, int] = {}
        self._sums: dict[Place, tuple[Tensor, Tensor]] = {}
        self._pools: dict[torch.dtype, Pool] = {}

    @cached_property
    def window(self) -> Tensor:
        """Weight of a tile's voxels."""
        return torch.from_numpy(importance(self.tiling.tile)).to(self.device)

    def add(self, place: Place, logits: Tensor | None) -> Iterator[Block]:
        """Add a tile's logits (classes, *tile), None for a tile that holds nothing, and let go of what is complete."""
        if logits is not None:
            logits = logits.to(self.device)
        for key in product(*[line.touched[i] for line, i in zip(self.lines, place, strict=True)]):
            count = prod(line.counts[i] for line, i in zip(self.lines, key, strict=True))
            sections = tuple(line.sections[i] for line, i in zip(self.lines, key, strict=True))
            if count == 1:
                yield Block(sections, None if logits is None else logits[self._common(place, sections)[0]])
                continue
            if logits is not None:
                self._sum_up(key, place, sections, logits)
            self._left[key] = self._left.get(key, count) - 1
            if not self._left[key]:
                del self._left[key]
                yield Block(sections, *self._sums.pop(key, (None, None)))

    def give_back(self, block: Block) -> None:
        """A block is labelled; later ones may have its memory."""
        if block.scores is not None and block.weight is not None:
            self._pool_for(block.scores.dtype).give_back(block.scores)

    def _sum_up(self, key: Place, place: Place, sections: Sequence[Section], logits: Tensor) -> None:
        """Add what a tile says about a block; on a CPU class by class, so that nothing of a tile's size is copied."""
        inside, outside = self._common(place, sections)
        window, is_new = self.window[inside[1:]], key not in self._sums
        if is_new:
            self._sums[key] = self._empty(sections, logits)
        total, weights = self._sums[key]
        is_filled = is_new and window.shape == weights.shape
        if is_new and not is_filled:
            total.zero_()
        before, said = total[outside], logits[inside]
        for sums, more in zip(before, said, strict=True) if self.device.type == "cpu" else [(before, said)]:
            if is_filled:
                torch.mul(more, window, out=sums)
            else:
                sums.addcmul_(more, window)
        weights[outside[1:]] += window

    def _empty(self, sections: Sequence[Section], logits: Tensor) -> tuple[Tensor, Tensor]:
        """Room for sums and weights of a block; in half precision where the logits have no more."""
        shape = [s.reach - s.start for s in sections]
        kind = torch.float32 if logits.dtype == torch.float32 else torch.float16
        return self._pool_for(kind).take((len(logits), *shape)), torch.zeros(shape, device=self.device)

    def _pool_for(self, kind: torch.dtype) -> Pool:
        return self._pools.setdefault(kind, Pool(kind, self.device))

    def _common(self, place: Place, sections: Sequence[Section]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Where tile and block meet, as the tile counts and as the block counts."""
        inside, outside = [slice(None)], [slice(None)]
        for box, section in zip(self.tiling.box(place), sections, strict=True):
            start, stop = max(box.start, section.start), min(box.stop, section.reach)
            inside.append(slice(start - box.start, stop - box.start))
            outside.append(slice(start - section.start, stop - section.start))
        return tuple(inside), tuple(outside)
