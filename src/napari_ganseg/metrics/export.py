"""Scores as a CSV file that a spreadsheet opens and cannot be harmed by."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from napari_ganseg.metrics.scores import Cell, ClassScore, Scores, row

COLUMNS = ("case", *row(0, ClassScore("", None, 0.0, 0.0), None))
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_csv(path: str | Path, cases: Mapping[str, Scores]) -> None:
    """Write a row per case and class, whole or not at all; an empty cell means nothing to score, or not asked for.

    The file is UTF-8 with a mark, which spreadsheets need for names beyond ASCII. Text that a spreadsheet would take
    for a formula gets an apostrophe in front.

    Raises:
        FileError: no space, no permission, or no such folder.
    """
    from napari_ganseg.io.atomic import write_bytes

    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    for case, scores in cases.items():
        writer.writerows({k: safe(v) for k, v in {"case": case, **line}.items()} for line in scores.rows())
    write_bytes(Path(path), text.getvalue().encode("utf-8-sig"))


def safe(cell: Cell) -> Cell:
    """A cell that no spreadsheet runs; numbers stay numbers."""
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(" ").startswith(FORMULA) else cell
