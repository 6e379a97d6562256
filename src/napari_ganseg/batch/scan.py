"""Read a case's scan: one file, or one file per channel laid on top of each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_ganseg.batch.case import ScanCase
from napari_ganseg.batch.walk import declares_labels
from napari_ganseg.errors import FileError, GeometryError
from napari_ganseg.io import is_label_map, read
from napari_ganseg.io.names import shown
from napari_ganseg.io.stored import StoredGrid
from napari_ganseg.volume import Volume


def read_scan(case: ScanCase, *, frame: int | None = None, has_channels: bool = False) -> Volume:
    """The scan of a case.

    Args:
        case: which.
        frame: which image along the fourth axis.
        has_channels: take the fourth axis of a single file as channels.

    Raises:
        FileError: a file cannot be read, or is a label map.
        GeometryError: the channels differ in grid.
    """
    is_single = len(case.sources) == 1
    channels = has_channels and is_single and frame is None
    volumes = [read(source, frame=frame, channels=channels or None) for source in case.sources]
    for volume in volumes:
        if is_labels(volume):
            raise FileError(f"{shown(case.sources[0])} is a label map, not a scan; leave it out with a pattern.")
    return volumes[0] if is_single else stacked(case, volumes)


def is_labels(volume: Volume) -> bool:
    """Whether a NIfTI file was read that holds labels: its header says so, or its values do."""
    stored = volume.stored
    if volume.has_channels or not isinstance(stored, StoredGrid) or not stored.header:
        return False
    return declares_labels(stored.header, stored.path) or is_label_map(volume.array.T)


def stacked(case: ScanCase, volumes: Sequence[Volume]) -> Volume:
    """One volume with a channel per file, on the first file's grid."""
    first = volumes[0]
    for source, volume in zip(case.sources, volumes, strict=True):
        if volume.has_channels or not volume.same_grid_as(first):
            raise GeometryError(f"{shown(source)} and {shown(case.sources[0])} differ in grid ({size(volume)} against "
                                f"{size(first)}); resample one of them first.")  # fmt: skip
    notes = tuple(dict.fromkeys(note for volume in volumes for note in volume.notes))
    array = np.stack([volume.array for volume in volumes])
    return first.derive(array=array, has_channels=True, stored=first.stored, notes=notes)


def size(volume: Volume) -> str:
    """Voxels and spacing in a few characters."""
    spacing = " x ".join(f"{s:.3g}" for s in volume.spacing_mm)
    return f"{' x '.join(map(str, volume.shape))} at {spacing} mm"
