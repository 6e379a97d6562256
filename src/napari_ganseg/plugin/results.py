"""Show a label map as a Labels layer on its image, and never touch labels that were edited."""

from __future__ import annotations

from typing import Any

from napari.layers import Image, Labels

from napari_ganseg.plugin.commands import same_place
from napari_ganseg.plugin.layers import MADE, is_edited, labels_layer
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.volume import LabelMap

OF = "napari-ganseg-of"  # in a result's metadata: which image and model it was made from


def show_result(viewer: Any, labels: LabelMap, image: Image, placement: Placement) -> Labels:
    """Add a Labels layer with the result; an older one of the same image and model is replaced if nobody edited it."""
    name = f"{image.name} {labels.provenance.get('model', 'labels')}"
    data, fields, _ = labels_layer(labels, name, placement)
    fields["metadata"][OF] = origin = (id(image), labels.provenance.get("model"))
    layer = Labels(data, **(fields | same_place(image)))
    older = next((o for o in viewer.layers if o.metadata.get(OF) == origin and not is_edited(o)), None)
    if older is not None:
        viewer.layers.remove(older)
    viewer.add_layer(layer)
    return layer


def table_of(layer: Labels) -> dict[str, Any]:
    """The results table: a row per class, its value at the left; background left out."""
    rows = layer.features[layer.features["index"] != 0]
    volumes = [f"{ml:.3f}" for ml in rows["mL"]]
    data = [list(row) for row in zip(rows["name"], rows["voxels"], volumes, strict=True)]
    return {"data": data, "index": list(rows["index"]), "columns": ["class", "voxels", "mL"]}


def found(layer: Labels) -> int:
    """How many classes have a voxel."""
    return int(((layer.features["index"] != 0) & (layer.features["voxels"] > 0)).sum())


def notes_of(layer: Labels) -> list[str]:
    """What has to be said about a result."""
    return list(layer.metadata.get(MADE, {}).get("notes", []))
