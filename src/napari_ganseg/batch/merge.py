"""Merge what several models found in one scan into one label map, by stated rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_ganseg.batch.options import Later
from napari_ganseg.errors import GeometryError
from napari_ganseg.volume import LabelClass, LabelMap

Values = dict[int, int]


def merge(maps: Sequence[LabelMap], later: Later = "fill") -> LabelMap:
    """Merge label maps of one grid, in the order given.

    1. The first map keeps its values. A later map's class keeps its own value unless that is taken.
    2. A class whose value is taken gets a new one: the smallest above every value of every map, counted upwards.
    3. Names and colours are kept. A class of a name that an earlier map has is the same structure and gets its value.
    4. Where two maps claim a voxel, the earlier one has it ("fill"), or the later one ("cover").

    One map alone comes back as it is. The provenance keeps each map's own, the rule, and the values given.

    Raises:
        GeometryError: the grids differ.
    """
    first = maps[0]
    if len(maps) == 1:
        return first
    if not all(other.same_grid_as(first) for other in maps[1:]):
        raise GeometryError("Label maps of one scan differ in grid; they cannot be merged.")
    classes, given = renumbered([named_classes(labels) for labels in maps])
    array = first.array.astype(np.int32)
    for labels, values in zip(maps[1:], given[1:], strict=True):
        added = translated(labels, values)
        np.copyto(array, added, where=(added != 0) & (array == 0) if later == "fill" else added != 0)
    rules = {"later_models": later, "values": [{str(k): v for k, v in values.items()} for values in given]}
    notes = tuple(dict.fromkeys(note for labels in maps for note in labels.notes))
    provenance = {"merge": rules, "models": [dict(labels.provenance) for labels in maps]}
    return first.derive(array=array, classes=classes, notes=notes, provenance=provenance)


def named_classes(labels: LabelMap) -> list[LabelClass]:
    """A map's classes, and one for each further value it holds."""
    declared = {c.value: c for c in labels.classes}
    return [declared.get(v, LabelClass(v, labels.name_of(v), "#808080")) for v in labels.counts()]


def renumbered(classes: Sequence[Sequence[LabelClass]]) -> tuple[tuple[LabelClass, ...], list[Values]]:
    """The merged classes, and for each map which value became which."""
    following = max((c.value for each in classes for c in each), default=0) + 1
    merged: dict[int, LabelClass] = {}
    given: list[Values] = []
    for each in classes:
        values, by_name = {}, {c.name: value for value, c in merged.items()}
        for c in sorted(each, key=lambda c: c.value):
            value = by_name.get(c.name, c.value)
            if c.name not in by_name and value in merged:
                value, following = following, following + 1
            merged.setdefault(value, replace(c, value=value))
            values[c.value] = value
        given.append(values)
    return tuple(merged[value] for value in sorted(merged)), given


def translated(labels: LabelMap, values: Values) -> np.ndarray:
    """A map's array with its new values."""
    array = np.zeros(labels.array.shape, dtype=np.int32)
    for old, new in values.items():
        array[labels.array == old] = new
    return array
