"""Three planes of a scan through what was found, as a radiologist hangs them: patient's right and front at the left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_ganseg.errors import GeometryError
from napari_ganseg.volume import Array, LabelMap, Volume

TITLES = ("sagittal", "coronal", "axial")  # by the world axis the plane stands on: R, A, S
TOWARDS, AWAY = "RAS", "LPI"
ROOM, LEAST_MM = 2.0, 100.0  # what is shown: twice the labels' largest extent, 100 mm at least, never beyond the scan
CT_WINDOW = (-160.0, 240.0)
Span = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """One plane; rows run down, columns to the right, as on a screen.

    Attributes:
        title: "axial", "coronal" or "sagittal".
        spacing_mm: of rows and columns.
        rows, columns: the part to show, in voxels from the first one's edge.
        left, right: letters of the patient's sides.
    """

    title: str
    image_yx: Array
    labels_yx: Array
    spacing_mm: tuple[float, float]
    rows: Span
    columns: Span
    left: str
    right: str


def planes(volume: Volume, labels: LabelMap) -> list[Plane]:
    """Axial, coronal and sagittal plane through the centroid of all labels, or the middle; of a slice, the slice.

    Raises:
        GeometryError: the grids differ.
    """
    if not volume.same_grid_as(labels):
        raise GeometryError("The scan and its labels differ in grid.")
    image, found = grey(volume), labels.array
    if found.ndim == 2:
        image, found = image[np.newaxis], found[np.newaxis]
    spacing_mm = np.linalg.norm(volume.affine[:3, :3], axis=0)
    centre, extent = middle(found)
    side_mm = max(LEAST_MM, ROOM * float((extent * spacing_mm).max()))
    normals = (0, 1, 2) if labels.array.ndim == 3 else (0,)
    spans = [span(c, n, side_mm / s) for c, n, s in zip(centre, found.shape, spacing_mm, strict=True)]
    worlds = [int(np.abs(volume.affine[:3, axis]).argmax()) for axis in range(3)]
    made = []
    for normal in normals:
        row, column = (axis for axis in range(3) if axis != normal)
        made.append(Plane(
            title=TITLES[worlds[normal]],
            image_yx=image.take(centre[normal], normal)[::-1, ::-1],
            labels_yx=found.take(centre[normal], normal)[::-1, ::-1],
            spacing_mm=(float(spacing_mm[row]), float(spacing_mm[column])),
            rows=turned(spans[row], found.shape[row]),
            columns=turned(spans[column], found.shape[column]),
            left=TOWARDS[worlds[column]],
            right=AWAY[worlds[column]],
        ))  # fmt: skip
    return made


def grey(volume: Volume) -> Array:
    """One number per voxel: the first channel of a scan, the mean of a picture's colours."""
    if not volume.has_channels:
        return volume.array
    colours: Array = volume.array
    return np.asarray(colours.mean(axis=0) if volume.spatial_ndim == 2 else colours[0])


def middle(labels_zyx: Array) -> tuple[list[int], Array]:
    """The labels' centroid, moved to the nearest slice that holds a label, and their extent, both in voxels."""
    centre, extent = [], []
    for axis, size in enumerate(labels_zyx.shape):
        others = tuple(a for a in range(3) if a != axis)
        voxels = np.count_nonzero(labels_zyx, axis=others)
        held = np.flatnonzero(voxels)
        mean = float((np.arange(size) * voxels).sum() / voxels.sum()) if held.size else (size - 1) / 2
        centre.append(int(held[np.abs(held - mean).argmin()]) if held.size else size // 2)
        extent.append(int(held[-1] - held[0] + 1) if held.size else size)
    return centre, np.array(extent)


def span(centre: int, size: int, length: float) -> Span:
    """A length of voxels around a centre, moved and cut so that it lies inside."""
    if length >= size:
        return 0.0, float(size)
    start = min(max(0.0, centre + 0.5 - length / 2), size - length)
    return start, start + length


def turned(part: Span, size: int) -> Span:
    """A span on an axis that was flipped."""
    return size - part[1], size - part[0]


def window(array: Array) -> Span:
    """What is black and what is white: soft tissue in a CT, else the middle 99 % of what is not background."""
    values = array[..., :: max(1, array.shape[-2] // 128), :: max(1, array.shape[-1] // 128)]
    low, high = float(values.min()), float(values.max())
    if low <= -500 and high > 100:
        return CT_WINDOW
    inside = values[values > low] if high > low else values
    first, last = (float(v) for v in np.percentile(inside, (0.5, 99.5)))
    return (first, last) if last > first else (low, max(high, low + 1))
