"""Region of interest: a rectangle in a Shapes layer, or what is in view, as a box of the scan's voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image, Shapes

from napari_ganseg.errors import UsageError
from napari_ganseg.plugin.placement import Placement

WHOLE, VIEW = "Whole image", "Current view"
Box = tuple[slice, ...]


def box_in_view(viewer: Any, image: Image, placement: Placement) -> Box:
    """Voxels on screen: the visible part of the displayed plane, and of the sliced axis as much as it is wide."""
    corners = np.asarray(image.corner_pixels, dtype=float)
    low, high = corners.min(axis=0), corners.max(axis=0) + 1
    lacking = viewer.dims.ndim - image.ndim  # axes that the viewer has and the image has not
    is_displayed = np.isin(np.arange(image.ndim) + lacking, viewer.dims.displayed)
    here = np.asarray(image.world_to_data(viewer.dims.point))
    return upright_box(*deepened(low, high, is_displayed, here, image), placement)


def box_in_shapes(shapes: Shapes, image: Image, placement: Placement) -> Box:
    """The box around everything drawn in a Shapes layer; along the axis it was drawn flat in, as deep as it is wide.

    Raises:
        UsageError: nothing is drawn.
    """
    if not shapes.data:
        raise UsageError(f'Draw a rectangle in "{shapes.name}" around what shall be segmented.')
    vertices = np.concatenate([np.atleast_2d(d) for d in shapes.data])
    points = np.array([image.world_to_data(shapes.data_to_world(v)) for v in vertices]).round(3)  # napari keeps float32
    low, high = np.floor(points.min(axis=0)), np.ceil(points.max(axis=0)) + 1
    lacking = max(0, image.ndim - shapes.ndim)  # a flat Shapes layer says nothing about these: take all
    low[:lacking], high[:lacking] = 0, image.data.shape[:lacking]
    is_wide = np.ptp(points, axis=0) >= 1
    is_wide[:lacking] = True
    return upright_box(*deepened(low, high, is_wide, points[0], image), placement)


def deepened(low: Any, high: Any, is_wide: Any, here: Any, image: Image) -> tuple[Any, Any]:
    """A flat box, made as deep in millimetres around a spot as it is wide."""
    scale = np.abs(np.asarray(image.scale))
    half = ((high - low) * scale)[is_wide].max(initial=0.0) / scale / 2
    return np.where(is_wide, low, here - half), np.where(is_wide, high, here + half + 1)


def upright_box(low: Any, high: Any, placement: Placement) -> Box:
    """A box in the layer's voxels as one in the scan's own, cut at its borders.

    Raises:
        UsageError: it lies outside the scan.
    """
    box = []
    for axis, flip, size in zip(placement.axes, placement.flips, placement.shape, strict=True):
        start, stop = max(0, int(np.floor(low[axis]))), min(size, int(np.ceil(high[axis])))
        if stop <= start:
            raise UsageError("The region lies outside the image; draw it over the scan.")
        box.append(slice(size - stop, size - start) if flip else slice(start, stop))
    return tuple(box)


def current_slice(viewer: Any, image: Image, placement: Placement) -> int:
    """The z slice of the scan under the slider.

    Raises:
        UsageError: another axis is being sliced.
    """
    axis = placement.axes[0]
    sliced = viewer.dims.ndim - image.ndim + axis
    if len(placement.shape) != 3 or sliced in viewer.dims.displayed:
        raise UsageError("Show the axial plane in 2D first: the current slice is the one under the slider.")
    index = int(np.clip(round(image.world_to_data(viewer.dims.point)[axis]), 0, image.data.shape[axis] - 1))
    return image.data.shape[axis] - 1 - index if placement.flips[0] else index
