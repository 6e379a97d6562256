"""The report's table as a CSV file: a row per case and class, one for a case without classes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from napari_ganseg.metrics.export import safe
from napari_ganseg.metrics.scores import Cell
from napari_ganseg.report.case import Measured, ReportCase, readable
from napari_ganseg.report.distribution import Distribution

NAME = "cases.csv"
COLUMNS = ("case", "status", "cause", "class", "volume_ml", "voxels", "outlier", "dice", "seconds", "notes")
START = ",".join(COLUMNS[:6]).encode("utf-8-sig")


def csv_bytes(cases: Sequence[ReportCase], classes: Sequence[Distribution]) -> bytes:
    """The file; UTF-8 with a mark, no cell that a spreadsheet would run. `dice` is left out where nothing is scored."""
    is_scored = any(c.dice is not None for case in cases for c in case.classes)
    text = io.StringIO(newline="")
    columns = [c for c in COLUMNS if is_scored or c != "dice"]
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    by_name = {c.name: c for c in classes}
    for case in cases:
        writer.writerows({k: safe(v) for k, v in row.items()} for row in rows(case, by_name))
    return text.getvalue().encode("utf-8-sig")


def rows(case: ReportCase, classes: dict[str, Distribution]) -> Iterator[dict[str, Cell]]:
    """A case's rows."""
    result = case.result
    common: dict[str, Cell] = {
        "case": case.name,
        "status": result.status,
        "cause": readable(result.cause),
        "seconds": round(case.seconds, 3),
        "notes": readable(" ".join(result.notes)),
    }
    for c in case.classes:
        yield common | cells(c, classes[c.name])
    if not case.classes:
        yield common


def cells(measured: Measured, spread: Distribution) -> dict[str, Cell]:
    """What is said of one class."""
    return {
        "class": readable(measured.name),
        "volume_ml": round(measured.ml, 6),
        "voxels": measured.voxels,
        "outlier": spread.side_of(measured.ml),
        "dice": measured.dice,
    }
