"""The preview: what a model in training makes of one slice, as a layer that lies on the scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import ref

import numpy as np
import numpy.typing as npt
import pandas as pd
from napari.layers import Image, Labels
from qtpy import compat

from napari_ganseg.models.card import CardClass
from napari_ganseg.plugin.layers import bare, colormap, is_drawable, placed, put_on
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.transform import covers, transform_of
from napari_ganseg.volume import Array, LabelClass

OPACITY = 0.5
PREVIEW = "(training preview)"  # how such a layer's name ends
Classes = Sequence[CardClass] | Sequence[LabelClass]
Box = tuple[slice, ...]


class Preview:
    """Keeps one Labels layer on an image, of which a single slice is filled.

    Once its user removed the layer, none is made before `restart`.

    Args:
        viewer: that shows the image.
        image: the scan; it may go at any time, and the preview goes with it.
        placement: how the image's array lies in the scan's grid.
    """

    def __init__(self, viewer: Any, image: Image, placement: Placement) -> None:
        self._viewer, self._image, self._placement = bare(viewer), ref(bare(image)), placement
        self.layer: Labels | None = None
        self._classes: tuple[LabelClass, ...] = ()
        self._filled: Box | None = None
        self._is_wanted = True

    def restart(self) -> None:
        """Make the layer again at the next slice, also where its user removed it."""
        self._is_wanted = True

    def show(self, index: int, labels_yx: npt.NDArray[np.integer], classes: Classes) -> None:
        """Fill one slice and empty the one before; nothing happens where image or viewer are gone.

        Args:
            index: of the slice, along the first axis of the scan's own array; 0 for a picture.
            labels_yx: class values, in the scan's own rows and columns.
            classes: names and colours of the values.

        Raises:
            ValueError: the scan has no such slice, or one of another size.
        """
        check_slice(index, labels_yx.shape, self._placement)
        layer = self._ready(tuple(LabelClass(c.value, c.name, c.colour) for c in classes))
        if layer is None:
            return
        if self._filled is not None:
            layer.data[self._filled] = 0
        self._filled = slice_box(index, self._placement)
        layer.data[self._filled] = as_slice(labels_yx, self._placement)
        layer.refresh(extent=False, highlight=False)

    def remove(self) -> None:
        """Take the layer out of the viewer; `show` makes another."""
        layer, self.layer, self._filled = self.layer, None, None
        if layer is not None and is_open(self._viewer) and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def _ready(self, classes: tuple[LabelClass, ...]) -> Labels | None:
        """The layer, on its image; None where there is nothing to show it on or nobody wants it."""
        image = self._shown_image()
        if image is None or (self.layer is not None and classes != self._classes):
            self.remove()
        if self.layer is not None and self.layer not in self._viewer.layers:
            self.layer, self._filled, self._is_wanted = None, None, False
        if image is None or not self._is_wanted:
            return None
        if self.layer is None:
            self._classes, self.layer = classes, self._added(image, classes)
        elif not covers(self.layer, image):
            move_onto(self.layer, image)
        return self.layer

    def _shown_image(self) -> Image | None:
        """The image, while it is in an open viewer and its array is the one that the placement describes."""
        image = self._image()
        if image is None or not is_open(self._viewer) or image not in self._viewer.layers:
            return None
        return image if tuple(image.data.shape) == self._placement.layer_shape else None

    def _added(self, image: Image, classes: tuple[LabelClass, ...]) -> Labels:
        """A new, empty layer on the image; what was selected stays selected, for somebody may be painting."""
        selection = self._viewer.layers.selection
        selected = set(selection)
        layer = made(image, self._placement, classes)
        self._viewer.add_layer(layer)
        selection.clear()
        selection.update(selected)
        layer.editable = False
        return layer


def made(image: Image, placement: Placement, classes: tuple[LabelClass, ...]) -> Labels:
    """An empty layer on an image, in the smallest integers that hold the classes; its memory is taken when filled."""
    values = [c.value for c in classes]
    data = np.zeros(placement.layer_shape, np.min_scalar_type(max(values, default=0)))
    fields = put_on(placed(placement), image) | {"name": f"{image.name} {PREVIEW}", "opacity": OPACITY}
    names = pd.DataFrame({"index": [0, *values], "name": ["background", *(c.name for c in classes)]})
    colours = {"colormap": colormap(classes, values)} if is_drawable([0, *values]) else {}
    return Labels(data, features=names, **fields, **colours)


def move_onto(layer: Labels, image: Image) -> None:
    """Put a layer where its image has been moved to."""
    for name, value in transform_of(image).items():
        setattr(layer, name, value)


def check_slice(index: int, shape: tuple[int, ...], placement: Placement) -> None:
    """Raise ValueError where a scan has no such slice."""
    count = placement.shape[0] if len(placement.shape) == 3 else 1
    if not 0 <= index < count or shape != placement.shape[-2:]:
        raise ValueError(f"Slice {index} of the shape {shape} is none of a scan of the shape {placement.shape}.")


def slice_box(index: int, placement: Placement) -> Box:
    """Where a slice of the scan is in the layer's array."""
    box = [slice(None)] * len(placement.shape)
    if len(placement.shape) == 3:
        start = placement.shape[0] - 1 - index if placement.flips[0] else index
        box[placement.axes[0]] = slice(start, start + 1)
    return tuple(box)


def as_slice(labels_yx: npt.NDArray[np.integer], placement: Placement) -> Array:
    """A slice of the scan with the axes of the layer: a scan of one slice is turned as the whole is."""
    return placement.as_layer(labels_yx[np.newaxis] if len(placement.shape) == 3 else labels_yx)


def shown_index(viewer: Any, image: Image, placement: Placement) -> int:
    """The slice of the scan's own array at the viewer's point, in whatever plane or in 3D; 0 for a picture."""
    if len(placement.shape) == 2:
        return 0
    axis, size = placement.axes[0], placement.shape[0]
    index = int(np.clip(round(image.world_to_data(bare(viewer).dims.point)[axis]), 0, size - 1))
    return size - 1 - index if placement.flips[0] else index


def is_open(viewer: Any) -> bool:
    """Whether a viewer can show layers: its window, if it ever had one, is still there."""
    if not hasattr(viewer, "window"):
        return True
    window = getattr(viewer.window, "_qt_window", None)  # napari deletes it when closed
    return window is not None and bool(compat.isalive(window))  # type: ignore[no-untyped-call]
