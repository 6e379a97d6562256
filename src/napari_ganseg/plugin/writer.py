"""Save Labels layers as NIfTI on the grid of the scan they belong to, and never guess which that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Labels, Layer

from napari_ganseg.errors import FileError, UsageError
from napari_ganseg.io import check_target, write
from napari_ganseg.io.names import shown
from napari_ganseg.io.write import is_same_file
from napari_ganseg.plugin.belonging import Scan, candidates, laid_on, scans_beside
from napari_ganseg.plugin.layers import label_map_of
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.registry import KEY, distinct, layers_on_screen

Ask = Callable[[str, Sequence[Placement]], "Placement | None"]
TO_ASK = "Use Layers > Segment > Save labels..., which knows the viewer and can ask."
FIELDS = ("name", "scale", "translate", "rotate", "shear", "affine", "features", "metadata", "colormap")


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """npe2 writer of File > Save: sees one layer's data and attributes, no viewer.

    Raises:
        FileError: the grid it belongs to is not known, or the file cannot be written.
    """
    layer = Labels(np.asarray(data), **{name: attributes[name] for name in FIELDS if name in attributes})
    others = layers_on_screen()
    check_no_scan(path, others)
    places = candidates(layer, scans_beside(layer, others))
    if len(places) != 1:
        why = "several scans could be theirs" if places else "no scan of their shape and place is open"
        raise FileError(f'Cannot save "{layer.name}": {why}, so their grid is not known. {TO_ASK}')
    return [str(write(path, label_map_of(layer, places[0])))]


def save_layer(layer: Labels, others: Sequence[Layer], path: str | Path, ask: Ask) -> Path | None:
    """Save a Labels layer on its scan's grid.

    Args:
        layer: the labels.
        others: the viewer's layers.
        path: `.nii` or `.nii.gz`.
        ask: called with a question and the grids there are when none or several match; None cancels.

    Returns:
        The path written, or None where the user cancelled.

    Raises:
        FileError: the path is a scan's, or cannot be written.
        UsageError, GeometryError: the labels belong to no scan here.
    """
    check_no_scan(path, others)
    scans = scans_beside(layer, others)
    places = candidates(layer, scans)
    if len(places) == 1:
        return write(path, label_map_of(layer, places[0]))
    place = ask(*question(layer, scans, places))
    if place is None:
        return None
    scan = next(scan for scan, its_place in scans if its_place is place)
    labels = label_map_of(layer, place, laid_on(layer, scan))
    if not places:
        note = f"{layer.name} had another grid; it was brought onto that of {place.source} as it lay on screen."
        labels = labels.derive(notes=(*labels.notes, note))
    return write(path, labels)


def check_no_scan(path: str | Path, layers: Iterable[Layer]) -> None:
    """Refuse a path that cannot be written, or that is a scan in the viewer, whichever the labels belong to."""
    check_target(path)
    for layer in layers:
        check_target(path, getattr(layer.metadata.get(KEY), "stored", None))
        source = layer.source.path
        if source and not isinstance(layer, Labels) and is_same_file(Path(path), Path(source)):
            raise FileError(
                f'Cannot write {shown(path)}: it would overwrite the image "{layer.name}". Choose another name.'
            )


def question(layer: Labels, scans: Sequence[Scan], places: Sequence[Placement]) -> tuple[str, Sequence[Placement]]:
    """What to ask, and the grids to choose from.

    Raises:
        UsageError: there is no scan.
    """
    if places:
        return f'"{layer.name}" fits several scans. On which one\'s grid shall it be saved?', places
    if not scans:
        raise UsageError(
            f'There is no scan that "{layer.name}" could belong to. Open the scan it was painted on, then save.'
        )
    every = distinct(place for _, place in scans)
    return f'"{layer.name}" does not have the grid of any scan here. On which one\'s grid shall it be saved?', every
