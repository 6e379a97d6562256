"""A scan as a model sees it: at its spacing, normalised, padded; computed plane by plane when a tile asks."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from napari_ganseg import grid
from napari_ganseg.inference.frame import Axis
from napari_ganseg.inference.tiles import Box
from napari_ganseg.intensity import Intensity
from napari_ganseg.volume import Volume

Floats = npt.NDArray[np.float32]
AT_ONCE = 2**25  # voxels that are read together, and voxels of the model from which a scan's usual values are found
EDGE = "nearest"


class Sight:
    """What the network gets, tile by tile; the planes of the first axis are kept until the sweep has passed them.

    `scaling` holds the numbers by which its values were scaled.

    Args:
        scan: whose array may be anything that gives numbers when it is indexed.
        axes: of the scan, padded.
        intensity: how the model wants its values.
    """

    def __init__(self, scan: Volume, axes: Sequence[Axis], intensity: Intensity) -> None:
        self.scan, self.axes = scan, axes
        self.shape = tuple(len(axis.seen) for axis in axes)
        self.scaling = intensity.scaling(self._sample)
        self._start, self._planes = 0, np.zeros((scan.channels, 0, *self.shape[1:]), np.float32)

    def tile(self, box: Box) -> Floats:
        """(channels, *tile) of a box of the model's voxels; boxes come in the order of their first axis."""
        self._advance(box[0].start, box[0].stop)
        first = slice(box[0].start - self._start, box[0].stop - self._start)
        return self._planes[(slice(None), first, *box[1:])]

    def _advance(self, start: int, stop: int) -> None:
        """Forget the planes before `start`, and compute those up to `stop`."""
        have = self._start + self._planes.shape[1]
        if start < self._start or start > have:
            self._start, have = start, start
            self._planes = self._planes[:, :0]
        if stop > have:
            fresh = self.scaling.of(self._resampled(have, stop))
            self._planes = np.concatenate([self._planes[:, start - self._start :], fresh], axis=1)
            self._start = start

    def _sample(self) -> Floats:
        """(channels, ...) of the model's voxels without padding: all, or evenly spaced planes of a large scan."""
        inner = [slice(axis.before, axis.before + axis.count) for axis in self.axes]
        planes = range(inner[0].start, inner[0].stop)
        every = max(1, round(len(planes) * np.prod([s.stop - s.start for s in inner[1:]]) / AT_ONCE))
        if every == 1:
            return self._resampled(planes.start, planes.stop)[(slice(None), slice(None), *inner[1:])]
        parts = [self._resampled(p, p + 1)[(slice(None), slice(None), *inner[1:])] for p in planes[::every]]
        return np.concatenate(parts, axis=1)

    def _resampled(self, start: int, stop: int) -> Floats:
        """(channels, ...) of the planes `start` to `stop` at the model's spacing; the scan is read piece by piece."""
        axis, needed = self.axes[0], self.axes[0].needed(start, stop)
        most = max(1, AT_ONCE // (self.scan.channels * prod(self.scan.shape[1:])))
        pieces = [self._read(a, min(a + most, needed.stop)) for a in range(needed.start, needed.stop, most)]
        planes = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)
        return resampled(planes, axis, axis.seen[start:stop] - needed.start, 1)

    def _read(self, start: int, stop: int) -> Floats:
        """(channels, ...) of the scan's planes `start` to `stop`, along the other axes as the model sees them."""
        spans = [axis.needed(0, len(axis.seen)) for axis in self.axes[1:]]
        array = read(self.scan, (slice(start, stop), *spans))
        for number, (axis, span) in enumerate(zip(self.axes[1:], spans, strict=True), start=2):
            array = resampled(array, axis, axis.seen - span.start, number)
        return array


def read(scan: Volume, box: Box) -> Floats:
    """(channels, *box) of a scan in float32."""
    part = np.asarray(grid.last_axes(scan.array, box))
    return (part if scan.has_channels else part[np.newaxis]).astype(np.float32, copy=False)


def resampled(array: Floats, axis: Axis, at: npt.NDArray[np.float64], number: int) -> Floats:
    """One axis of an array at fractional places."""
    if not axis.is_resampled:
        return array if is_whole(at, array.shape[number]) else np.take(array, at.astype(np.intp), number)
    if axis.deviation:
        array = gaussian_filter1d(array, axis.deviation, axis=number, mode=EDGE)
    return np.asarray(grid.interpolate(array, at, number), np.float32)


def is_whole(at: npt.NDArray[np.float64], size: int) -> bool:
    """Whether places are just all that there are."""
    return len(at) == size and bool(at[0] == 0 and at[-1] == size - 1)
