"""Labels of a scan, filled block by block with what the tiles agreed on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_ganseg.inference.blocks import TINY, Block, Section
from napari_ganseg.inference.frame import Axis, Places
from napari_ganseg.inference.target import Target
from napari_ganseg.inference.winners import winners
from napari_ganseg.volume import Array, smallest_type

AT_ONCE = 2**24  # scores that are interpolated together
Bools = npt.NDArray[np.bool_]


class Canvas:
    """Labels on a scan's own grid.

    Where the model's grid is another one, scores are interpolated linearly between its voxels before the best wins.
    That is done only where it can matter: between voxels that all have the same winner, it wins everywhere.

    Args:
        axes: of the scan, padded as the tiles are.
        values: of the classes, background first.
        target: where they go.
    """

    def __init__(self, axes: Sequence[Axis], values: Sequence[int], target: Target) -> None:
        self.axes, self.target = axes, target
        self.values = np.array(values, smallest_type(max(values)))
        self.is_resampled = any(axis.is_resampled for axis in axes)

    def put(self, block: Block) -> None:
        """Label the scan's voxels that a block answers for."""
        box = self._box(block.sections)
        if block.scores is None or any(s.stop <= s.start for s in box):
            return
        found = winners(block.scores)
        if self.is_resampled:
            between = Between(self.axes, block.sections, box)
            labels = between.nearest(found)
            for index, at in between.undecided(found, max(1, AT_ONCE // len(self.values))):
                labels[index] = winners(at.interpolated(block))
        else:
            labels = found[self._cut(block.sections, box)]
        self.target.labels[self.target.index(box)] = self.values[labels]
        if self.target.confidence is not None:
            self.target.confidence[self.target.index(box)] = self._confidence(block, box)

    def _confidence(self, block: Block, box: tuple[slice, ...]) -> Array:
        """The winner's probability; between the model's voxels it is interpolated."""
        best = block.means().softmax(0).amax(0).cpu()
        if self.is_resampled:
            return Between(self.axes, block.sections, box).dense(best)
        return np.asarray(best[self._cut(block.sections, box)])

    def _box(self, sections: Sequence[Section]) -> tuple[slice, ...]:
        """The scan's voxels that sections answer for."""
        box = [axis.covered(s.start, s.stop) for axis, s in zip(self.axes, sections, strict=True)]
        first = slice(max(box[0].start, self.target.wanted.start), min(box[0].stop, self.target.wanted.stop))
        return (first, *box[1:])

    def _cut(self, sections: Sequence[Section], box: Sequence[slice]) -> tuple[slice, ...]:
        """The same voxels in a block whose grid is the scan's."""
        starts = [s.start - axis.before for axis, s in zip(self.axes, sections, strict=True)]
        return tuple(slice(b.start - s, b.stop - s) for b, s in zip(box, starts, strict=True))


class Between:
    """Voxels of a scan that lie between those of a block.

    Args:
        axes: of the scan.
        sections: of the block.
        box: the scan's voxels.
    """

    def __init__(self, axes: Sequence[Axis], sections: Sequence[Section], box: Sequence[slice]) -> None:
        self.at: list[Places] = []
        for axis, section, voxels in zip(axes, sections, box, strict=True):
            self.at.append(axis.back[voxels] - section.start)
        self.low = [np.floor(at).astype(np.intp) for at in self.at]

    def nearest(self, found: Array) -> Array:
        """What the voxel below holds, on the scan's grid."""
        return np.asarray(found[np.ix_(*self.low)])

    def undecided(self, found: Array, most: int) -> Iterator[tuple[tuple[Array, ...], Points]]:
        """Where the voxels around differ: indices into the box, so many at once, and the points they stand for."""
        is_mixed = mixed(found)[np.ix_(*self.low)]
        index = np.nonzero(is_mixed)
        for start in range(0, len(index[0]), most):
            chosen = tuple(i[start : start + most] for i in index)
            yield chosen, Points([at[i] for at, i in zip(self.at, chosen, strict=True)])

    def dense(self, values: Tensor) -> Array:
        """One value per voxel of the block, interpolated over the whole box."""
        for axis, at in enumerate(self.at):
            low = np.floor(at).astype(np.intp)
            high = np.minimum(low + 1, values.shape[axis] - 1)
            weight = torch.from_numpy((at - low).astype(np.float32)).reshape([-1, *[1] * (values.ndim - axis - 1)])
            below, above = (values.index_select(axis, torch.from_numpy(i)) for i in (low, high))
            values = torch.lerp(below, above, weight)
        return values.numpy()


def mixed(found: Array) -> Bools:
    """Whether a voxel and its upper neighbours differ; the last ones have none."""
    least = most = found
    for axis in range(found.ndim):
        above = np.minimum(np.arange(found.shape[axis]) + 1, found.shape[axis] - 1)
        least = np.minimum(least, least.take(above, axis))
        most = np.maximum(most, most.take(above, axis))
    return np.asarray(least != most)


class Points:
    """Places between the voxels of a block, axis by axis."""

    def __init__(self, places: Sequence[Places]) -> None:
        self.low = [torch.from_numpy(np.floor(at).astype(np.int64)) for at in places]
        self.weight = [torch.from_numpy((at - np.floor(at)).astype(np.float32)) for at in places]

    def interpolated(self, block: Block) -> Tensor:
        """(classes, points) mean logits of a block with scores, linear along each axis."""
        assert block.scores is not None
        total = torch.zeros(len(block.scores), len(self.low[0]), device=block.scores.device)
        for corner in product(*[(0, 1) if weight.any() else (0,) for weight in self.weight]):
            index, share = self._corner(corner, block.scores)
            if block.weight is not None:
                share /= block.weight[index[1:]].clamp_min(TINY)
            total.addcmul_(block.scores[index].float(), share)
        return total

    def _corner(self, corner: Sequence[int], scores: Tensor) -> tuple[tuple[slice | Tensor, ...], Tensor]:
        """Index into scores of one of the voxels around every point, and its share."""
        index: list[slice | Tensor] = [slice(None)]
        share = torch.ones_like(self.weight[0])
        for low, weight, up, size in zip(self.low, self.weight, corner, scores.shape[1:], strict=True):
            index.append((low + up).clamp_max(size - 1).to(scores.device))
            share = share * (weight if up else 1 - weight)
        return tuple(index), share.to(scores.device)
