"""Where the voxels of a model lie in a scan, axis by axis, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ganseg import grid
from napari_ganseg.volume import Volume

SAME = 1e-3  # spacings that differ by less are one
WIDE = 4.0  # deviations after which a Gaussian ends, scipy's own default
Places = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """One axis of a scan and of the model that looks at it, around the same centre.

    Attributes:
        size: voxels of the scan.
        seen: (n,) where in the scan each voxel of the model lies, ascending; where it is padded the ends repeat.
        back: (size,) where among the model's voxels each voxel of the scan lies.
        ratio: of the model's spacing to the scan's; 1 where the voxels are the same.
        before, count: where among the model's voxels the scan begins, and how many are not padded.
    """

    size: int
    seen: Places
    back: Places
    ratio: float
    before: int
    count: int

    @property
    def is_resampled(self) -> bool:
        """Whether voxels lie between voxels."""
        return self.ratio != 1

    @property
    def deviation(self) -> float:
        """Of the Gaussian, in voxels of the scan, that keeps fine structure from aliasing."""
        return (self.ratio - 1) / 2 if self.ratio > 1 + SAME else 0.0

    def needed(self, start: int, stop: int) -> slice:
        """The scan's voxels from which the model's voxels `start` to `stop` are computed."""
        margin = int(WIDE * self.deviation + 0.5)
        low, high = int(np.floor(self.seen[start])) - margin, int(np.ceil(self.seen[stop - 1])) + 1 + margin
        return slice(max(0, low), min(self.size, high))

    def covered(self, start: int, stop: int) -> slice:
        """The scan's voxels of which the model's voxel below lies from `start` to before `stop`."""
        low, high = np.searchsorted(np.floor(self.back), (start, stop))
        return slice(int(low), int(high))

    def padded(self, least: int) -> Axis:
        """Grown to at least so many voxels of the model, evenly on both sides."""
        missing = max(0, least - len(self.seen))
        before = missing // 2
        seen = np.pad(self.seen, (before, missing - before), mode="edge")
        return Axis(self.size, seen, self.back + before, self.ratio, before, self.count)


def frame_of(scan: Volume, spacing_mm: Sequence[float]) -> tuple[Axis, ...]:
    """The axes of a scan for a model of some spacing; none is resampled where all spacings are the model's."""
    ratios = [new / old for new, old in zip(spacing_mm, scan.spacing_mm, strict=True)]
    is_same = np.allclose(ratios, 1.0, atol=SAME)
    return tuple(axis_of(n, 1.0 if is_same else r) for n, r in zip(scan.shape, ratios, strict=True))


def axis_of(size: int, ratio: float) -> Axis:
    """One axis, not padded yet."""
    if ratio == 1:
        same = np.arange(size, dtype=np.float64)
        return Axis(size, same, same, ratio, 0, size)
    count = max(1, round(size / ratio))
    seen = grid.centred(count, size, ratio)
    back = np.clip((np.arange(size) - seen[0]) / ratio, 0, count - 1)
    return Axis(size, np.clip(seen, 0, size - 1), back, ratio, 0, count)
