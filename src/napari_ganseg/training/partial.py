"""What is not annotated: voxels outside `NAME.known.nii.gz`, classes "not contoured" in `cases.csv`."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from napari_ganseg.errors import UsageError
from napari_ganseg.io import read_labels
from napari_ganseg.io.names import shown, stem
from napari_ganseg.models.card import CardClass
from napari_ganseg.volume import Annotation, LabelClass, LabelMap

TABLE, NOT_CONTOURED = "cases.csv", "not contoured"
KNOWN = ".known.nii.gz"


def missing_classes(folder: Path, classes: Sequence[CardClass | LabelClass]) -> dict[str, frozenset[int]]:
    """Values of the classes that a `cases.csv` calls "not contoured", by the case's name without suffix.

    The table has a column `name` and one per class; "RightParotid" and "Right parotid" are the same.

    Raises:
        UsageError: the table cannot be read, or has no column `name`.
    """
    path = folder / TABLE
    if not path.is_file():
        return {}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeError, csv.Error) as error:
        raise UsageError(f"Cannot read {shown(path)}: {error}.") from error
    if rows and "name" not in rows[0]:
        raise UsageError(f"{shown(path)} needs a column called name.")
    values = {letters(c.name): c.value for c in classes}
    return {stem(row["name"]): missing_in(row, values) for row in rows}


def missing_in(row: Mapping[str, str | None], values: Mapping[str, int]) -> frozenset[int]:
    """Values of the classes that one row of the table calls not contoured."""
    columns = [column for column, entry in row.items() if (entry or "").strip().lower() == NOT_CONTOURED]
    return frozenset(values[letters(column)] for column in columns if letters(column) in values)


def letters(name: str) -> str:
    """A class name as it is compared: small letters alone, "oe" spelt "e"."""
    return "".join(c for c in name.lower() if c.isalnum()).replace("oe", "e")


def annotate(labels: LabelMap, label_path: Path, missing: frozenset[int] = frozenset()) -> Annotation:
    """A label map with what is known of it: everything, unless `NAME.known.nii.gz` beside it says otherwise.

    Raises:
        UsageError: the mask lies on another grid.
    """
    path = label_path.with_name(stem(label_path) + KNOWN)
    if not path.exists():
        return Annotation(labels, np.ones(labels.shape, dtype=np.bool_), missing)
    known = read_labels(path)
    if not known.same_grid_as(labels):
        raise UsageError(f"{shown(path)} does not lie on the grid of its labels")
    return Annotation(labels, known.array != 0, missing)
