"""Menu commands under Layers: save labels, new labels, show an image as labels and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TypeVar

import napari
import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.notifications import show_info
from qtpy.QtWidgets import QFileDialog, QInputDialog

from napari_ganseg.errors import FileError, UsageError
from napari_ganseg.io.stored import StoredGrid
from napari_ganseg.plugin.autosave import note_saved
from napari_ganseg.plugin.layers import bare, contrast, labels_layer, placed, put_on
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.registry import KEY, placement_of
from napari_ganseg.plugin.slots import careful
from napari_ganseg.plugin.writer import save_layer

L = TypeVar("L", bound=Layer)
Command = Callable[[napari.Viewer], None]


def in_words(command: Command) -> Command:
    """Show what goes wrong in a command as a message; an exception in a menu could end napari."""

    @wraps(command)
    def commanded(viewer: napari.Viewer) -> None:
        careful(command)(bare(viewer))

    return commanded


@in_words
def save_labels(viewer: napari.Viewer) -> None:
    """Save the selected Labels layer on its scan's own grid."""
    save_with_dialog(viewer, the_selected(viewer, Labels, "Select one Labels layer first, then save it."))


@in_words
def new_labels(viewer: napari.Viewer) -> None:
    """Add an empty Labels layer that lies on the selected scan, or on the topmost one."""
    images = [layer for layer in reversed(viewer.layers) if isinstance(layer, Image)]
    image = next((image for image in images if image in viewer.layers.selection), next(iter(images), None))
    if image is None:
        raise UsageError("Open a scan first.")
    new_labels_for(viewer, image)


@in_words
def show_as_labels(viewer: napari.Viewer) -> None:
    """Turn the selected image layer of whole numbers into a Labels layer."""
    words = "Select one image layer that holds whole numbers."
    image = the_selected(viewer, Image, words)
    placement, array = placement_of(image), np.asarray(image.data)
    if not np.array_equal(array, np.rint(array)):
        raise UsageError(words)
    data, fields, _ = labels_layer(placement.label_map(array.astype(np.int64)), image.name, placement)
    swap(viewer, image, Labels(data, **put_on(fields, image)))


@in_words
def show_as_image(viewer: napari.Viewer) -> None:
    """Turn the selected Labels layer into an image layer: for an MRI of whole numbers that was taken for labels."""
    layer = the_selected(viewer, Labels, "Select one Labels layer.")
    placement, array = placement_of(layer), np.asarray(layer.data)
    if isinstance(placement.stored, StoredGrid):  # a scan from now on, which labels must not overwrite
        placement = replace(placement, stored=replace(placement.stored, is_image=True))
    fields = {**placed(placement), "name": layer.name, "contrast_limits": contrast(array), "colormap": "gray"}
    swap(viewer, layer, Image(array, **put_on(fields, layer)))


def new_labels_for(viewer: napari.Viewer, image: Image) -> Labels:
    """Add an empty Labels layer that lies on an image, whatever is selected, ready to paint its first class.

    Raises:
        UsageError: the image is no single 2D or 3D scan.
    """
    placement = placement_of(image)
    empty = placement.label_map(np.zeros(placement.layer_shape, dtype=np.uint8))
    data, fields, _ = labels_layer(empty, f"{image.name} labels", placement)
    layer = viewer.add_layer(Labels(data, **put_on(fields, image)))
    viewer.layers.selection.active = layer
    layer.selected_label, layer.mode = 1, "paint"
    return layer


def save_with_dialog(viewer: napari.Viewer, layer: Labels) -> None:
    """Ask where, save, and say so.

    Raises:
        GansegError: as `save_layer`.
    """
    path, _ = QFileDialog.getSaveFileName(None, "Save labels", str(suggested(viewer, layer)), "NIfTI (*.nii.gz *.nii)")
    if not path:
        return
    target = with_suffix(path)
    if str(target) != path and target.exists():  # the dialog asked about another name
        raise FileError(f"{target.name} exists already; choose it in the dialog to replace it.")
    written = save_layer(layer, list(viewer.layers), target, ask_for_grid)
    if written:
        note_saved(layer)
        show_info(f"Saved {written.name}.")


def swap(viewer: napari.Viewer, old: Layer, new: Layer) -> None:
    """Put a layer in the place of another."""
    index = viewer.layers.index(old)
    viewer.layers.remove(old)
    viewer.layers.insert(index, new)
    viewer.layers.selection.active = new


def the_selected(viewer: napari.Viewer, kind: type[L], otherwise: str) -> L:
    """The one selected layer of a kind.

    Raises:
        UsageError: there is none, or there are several.
    """
    layers = [layer for layer in viewer.layers.selection if isinstance(layer, kind)]
    if len(layers) != 1:
        raise UsageError(otherwise)
    return layers[0]


def suggested(viewer: napari.Viewer, layer: Labels) -> Path:
    """A path beside the labels' own scan, or beside any scan, or in the home folder."""
    grids = [getattr(other.metadata.get(KEY), "stored", None) for other in (layer, *viewer.layers)]
    folder = next((grid.path.parent for grid in grids if isinstance(grid, StoredGrid)), Path.home())
    return folder / f"{layer.name.replace('/', '_')}.nii.gz"


def with_suffix(path: str) -> Path:
    """A file name with `.nii.gz` unless the user gave one of our suffixes."""
    return Path(path if path.lower().endswith((".nii", ".nii.gz")) else f"{path}.nii.gz")


def ask_for_grid(question: str, places: Sequence[Placement]) -> Placement | None:
    """Ask in a dialog which scan's grid is meant."""
    names = [f"{i}: {p.source} ({' x '.join(map(str, p.shape))})" for i, p in enumerate(places, start=1)]
    name, is_chosen = QInputDialog.getItem(None, "Which scan?", question, names, 0, False)
    return places[names.index(name)] if is_chosen else None
