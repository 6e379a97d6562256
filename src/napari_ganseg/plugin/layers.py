"""The one translator between layers and volumes, and the registry of what came from where."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
import pandas as pd
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import DirectLabelColormap

from napari_ganseg.errors import GansegError, GeometryError, UsageError
from napari_ganseg.io import EXTENSIONS, read
from napari_ganseg.io.labels import colour_for
from napari_ganseg.plugin.placement import Placement, assumed, display, matched
from napari_ganseg.volume import LabelClass, LabelMap, Volume

KEY = "napari-ganseg"  # in layer.metadata: the Placement
MADE = "napari-ganseg-made"  # in layer.metadata: how a result was made
LETTERS = ("S", "A", "R")
LayerData = tuple[Any, dict[str, Any], str]

_known: WeakSet[Placement] = WeakSet()  # every placement that some layer still holds: what a writer can find
_foreign: WeakKeyDictionary[Layer, tuple[int, Placement]] = WeakKeyDictionary()  # layers of other readers


# --- volumes to layers ---------------------------------------------------------------------------------------------


def image_layers(volume: Volume, name: str) -> list[LayerData]:
    """Image layers of a volume, one per channel: upright, in millimetres, with contrast that suits it."""
    placement = remember(Placement.of(volume, name))
    channels = volume.array if volume.has_channels else volume.array[np.newaxis]
    names = [f"{name} [{i}]" for i in range(len(channels))] if volume.has_channels else [name]
    return [
        (channel, {**placed(placement), "name": n, "contrast_limits": contrast(channel), "colormap": "gray"}, "image")
        for channel, n in zip(channels, names, strict=True)
    ]


def labels_layer(labels: LabelMap, name: str, placement: Placement | None = None) -> LayerData:
    """Labels layer of a label map, with names, colours and volumes; `placement` is the image layer's, where it lies on one."""
    placement = remember(placement or Placement.of(labels, name))
    fields = placed(placement)
    data = placement.as_layer(labels.array)
    fields["metadata"][MADE] = {**labels.provenance, "notes": list(labels.notes), "checksum": checksum(data)}
    return (
        data,
        {**fields, "name": name, "features": features(labels), "colormap": colormap(labels), "opacity": 0.6},
        "labels",
    )


def placed(placement: Placement) -> dict[str, Any]:
    """The fields that put an upright layer in its place."""
    scale, translate = display(placement)
    ndim = len(scale)
    notes = {"notes": list(placement.all_notes)} if placement.all_notes else {}
    return {
        "scale": scale, "translate": translate, "units": ("mm",) * ndim, "axis_labels": LETTERS[3 - ndim :],
        "metadata": {KEY: placement, **notes},
    }  # fmt: skip


