"""The layer that Live fills: empty labels on a scan, slice by slice; where nobody painted, the next one replaces it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from napari.layers import Image, Labels

from napari_ganseg.models.card import CardClass
from napari_ganseg.plugin.live_scan import Slab
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.preview import is_open, made
from napari_ganseg.volume import LabelClass

LIVE = "live"  # how such a layer's name ends
_untouched: WeakKeyDictionary[Labels, ReferenceType[Image]] = WeakKeyDictionary()  # nobody painted in these


class LiveLayer:
    """A Labels layer on an image; what was selected stays selected, and nobody paints while it is being filled.

    Args:
        viewer: that shows the image.
        image: the scan.
        placement: how the image's array lies in the scan's grid.
        classes: of the model.
    """

    def __init__(self, viewer: Any, image: Image, placement: Placement, classes: Sequence[CardClass]) -> None:
        self._viewer, self._placement, self._classes = viewer, placement, classes
        self.layer = made(image, placement, tuple(LabelClass(c.value, c.name, c.colour) for c in classes))
        self.layer.name = f"{image.name} {LIVE}"
        self.layer.editable = False
        selection = viewer.layers.selection
        selected, older = set(selection), [o for o, of in _untouched.items() if of() is image and o in viewer.layers]
        for layer in older:
            viewer.layers.remove(layer)
        viewer.add_layer(self.layer)
        selection.clear()
        selection.update(selected - set(older))
        remember(self.layer, image)
        self._done: set[int] = set()

    def has(self, index: int) -> bool:
        """Whether a slice is filled."""
        return index in self._done

    def found(self, index: int) -> list[str]:
        """The structures that a slice shows, by name."""
        labels = self.layer.data[box_of(slice(index, index + 1), self._placement)]
        return [c.name for c in self._classes if (labels == c.value).any()]

    def fill(self, slab: Slab) -> None:
        """Paint some slices."""
        self.layer.data[box_of(slab.planes, self._placement)] = self._placement.as_layer(slab.labels)
        self._done.update(range(slab.planes.start, slab.planes.stop))
        self.layer.refresh(extent=False, highlight=False)

    def let_go(self) -> None:
        """Leave it to the user, to paint in or to save."""
        if is_open(self._viewer):
            self.layer.editable = True


def remember(layer: Labels, image: Image) -> None:
    """Know a layer as one that may be replaced, until somebody paints in it."""
    _untouched[layer] = ref(image)
    for event in (layer.events.paint, layer.events.data):
        event.connect(lambda e: _untouched.pop(e.source, None))


def box_of(planes: slice, placement: Placement) -> tuple[slice, ...]:
    """Where slices of the scan are in a layer's array; all of it for a picture."""
    box = [slice(None)] * len(placement.shape)
    if len(placement.shape) == 3:
        size = placement.shape[0]
        is_flipped = placement.flips[0]
        box[placement.axes[0]] = slice(size - planes.stop, size - planes.start) if is_flipped else planes
    return tuple(box)
