"""Where results go: labels, and how probable each is, into arrays that take numbers when they are indexed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from napari_ganseg.volume import Array


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """The place in larger arrays that belongs to a volume, or to one slice of it.

    Attributes:
        labels: takes the classes' values; it may be a numpy, zarr or other array.
        confidence: takes the probability of each label; None where nobody asks.
        box: the volume's voxels in these arrays, axis by axis.
        wanted: planes of the volume's first axis; the others are left as they are.
        lead: indices into axes before the box's: the slice of a volume that a 2D model looks at.
    """

    labels: Array
    confidence: Array | None
    box: tuple[slice, ...]
    wanted: slice
    lead: tuple[int, ...] = ()

    def index(self, box: Sequence[slice]) -> tuple[int | slice, ...]:
        """Where voxels of the volume lie in the arrays."""
        return (*self.lead, *[slice(b.start + o.start, b.stop + o.start) for b, o in zip(box, self.box, strict=True)])

    def slice_at(self, z: int) -> Target:
        """One slice of it."""
        rest = self.box[1:]
        return replace(self, box=rest, wanted=slice(0, rest[0].stop - rest[0].start), lead=(self.box[0].start + z,))

    def clear(self) -> None:
        """Forget what was written."""
        everywhere = self.index([slice(0, b.stop - b.start) for b in self.box])
        self.labels[everywhere] = 0
        if self.confidence is not None:
            self.confidence[everywhere] = 1
