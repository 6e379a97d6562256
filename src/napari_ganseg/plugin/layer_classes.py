"""The classes of a Labels layer, read from it and written into it: names, colours, and the voxels of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_ganseg.errors import UsageError
from napari_ganseg.io.labels import colour_for
from napari_ganseg.plugin.layers import COLOURS, as_hex, classes_of, colormap, colour_of, is_drawable
from napari_ganseg.volume import LabelClass

LARGEST_VALUE = 254  # 255 says "unknown" while a model is trained
LONGEST_NAME = 200
BACKGROUND = "background"

# --- what a layer has ----------------------------------------------------------------------------------------------


def classes_in(layer: Labels) -> tuple[LabelClass, ...]:
    """Every class that a layer names or holds a voxel of, in the colours on screen, by value."""
    names = {c.value: c.name for c in classes_of(layer)}
    names |= {v: f"label {v}" for v in values_in(layer.data) if v not in names}
    return tuple(LabelClass(v, names[v], colour_on_screen(layer, v)) for v in sorted(names))


def values_in(data: Any) -> list[int]:
    """Values of a label array, background left out; under 100 ms for 100 million voxels of 8 bits."""
    values: set[int] = set()
    for part in np.asarray(data):  # slice by slice: no second array of that size
        row = np.ravel(part)
        values.update(np.unique(row[1:][row[1:] != row[:-1]]).tolist(), row[:1].tolist())  # where each run begins
    return sorted(values - {0})


def count(layer: Labels, value: int) -> int:
    """Voxels of one class; some 20 ms for 100 million voxels of 8 bits."""
    return int(np.count_nonzero(np.asarray(layer.data) == value))


def colour_on_screen(layer: Labels, value: int) -> str:
    """Colour of a value, in napari's own random colours too."""
    if isinstance(layer.colormap, DirectLabelColormap) or layer.show_selected_label:
        return colour_of(layer, value)
    return as_hex(layer.colormap.map(value))


# --- changes -------------------------------------------------------------------------------------------------------


def write_classes(layer: Labels, classes: Sequence[LabelClass]) -> None:
    """Make these the classes of a layer: in its feature table and in its colours, at once."""
    layer.features = table_with(layer.features, classes)
    values = [0, *[c.value for c in classes]]
    if not is_drawable(values):
        layer.metadata[COLOURS] = {c.value: c.colour for c in classes}
        return
    colours = colormap(classes, values)
    colours.use_selection, colours.selection = layer.show_selected_label, layer.selected_label
    layer.colormap = colours


def table_with(table: pd.DataFrame, classes: Iterable[LabelClass]) -> pd.DataFrame:
    """A feature table with a row per class and one for the background; other columns keep what they say of a value."""
    names = {0: BACKGROUND, **{c.value: c.name for c in classes}}
    rows = table.copy()
    numbers = rows["index"] if "index" in rows else pd.Series(range(len(rows)))  # napari counts rows without one
    rows["index"] = pd.to_numeric(numbers, errors="coerce")
    rows = rows.dropna(subset=["index"]).drop_duplicates("index").set_index("index").reindex(list(names))
    rows = rows.drop(columns="name", errors="ignore")
    rows.insert(0, "name", list(names.values()))
    for column in {"voxels", "mL"} & set(rows.columns):
        rows[column] = rows[column].fillna(0)
    return rows.rename_axis("index").reset_index().astype({"index": int})


def erase(layer: Labels, value: int) -> None:
    """Make every voxel of a class background; napari's undo brings them back."""
    layer.data_setitem(np.nonzero(np.asarray(layer.data) == value), 0)


def new_class(layer: Labels, classes: Sequence[LabelClass]) -> LabelClass:
    """A class of the smallest value that is free, in its usual colour.

    Raises:
        UsageError: there is no free value.
    """
    taken = {c.value for c in classes}
    free = (v for v in range(1, largest(layer) + 1) if v not in taken)
    value = next(free, None)
    if value is None:
        raise UsageError(f"There are {len(taken)} classes, and no value up to {largest(layer)} is free.")
    return named(value, classes)


def named(value: int, classes: Sequence[LabelClass]) -> LabelClass:
    """A class that nobody has named yet."""
    names = {c.name for c in classes}
    candidates = (f"class {value}{more}" for more in ("", *[f" ({i})" for i in range(2, len(names) + 3)]))
    return LabelClass(value, next(name for name in candidates if name not in names), colour_for(value))


def largest(layer: Labels) -> int:
    """The largest value that a class may have: training knows no larger one, and the layer's numbers must hold it."""
    return min(LARGEST_VALUE, int(np.iinfo(layer.data.dtype).max))


def fits(layer: Labels, value: int) -> bool:
    """Whether the layer's numbers can hold a value; napari refuses to paint with another."""
    limits = np.iinfo(layer.data.dtype)
    return bool(limits.min <= value <= limits.max)


# --- what people type ----------------------------------------------------------------------------------------------


def renamed(old: LabelClass, text: str, classes: Iterable[LabelClass]) -> LabelClass:
    """A class with another name.

    Raises:
        UsageError: the name is empty, too long, or another class has it.
    """
    name = " ".join(text.split())
    if not name:
        raise UsageError("A class needs a name.")
    if len(name) > LONGEST_NAME:
        raise UsageError(f"A name has at most {LONGEST_NAME} characters, this one has {len(name)}.")
    if not name.isprintable():
        raise UsageError("A name holds only characters that can be seen.")
    if name == BACKGROUND or any(c.name == name for c in classes if c.value != old.value):
        raise UsageError(f'There is a class "{name}" already.')
    return replace(old, name=name)


def renumbered(old: LabelClass, text: str, classes: Iterable[LabelClass], layer: Labels) -> LabelClass:
    """A class with another value, in which nothing is painted with the old one.

    Raises:
        UsageError: the value is not one, another class has it, or something is painted with the old one.
    """
    is_number = text.strip().isascii() and text.strip().isdigit()
    value = int(text) if is_number else 0
    if not 1 <= value <= largest(layer):
        raise UsageError(f'A value is a whole number from 1 to {largest(layer)}, not "{text}".')
    if value == old.value:
        return old
    if taken := next((c for c in classes if c.value == value), None):
        raise UsageError(f'The value {value} is taken by "{taken.name}".')
    if painted := count(layer, old.value):
        raise UsageError(
            f'"{old.name}" keeps its value {old.value}: {painted:,} voxels are painted with it. Only a class that '
            "nothing is painted with can get another."
        )
    return replace(old, value=value)
