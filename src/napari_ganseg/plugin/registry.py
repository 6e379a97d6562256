"""The registry: where each layer lies in the patient, as its reader said, as its file says, or as assumed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, WeakSet, ref

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_ganseg.errors import GansegError, UsageError
from napari_ganseg.io import EXTENSIONS, read_any
from napari_ganseg.plugin.placement import ASSUMED, Placement, assumed, matched
from napari_ganseg.plugin.transform import covers, is_close, to_world

KEY = "napari-ganseg"  # in layer.metadata: the Placement
AT = "napari-ganseg-at"  # in layer.metadata: the matrix to world coordinates that it was made with

_viewers: WeakSet[Any] = WeakSet()  # whose layers a writer finds, which sees no viewer
_foreign: WeakKeyDictionary[Layer, tuple[ReferenceType[Any], Placement | None]] = WeakKeyDictionary()
_chosen: WeakKeyDictionary[Layer, str] = WeakKeyDictionary()  # the letters that users chose


def placement_of(layer: Layer) -> Placement:
    """Where a layer lies in the patient; what had to be assumed is in its notes.

    Args:
        layer: Image or Labels.

    Raises:
        UsageError: the layer is no single 2D or 3D scan.
    """
    if given := given_placement(layer):
        return given
    check_layer(layer)
    return from_file(layer) or from_neighbour(layer) or from_letters(layer)


def given_placement(layer: Layer) -> Placement | None:
    """The placement a layer was made with, unless it has been reshaped."""
    given = layer.metadata.get(KEY)
    return given if isinstance(given, Placement) and given.layer_shape == tuple(layer.data.shape) else None


def own_placement(layer: Layer) -> Placement | None:
    """The grid that a Labels layer carries itself; None where it has none, was reshaped, or was moved by hand."""
    given, at = given_placement(layer), layer.metadata.get(AT)
    return given if given and (at is None or is_close(to_world(layer), at, layer.data.shape)) else None


def is_scan(layer: Layer) -> bool:
    """Whether a layer is an image, or a label map in its place, whose grid labels could belong to."""
    is_one = isinstance(layer, Image) or (isinstance(layer, Labels) and own_placement(layer) is not None)
    return is_one and layer.ndim in (2, 3) and not getattr(layer, "rgb", False) and not layer.multiscale


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
    seen = _foreign.get(layer)
    if seen is None or seen[0]() is not layer.data:
        try:
            found = matched(layer.data, read_any(path), layer.name)
        except GansegError:
            found = None
        _foreign[layer] = seen = (ref(layer.data), found)
    return seen[1]


def from_neighbour(layer: Layer) -> Placement | None:
    """Placement of the one scan that a layer covers on screen: another plugin's filter made it from that."""
    if np.array_equal(to_world(layer), np.eye(layer.ndim + 1)):
        return None  # nobody placed it: lying on another is chance
    scans = [other for other in layers_on_screen() if is_scan(other) and covers(layer, other)]
    found = distinct(p for p in map(given_placement, scans) if p and not p.assumption)
    if len(found) != 1:
        return None
    note = f"{layer.name} lies on {found[0].source} voxel by voxel; its orientation was taken from there."
    return replace(found[0], source=layer.name, notes=(*found[0].notes, note))


def from_letters(layer: Layer) -> Placement:
    """Placement as the user chose it, or as most readers stack slices."""
    lengths = np.linalg.norm(to_world(layer)[:-1, :-1], axis=0)
    factors = [millimetres(unit) for unit in layer.units]
    spacing = tuple(float(length * (factor or 1.0)) for length, factor in zip(lengths, factors, strict=True))
    placement = assumed(tuple(layer.data.shape), spacing, layer.name, letters_of(layer))
    note = f"{layer.name} gives no unit of length; millimetres assumed."
    return placement if all(factors) else replace(placement, notes=(note,))


def millimetres(unit: Any) -> float | None:
    """How long a unit of napari's is; None for pixels."""
    return float((1 * unit).to("mm").magnitude) if unit.is_compatible_with("mm") else None


def letters_of(layer: Layer) -> str:
    """The directions that the axes of a layer of unknown orientation are taken to grow to."""
    return _chosen.get(layer, ASSUMED)


def choose_letters(layer: Layer, letters: str) -> None:
    """Remember what the user says about a layer of unknown orientation."""
    _chosen[layer] = letters


def enter(viewer: Any) -> None:
    """Let the layers of a viewer be found."""
    _viewers.add(viewer)


def layers_on_screen() -> list[Layer]:
    """The layers of every viewer that has to do with us."""
    return [layer for viewer in _viewers for layer in viewer.layers]


def distinct(placements: Iterable[Placement]) -> list[Placement]:
    """Placements that differ, the first of those that do not."""
    kept: list[Placement] = []
    for placement in placements:
        if not any(placement.is_same_grid_as(other) for other in kept):
            kept.append(placement)
    return kept
