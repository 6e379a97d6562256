"""Show a label map as a Labels layer on its image, and never touch labels that were edited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from napari.layers import Image, Labels

from napari_ganseg.plugin.layers import MADE, LayerData, is_edited, labels_layer, put_on
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.volume import LabelMap

_made: WeakKeyDictionary[Labels, Origin] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Origin:
    """What a result was made from, what it is called beside the image, and what its layer was called then."""

    image: ReferenceType[Image]
    kind: str
    name: str


def show_result(viewer: Any, labels: LabelMap, image: Image, placement: Placement) -> Labels:
    """Add a Labels layer with the result; an older one of the same image and model is replaced if nobody touched it."""
    return add_result(viewer, labels_layer(labels, "result", placement), image)


def add_result(viewer: Any, made: LayerData, image: Image, kind: str = "") -> Labels:
    """The same, with what `labels_layer` made: that takes a while with a large volume, and needs no viewer.

    Args:
        kind: what it is called after the image's name, and replaces an older one of; the model by default.
    """
    data, fields, _ = made
    kind = kind or str(fields["metadata"][MADE].get("model", "labels"))
    layer = Labels(data, **put_on(fields, image) | {"name": f"{image.name} {kind}"})
    older = next((o for o in viewer.layers if is_untouched(o, image, kind)), None)
    if older is not None:
        viewer.layers.remove(older)
    viewer.add_layer(layer)
    _made[layer] = Origin(ref(image), kind, layer.name)
    return layer


def is_untouched(layer: Any, image: Image, kind: str) -> bool:
    """Whether a layer is a result of one kind for an image, neither edited nor renamed since."""
    origin = _made.get(layer)
    if origin is None or origin.image() is not image or origin.kind != kind:
        return False
    return layer.name == origin.name and not is_edited(layer)


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
