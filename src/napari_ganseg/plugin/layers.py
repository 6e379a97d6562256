"""The one translator between layers and volumes: names, colours, contrast and place there, label maps back."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import DirectLabelColormap

from napari_ganseg.io.labels import PALETTE, colour_for
from napari_ganseg.io.names import shown, stem
from napari_ganseg.plugin.placement import Placement, display, world_letters
from napari_ganseg.plugin.registry import AT, KEY
from napari_ganseg.plugin.transform import plain, to_world, transform_of
from napari_ganseg.volume import Array, LabelClass, LabelMap, Volume

MADE = "napari-ganseg-made"  # in layer.metadata: how a result was made
COLOURS = "napari-ganseg-colours"  # in layer.metadata: of classes that napari cannot draw in them
LARGEST = 2**15  # label value that napari can give a colour of its own without numba
LayerData = tuple[Any, dict[str, Any], str]


# --- volumes to layers ---------------------------------------------------------------------------------------------


def image_layers(volume: Volume, name: str) -> list[LayerData]:
    """Image layers of a volume, one per channel: upright, in millimetres, with contrast that suits it."""
    placement = Placement.of(volume, name)
    channels = volume.array if volume.has_channels else volume.array[np.newaxis]
    names = [f"{name} [{i}]" for i in range(len(channels))] if volume.has_channels else [name]
    return [
        (channel, {**placed(placement), "name": n, "contrast_limits": contrast(channel), "colormap": "gray"}, "image")
        for channel, n in zip(channels, names, strict=True)
    ]


def labels_layer(labels: LabelMap, name: str, placement: Placement | None = None) -> LayerData:
    """Labels layer of a label map, with names, colours and volumes; `placement` is that of the image it lies on."""
    placement = placement or Placement.of(labels, name)
    fields = placed(placement)
    data = placement.as_layer(labels.array)
    fields["metadata"][MADE] = {**labels.provenance, "notes": list(labels.notes), "checksum": checksum(data)}
    table = features(labels)
    values = [int(v) for v in table["index"]]
    if is_drawable(values):
        fields["colormap"] = colormap(labels.classes, values)
    else:
        fields["metadata"][COLOURS] = {c.value: c.colour for c in labels.classes}
    return data, {**fields, "name": name, "features": table, "opacity": 0.6}, "labels"


def placed(placement: Placement) -> dict[str, Any]:
    """The fields that put an upright layer in its place."""
    scale, translate = display(placement)
    notes = {"notes": list(placement.all_notes)} if placement.all_notes else {}
    return {
        "scale": scale, "translate": translate, "units": ("mm",) * len(scale), "axis_labels": world_letters(placement),
        "metadata": {KEY: placement, AT: plain(scale, translate), **notes},
    }  # fmt: skip


def contrast(array: Array) -> tuple[float, float]:
    """Contrast limits: the soft-tissue window for a CT, the middle 98 % of what is not background otherwise."""
    values = array[..., :: max(1, array.shape[-2] // 128), :: max(1, array.shape[-1] // 128)]
    low, high = float(values.min()), float(values.max())
    if low <= -500 and high > 100:
        return -160.0, 240.0
    inside = values[values > low] if (values > low).any() else values
    first, last = (float(v) for v in np.percentile(inside, (1, 99)))
    return (first, last) if last > first else (low, max(high, low + 1))


def widen_contrast(layer: Image) -> None:
    """Let the contrast slider run over all values: napari would end it at the limits a layer is opened with."""
    low, high = layer.contrast_limits
    layer.contrast_limits_range = (min(low, float(layer.data.min())), max(high, float(layer.data.max())))


def features(labels: LabelMap) -> pd.DataFrame:
    """Name, voxels and millilitres per value; napari shows the row whose `index` is under the mouse."""
    counts = labels.counts()
    return pd.DataFrame({
        "index": [0, *counts],
        "name": ["background", *[labels.name_of(v) for v in counts]],
        "voxels": [labels.array.size - sum(counts.values()), *counts.values()],
        "mL": [0.0, *[round(n * labels.voxel_ml, 3) for n in counts.values()]],
    })  # fmt: skip


def is_drawable(values: Sequence[int]) -> bool:
    """Whether napari can draw each of these label values in a colour we choose; it raises while drawing otherwise."""
    return max(abs(v) for v in values) < LARGEST


def colormap(classes: Iterable[LabelClass], values: Iterable[int]) -> DirectLabelColormap:
    """Colours of classes and values; those one may paint next get theirs too, any other is grey."""
    colours = {v: colour_for(v) for v in (*range(1, len(PALETTE) + 1), *values) if v != 0}
    colours |= {c.value: c.colour for c in classes}
    return DirectLabelColormap(color_dict={None: "#a0a0a0", 0: "transparent", **colours})


def checksum(data: Any) -> int:
    """Tells whether labels were edited since they were made."""
    return zlib.crc32(np.ascontiguousarray(data).view(np.uint8))


def is_edited(layer: Labels) -> bool:
    """Whether a result of ours was changed by hand; True for layers that are not ours."""
    made = layer.metadata.get(MADE)
    return not made or made.get("checksum") != checksum(layer.data)


# --- layers to volumes ---------------------------------------------------------------------------------------------


def label_map_of(layer: Labels, placement: Placement, data: Array | None = None) -> LabelMap:
    """The label map in a Labels layer, with the names in its features, on the grid of a placement.

    Args:
        layer: the labels.
        placement: where they lie.
        data: the labels in the voxels of the placement's scan, where the layer's own are others.
    """
    array = np.asarray(layer.data) if data is None else data
    made = layer.metadata.get(MADE, {})
    provenance = {k: v for k, v in made.items() if k not in ("checksum", "notes")}
    notes = tuple(made.get("notes", placement.all_notes))
    return placement.label_map(array, classes=classes_of(layer), provenance=provenance, notes=notes)


def classes_of(layer: Labels) -> tuple[LabelClass, ...]:
    """Classes in a layer's feature table, with the colours on screen."""
    table = layer.features
    if "index" not in table or "name" not in table:
        return ()
    values = pd.to_numeric(table["index"], errors="coerce")  # another plugin's table may hold anything
    pairs = {int(v): str(n) for v, n in zip(values, table["name"], strict=True) if np.isfinite(v) and int(v) != 0}
    return tuple(LabelClass(v, n, colour_of(layer, v)) for v, n in sorted(pairs.items()))


def colour_of(layer: Labels, value: int) -> str:
    """Colour of a class on screen; napari's own `get_color` answers for one label while only that is shown."""
    on_screen = getattr(layer.colormap, "color_dict", {})
    if value in on_screen:
        return as_hex(on_screen[value])
    return str(layer.metadata.get(COLOURS, {}).get(value, colour_for(value)))


def as_hex(rgba: Any) -> str:
    """A colour of napari's as #rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*(round(float(c) * 255) for c in np.ravel(rgba)[:3]))


# --- small things --------------------------------------------------------------------------------------------------


def put_on(fields: dict[str, Any], layer: Layer) -> dict[str, Any]:
    """A new layer's fields, changed so that it lies on top of another, wherever that has been moved to."""
    metadata = {**fields["metadata"], AT: to_world(layer)}
    return {**fields, **transform_of(layer), "metadata": metadata}


def bare(thing: Any) -> Any:
    """A viewer or layer without the proxy napari hands to plugins: proxies of one thing are not one object."""
    return getattr(thing, "__wrapped__", thing)


def file_name(path: str | Path) -> str:
    """Layer name for a file."""
    return shown(stem(path))
