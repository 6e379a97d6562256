"""The part of a scan that is wanted: a box, and perhaps one slice of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from napari_ganseg import grid
from napari_ganseg.errors import GeometryError, UsageError
from napari_ganseg.inference.target import Target
from napari_ganseg.io.lazy import LazyArray
from napari_ganseg.volume import Array, Volume


@dataclass(frozen=True, slots=True)
class Region:
    """A box of a scan's voxels, with plain starts and stops, and the planes of the box that are wanted."""

    box: tuple[slice, ...]
    wanted: slice
    is_all: bool

    def cut(self, volume: Volume) -> Volume:
        """The box out of a scan; the scan itself where it is all of it."""
        if self.is_all:
            return volume
        if not isinstance(volume.array, LazyArray):
            return grid.crop(volume, self.box)[0]
        lead = [slice(None)] * int(volume.has_channels)
        affine = grid.shifted(volume.affine, [b.start for b in self.box])
        return volume.derive(array=cast(Array, volume.array.part([*lead, *self.box])), affine=affine)

    def target(self, labels: Array, confidence: Array | None) -> Target:
        """Where the results of the box go, in arrays of the scan's shape."""
        return Target(labels, confidence, self.box, self.wanted)


def region_of(volume: Volume, region: Sequence[slice] | None, index: int | None) -> Region:
    """The part of a scan that settings ask for.

    Raises:
        UsageError: the region has another number of axes, or the wanted slice lies outside it.
        GeometryError: the region lies outside the scan.
    """
    box = region or [slice(None)] * volume.spatial_ndim
    if len(box) != volume.spatial_ndim:
        raise UsageError(f"The region has {len(box)} ranges; this image has {volume.spatial_ndim} axes, "
                         f"{' x '.join(map(str, volume.shape))} voxels.")  # fmt: skip
    bounds = tuple(slice(*s.indices(n)[:2]) for s, n in zip(box, volume.shape, strict=True))
    if any(b.stop <= b.start for b in bounds):
        raise GeometryError("The region lies outside the image; draw it over the scan.")
    first = bounds[0]
    is_all = all((b.start, b.stop) == (0, n) for b, n in zip(bounds, volume.shape, strict=True))
    if index is None:
        return Region(bounds, slice(0, first.stop - first.start), is_all)
    if volume.spatial_ndim == 2:
        raise UsageError("This image is a single slice; leave the slice index out.")
    if not first.start <= index < first.stop:
        raise UsageError(f"Slice {index} lies outside the image or region ({first.start} to {first.stop - 1}).")
    return Region(bounds, slice(index - first.start, index - first.start + 1), is_all)