def contrast(array: Any) -> tuple[float, float]:
    """Contrast limits: the soft-tissue window for a CT, the middle 98 % of what is not background otherwise."""
    values = array[..., :: max(1, array.shape[-2] // 128), :: max(1, array.shape[-1] // 128)]
    low, high = float(values.min()), float(values.max())
    if low <= -500 and high > 100:
        return -160.0, 240.0
    inside = values[values > low] if (values > low).any() else values
    first, last = (float(v) for v in np.percentile(inside, (1, 99)))
    return (first, last) if last > first else (low, max(high, low + 1))


def features(labels: LabelMap) -> pd.DataFrame:
    """Name, voxels and millilitres per value; napari shows the row whose `index` is under the mouse."""
    counts = labels.counts()
    return pd.DataFrame({
        "index": [0, *counts],
        "name": ["background", *[labels.name_of(v) for v in counts]],
        "voxels": [labels.array.size - sum(counts.values()), *counts.values()],
        "mL": [0.0, *[round(n * labels.voxel_ml, 3) for n in counts.values()]],
    })  # fmt: skip


def colormap(labels: LabelMap) -> DirectLabelColormap:
    """Colours of the classes; a value without one gets a fixed colour of its own, anything else grey."""
    colours = {value: colour_for(value) for value in labels.counts() if value > 0}
    colours |= {c.value: c.colour for c in labels.classes}
    return DirectLabelColormap(color_dict={None: "#a0a0a0", 0: "transparent", **colours})


def checksum(data: Any) -> int:
    """Tells whether labels were edited since they were made."""
    return zlib.crc32(np.ascontiguousarray(data).view(np.uint8))


def is_edited(layer: Labels) -> bool:
    """Whether a result of ours was changed by hand; True for layers that are not ours."""
    made = layer.metadata.get(MADE)
    return not made or made.get("checksum") != checksum(layer.data)


# --- layers to volumes ---------------------------------------------------------------------------------------------


def placement_of(layer: Layer, codes: str | None = None) -> Placement:
    """Where a layer lies: as our reader said, as its file says, or as assumed (then it says so).

    Args:
        layer: Image or Labels.
        codes: the orientation the user chose for a layer whose own is unknown.

    Raises:
        UsageError: the layer is no single 2D or 3D scan.
    """
    known = layer.metadata.get(KEY)
    if isinstance(known, Placement) and known.layer_shape == tuple(layer.data.shape):
        return known
    check_layer(layer)
    if found := from_file(layer):
        return found
    spacing = tuple(abs(float(s)) for s in layer.scale)
    return remember(assumed(tuple(layer.data.shape), spacing, layer.name, codes) if codes else
                    assumed(tuple(layer.data.shape), spacing, layer.name))  # fmt: skip


def check_layer(layer: Layer) -> None:
    """Refuse layers that no scan is in."""
    if getattr(layer, "multiscale", False):
        raise UsageError(f'"{layer.name}" is a multiscale layer; open the scan at one resolution.')
    if getattr(layer, "rgb", False):
        raise UsageError(f'"{layer.name}" is a colour image; choose a CT or MRI.')
    if layer.ndim not in (2, 3):
        raise UsageError(f'"{layer.name}" has {layer.ndim} axes; split it so that each layer is one 2D or 3D scan.')


def from_file(layer: Layer) -> Placement | None:
    """Placement of a layer that another reader made from a NIfTI file, found by comparing voxels with the file."""
    path = layer.source.path
    if not path or not str(path).lower().endswith(EXTENSIONS) or not isinstance(layer.data, np.ndarray):
        return None
    remembered = _foreign.get(layer)
    if remembered is None or remembered[0] != id(layer.data):
        try:
            found = matched(layer.data, read(path), layer.name)
        except GansegError:
            return None
        if found is None:
            return None
        _foreign[layer] = remembered = (id(layer.data), remember(found))
    return remembered[1]


def volume_of(layer: Image, codes: str | None = None) -> Volume:
    """The volume that an image layer shows; raises as `placement_of`."""
    return placement_of(layer, codes).volume(np.asarray(layer.data))


def label_map_of(layer: Labels, placement: Placement) -> LabelMap:
    """The label map in a Labels layer, with the names in its features, on the grid of a placement.

    A layer on another grid than the placement's (made with two layers selected, say) is brought onto it by its world
    coordinates, voxel by nearest voxel.

    Raises:
        GeometryError: the layer does not lie on the scan at all.
    """
    data = np.asarray(layer.data)
    if tuple(data.shape) != placement.layer_shape or not lies_on(layer, placement):
        data = transferred(layer, placement)
    made = {k: v for k, v in layer.metadata.get(MADE, {}).items() if k not in ("checksum", "notes")}
    notes = layer.metadata.get(MADE, {}).get("notes", placement.all_notes)
    return placement.label_map(data, classes=classes_of(layer), provenance=made, notes=tuple(notes))


def classes_of(layer: Labels) -> tuple[LabelClass, ...]:
    """Classes in a layer's feature table, with the colours on screen."""
    table = layer.features
    if "index" not in table or "name" not in table:
        return ()
    pairs = {int(v): str(n) for v, n in zip(table["index"], table["name"], strict=True) if int(v) != 0}
    return tuple(LabelClass(v, n, as_hex(layer.get_color(v), v)) for v, n in sorted(pairs.items()))


def as_hex(rgba: Any, value: int) -> str:
    """A colour of napari's as #rrggbb."""
    if rgba is None:
        return colour_for(value)
    return "#{:02x}{:02x}{:02x}".format(*(round(float(c) * 255) for c in rgba[:3]))


# --- which layer came from where -----------------------------------------------------------------------------------


def remember(placement: Placement) -> Placement:
    """Keep a placement findable for as long as a layer holds it."""
    _known.add(placement)
    return placement


def candidates(layer: Labels, others: Iterable[Layer]) -> list[Placement]:
    """Every grid that a Labels layer may belong to, each once: its own, else those of the scans it lies on.

    Exactly one means that it is known; none or several, that somebody has to be asked.
    """
    own = layer.metadata.get(KEY)
    if isinstance(own, Placement) and own.layer_shape == tuple(layer.data.shape):
        return [own]
    if found := from_file(layer):
        return [found]
    scans = [placement_of(other) for other in others if is_scan(other) and other is not layer]
    return distinct(p for p in scans if p.layer_shape == tuple(layer.data.shape) and lies_on(layer, p, others))


def known_matches(shape: Sequence[int], scale: Sequence[float], translate: Sequence[float]) -> list[Placement]:
    """Grids that a writer finds, which sees no viewer: all of that shape and place that any layer still holds."""
    fits = [p for p in _known if p.layer_shape == tuple(shape) and not p.assumption]
    return distinct(p for p in fits if is_placed(p, scale, translate))


def is_scan(layer: Layer) -> bool:
    """Whether a layer is an image or label map whose grid labels could belong to."""
    is_one = isinstance(layer, Image) or (isinstance(layer, Labels) and KEY in layer.metadata)
    return is_one and layer.ndim in (2, 3) and not getattr(layer, "rgb", False) and not layer.multiscale


def distinct(placements: Iterable[Placement]) -> list[Placement]:
    """Placements that differ, images before label maps made on them."""
    kept: list[Placement] = []
    for placement in placements:
        if not any(placement.is_same_grid_as(other) for other in kept):
            kept.append(placement)
    return kept


def lies_on(layer: Layer, placement: Placement, others: Iterable[Layer] = ()) -> bool:
    """Whether a layer has the place that the placement's scan has on screen."""
    shown = [o for o in others if is_scan(o) and o is not layer and placement_of(o) is placement]
    if shown:
        return any(has_same_transform(layer, other) for other in shown)
    return is_placed(placement, layer.scale, layer.translate)


def has_same_transform(layer: Layer, other: Layer) -> bool:
    """Whether two layers of one shape cover each other voxel by voxel."""
    mine, theirs = layer.affine.affine_matrix, other.affine.affine_matrix
    return bool(
        np.allclose(layer.scale, other.scale, rtol=1e-5)
        and np.allclose(layer.translate, other.translate, atol=1e-3 * float(np.min(np.abs(other.scale))))
        and np.allclose(mine, theirs, atol=1e-5)
    )


def is_placed(placement: Placement, scale: Sequence[float], translate: Sequence[float]) -> bool:
    """Whether scale and translate are those of our own layer of this placement."""
    own_scale, own_translate = display(placement)
    if placement.axes != tuple(range(len(own_scale))) or len(scale) != len(own_scale):
        return False
    near = 1e-3 * min(own_scale)
    return bool(np.allclose(scale, own_scale, rtol=1e-5) and np.allclose(translate, own_translate, atol=near))


def transferred(layer: Labels, placement: Placement) -> Any:
    """Labels of a layer on another grid, read at the world position of each voxel of the placement's scan."""
    shape = placement.layer_shape
    if layer.ndim != len(shape):
        raise GeometryError(
            f'"{layer.name}" is a flat sheet of {" x ".join(map(str, layer.data.shape))} pixels, not labels of '
            f'"{placement.source}" ({" x ".join(map(str, shape))} voxels). Select the scan, then use Layers > Segment > '
            "New labels for this scan, and paint there."
        )
    scale, translate = display(placement)
    index = [np.arange(n) * s + t for n, s, t in zip(shape, scale, translate, strict=True)]
    spots = [np.rint((w - t) / s).astype(int) for w, s, t in zip(index, layer.scale, layer.translate, strict=True)]
    inside = [(i >= 0) & (i < n) for i, n in zip(spots, layer.data.shape, strict=True)]
    if not all(i.any() for i in inside):
        raise GeometryError(
            f'"{layer.name}" does not lie on "{placement.source}"; move it there, or choose its own scan.'
        )
    result = np.zeros(shape, dtype=layer.data.dtype)
    result[np.ix_(*inside)] = np.asarray(layer.data)[np.ix_(*[s[i] for s, i in zip(spots, inside, strict=True)])]
    return result


def bare(thing: Any) -> Any:
    """A viewer or layer without the proxy napari hands to plugins: proxies of one thing are not one object."""
    return getattr(thing, "__wrapped__", thing)


def file_name(path: str | Path) -> str:
    """Layer name for a file."""
    from napari_ganseg.io.names import shown, stem

    return shown(stem(path))
