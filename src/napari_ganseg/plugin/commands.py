"""Menu commands under Layers: save labels, new labels, show an image as labels and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import napari
import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.notifications import show_error, show_info
from qtpy.QtWidgets import QFileDialog, QInputDialog

from napari_ganseg.errors import GansegError
from napari_ganseg.io.stored import StoredGrid
from napari_ganseg.plugin.layers import KEY, bare, image_layers, labels_layer, placement_of
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.writer import save_layer


def save_labels(viewer: napari.Viewer) -> None:
    """Save the selected Labels layer on its scan's own grid."""
    layer = selected(viewer, Labels)
    if layer is None:
        show_error("Select one Labels layer first, then save it.")
        return
    start = str(suggested_folder(viewer) / f"{layer.name}.nii.gz")
    path, _ = QFileDialog.getSaveFileName(None, "Save labels", start, "NIfTI (*.nii.gz *.nii)")
    if not path:
        return
    try:
        written = save_layer(layer, list(viewer.layers), with_suffix(path), ask_for_grid)
    except GansegError as error:
        show_error(str(error))
        return
    if written:
        show_info(f"Saved {written.name}.")


def new_labels(viewer: napari.Viewer) -> Labels | None:
    """Add an empty Labels layer that lies on the selected scan, whatever else is selected; the first scan otherwise."""
    image = selected(viewer, Image) or next((la for la in reversed(viewer.layers) if isinstance(la, Image)), None)
    if image is None:
        show_error("Open a scan first.")
        return None
    try:
        placement = placement_of(image)
    except GansegError as error:
        show_error(str(error))
        return None
    empty = placement.label_map(np.zeros(placement.layer_shape, dtype=np.uint8))
    data, fields, _ = labels_layer(empty, f"{image.name} labels", placement)
    layer = Labels(data, **(fields | same_place(image)))
    viewer.add_layer(layer)
    return layer


def show_as_labels(viewer: napari.Viewer) -> None:
    """Turn the selected image layer of whole numbers into a Labels layer."""
    image = selected(viewer, Image)
    if image is None or not np.array_equal(image.data, np.rint(image.data)):
        show_error("Select one image layer that holds whole numbers.")
        return
    placement = placement_of(image)
    labels = placement.label_map(np.asarray(image.data).astype(np.int64))
    data, fields, _ = labels_layer(labels, image.name, placement)
    replace(viewer, image, Labels(data, **(fields | same_place(image))))


def show_as_image(viewer: napari.Viewer) -> None:
    """Turn the selected Labels layer into an image layer: for an MRI of whole numbers that was taken for labels."""
    layer = selected(viewer, Labels)
    if layer is None:
        show_error("Select one Labels layer.")
        return
    placement = placement_of(layer)
    _, fields, _ = image_layers(placement.volume(np.asarray(layer.data)), layer.name)[0]
    replace(viewer, layer, Image(np.asarray(layer.data), **(fields | same_place(layer))))


def same_place(layer: Layer) -> dict[str, object]:
    """The transform of a layer, for another on top of it."""
    return {"scale": layer.scale, "translate": layer.translate, "affine": layer.affine, "units": layer.units,
            "axis_labels": layer.axis_labels}  # fmt: skip


def replace(viewer: napari.Viewer, old: Layer, new: Layer) -> None:
    """Put a layer in the place of another."""
    index = viewer.layers.index(old)
    viewer.layers.remove(old)
    viewer.layers.insert(index, new)


def selected(viewer: napari.Viewer, kind: type[Layer]) -> Layer | None:
    """The one selected layer of a kind."""
    layers = [bare(layer) for layer in viewer.layers.selection if isinstance(layer, kind)]
    return layers[0] if len(layers) == 1 else None


def suggested_folder(viewer: napari.Viewer) -> Path:
    """Where the scan lies, or the home folder."""
    for layer in viewer.layers:
        stored = getattr(layer.metadata.get(KEY), "stored", None)
        if isinstance(stored, StoredGrid):
            return stored.path.parent
    return Path.home()


def with_suffix(path: str) -> str:
    """A file name with `.nii.gz` unless the user gave one of our suffixes."""
    return path if path.lower().endswith((".nii", ".nii.gz")) else f"{path}.nii.gz"


def ask_for_grid(question: str, places: Sequence[Placement]) -> Placement | None:
    """Ask in a dialog which scan's grid is meant."""
    names = [f"{i}: {p.source} ({' x '.join(map(str, p.shape))})" for i, p in enumerate(places, start=1)]
    name, is_chosen = QInputDialog.getItem(None, "Which scan?", question, names, 0, False)
    return places[names.index(name)] if is_chosen else None
