"""Save Labels layers as NIfTI on the grid of the scan they belong to, and never guess which that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Labels

from napari_ganseg.errors import FileError, UsageError
from napari_ganseg.io import check_target, write
from napari_ganseg.io.stored import StoredGrid
from napari_ganseg.plugin.layers import KEY, candidates, is_scan, known_matches, label_map_of, placement_of
from napari_ganseg.plugin.placement import Placement

Ask = Callable[[str, Sequence[Placement]], "Placement | None"]
TO_ASK = "Use Layers > Segment > Save labels..., which knows the viewer and can ask."


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """npe2 writer of File > Save: sees one layer's data and attributes, no viewer.

    Raises:
        FileError: the grid it belongs to is not known, or the file cannot be written.
    """
    layer = Labels(np.asarray(data), **{k: attributes[k] for k in ("name", "scale", "translate", "features", "metadata",
                                                                   "colormap") if k in attributes})  # fmt: skip
    own = layer.metadata.get(KEY)
    places = [own] if isinstance(own, Placement) and own.layer_shape == layer.data.shape else \
        known_matches(layer.data.shape, layer.scale, layer.translate)  # fmt: skip
    if len(places) != 1:
        why = "several scans could be theirs" if places else "no scan of their shape and place is open"
        raise FileError(f'Cannot save "{layer.name}": {why}, so their grid is not known. {TO_ASK}')
    return [str(write(path, label_map_of(layer, places[0])))]


def save_layer(layer: Labels, others: Sequence[Any], path: str | Path, ask: Ask) -> Path | None:
    """Save a Labels layer on its scan's grid.

    Args:
        layer: the labels.
        others: the viewer's layers.
        path: `.nii` or `.nii.gz`.
        ask: called with a question and the grids there are when none or several match; None cancels.

    Returns:
        The path written, or None where the user cancelled.
    """
    places = candidates(layer, others)
    place = places[0] if len(places) == 1 else asked(layer, others, places, ask)
    if place is None:
        return None
    for other in others:  # no scan in the viewer may be overwritten, whichever the labels belong to
        if is_scan(other) and isinstance(stored := placement_of(other).stored, StoredGrid):
            check_target(path, stored)
    return write(path, label_map_of(layer, place))


def asked(layer: Labels, others: Sequence[Any], places: Sequence[Placement], ask: Ask) -> Placement | None:
    """Let the user say which scan the labels belong to."""
    if places:
        return ask(f'"{layer.name}" fits several scans. On which one\'s grid shall it be saved?', places)
    every = [placement_of(o) for o in others if is_scan(o) and o is not layer]
    if not every:
        raise UsageError(
            f'There is no scan that "{layer.name}" could belong to. Open the scan it was painted on, then save.'
        )
    return ask(
        f'"{layer.name}" does not have the grid of any scan here. On which one\'s grid shall it be saved?', every
    )
