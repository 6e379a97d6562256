"""The registry: where each layer lies in the patient, as its reader said, as its file says, or as assumed."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, WeakSet, ref

import numpy as np
from napari.layers import Layer

from napari_ganseg.errors import GansegError, UsageError
from napari_ganseg.io import EXTENSIONS, read_any
from napari_ganseg.plugin.placement import ASSUMED, Placement, assumed, display, matched
from napari_ganseg.plugin.transform import is_close, plain, to_world
from napari_ganseg.volume import Affine

KEY = "napari-ganseg"  # in layer.metadata: the Placement
AT = "napari-ganseg-at"  # in layer.metadata: the matrix to world coordinates that it was made with

_known: WeakSet[Placement] = WeakSet()  # every placement that some layer still holds: what a writer can find
_foreign: WeakKeyDictionary[Layer, tuple[ReferenceType[Any], Placement | None]] = WeakKeyDictionary()
_chosen: WeakKeyDictionary[Layer, str] = WeakKeyDictionary()  # the letters that users chose


def placement_of(layer: Layer) -> Placement:
    """Where a layer lies in the patient; what had to be assumed is in its notes.

    Args:
        layer: Image or Labels.

    Raises:
        UsageError: the layer is no single 2D or 3D scan.
    """
    known = layer.metadata.get(KEY)
    if isinstance(known, Placement) and known.layer_shape == tuple(layer.data.shape):
        return known
    check_layer(layer)
    return from_file(layer) or from_neighbour(layer) or from_letters(layer)


def own_placement(layer: Layer) -> Placement | None:
    """The grid that a Labels layer carries itself; None where it has none, was reshaped, or was moved by hand."""
    known, at = layer.metadata.get(KEY), layer.metadata.get(AT)
    shape = tuple(layer.data.shape)
    if not isinstance(known, Placement) or known.layer_shape != shape:
        return None
    return known if at is None or is_close(to_world(layer), at, shape) else None


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
        _foreign[layer] = seen = (ref(layer.data), found and remember(found))
    return seen[1]


def from_neighbour(layer: Layer) -> Placement | None:
    """Placement of the one scan that a layer covers on screen: another plugin's filter made it from that."""
    matrix = to_world(layer)
    if np.array_equal(matrix, np.eye(len(matrix))):
        return None  # nobody placed it: lying on another is chance
    found = known_matches(layer.data.shape, matrix)
    if len(found) != 1:
        return None
    note = f"{layer.name} lies on {found[0].source} voxel by voxel; its orientation was taken from there."
    return replace(found[0], source=layer.name, notes=(*found[0].notes, note))


def from_letters(layer: Layer) -> Placement:
    """Placement as the user chose it, or as most readers stack slices."""
    spacing = tuple(abs(float(s)) for s in layer.scale)
    return assumed(tuple(layer.data.shape), spacing, layer.name, letters_of(layer))


def letters_of(layer: Layer) -> str:
    """The directions that the axes of a layer of unknown orientation are taken to grow to."""
    return _chosen.get(layer, ASSUMED)


def choose_letters(layer: Layer, letters: str) -> None:
    """Remember what the user says about a layer of unknown orientation."""
    _chosen[layer] = letters


def remember(placement: Placement) -> Placement:
    """Keep a placement findable for as long as a layer holds it."""
    _known.add(placement)
    return placement


def known_placements() -> list[Placement]:
    """Every placement that some layer holds."""
    return list(_known)


def known_matches(shape: Sequence[int], matrix: Affine) -> list[Placement]:
    """Grids whose own layer has that shape and place: all that a writer finds, which sees no viewer."""
    found = living_matches(shape, matrix)
    if len(found) < 2:
        return found
    gc.collect()  # layers of a closed viewer hang in reference cycles
    return living_matches(shape, matrix)


def living_matches(shape: Sequence[int], matrix: Affine) -> list[Placement]:
    """The same, closed scans that Python has not collected yet included."""
    fits = [p for p in _known if p.layer_shape == tuple(shape) and p.is_upright and not p.assumption]
    return distinct(p for p in fits if is_close(matrix, plain(*display(p)), shape))


def distinct(placements: Iterable[Placement]) -> list[Placement]:
    """Placements that differ, the first of those that do not."""
    kept: list[Placement] = []
    for placement in placements:
        if not any(placement.is_same_grid_as(other) for other in kept):
            kept.append(placement)
    return kept
