"""What the Measure widget shows and exports: a row per class, the figures in words that fit a dock."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.metrics import ClassScore, Measure, Scores
from napari_ganseg.metrics.export import safe
from napari_ganseg.metrics.scores import DIAGONAL
from napari_ganseg.plugin.figure_table import Figures

MEASURED = ("class", "voxels", "mL", "R\nmm", "A\nmm", "S\nmm")
COMPARED = ("class", "Dice", "surface\nDice", "HD95\nmm", "ASSD\nmm", "mL", "truth\nmL")
CENTROIDS = "Centroids in millimetres of the scan: R to the patient's right, A to the front, S to the head."
LEGEND = "In the layer of errors: orange missed, pink too much, blue another class."


def table_of_measures(measures: Mapping[int, Measure]) -> Figures:
    """Name, size and centroid of every class."""
    return Figures(MEASURED, {value: measured(m) for value, m in measures.items()})


def measured(measure: Measure) -> list[str]:
    """One class; an empty one has no centroid."""
    centroid = [f"{mm:.1f}" for mm in measure.centroid_mm] if measure.centroid_mm else ["-"] * 3
    return [measure.name, str(measure.voxels), f"{measure.volume_ml:.3f}", *centroid]


def table_of_scores(scores: Scores) -> Figures:
    """Overlap, distances and volumes of every class."""
    return Figures(COMPARED, {value: compared(score) for value, score in scores.per_class.items()})


def compared(score: ClassScore) -> list[str]:
    """One class; `*` marks a distance that stands for an empty side."""
    mark = "*" if score.is_one_sided else ""
    shares = ["-" if share is None else f"{share:.3f}" for share in (score.dice, score.nsd)]
    distances = ["-" if mm is None else f"{mm:.2f}{mark}" for mm in (score.hd95_mm, score.assd_mm)]
    return [score.name, *shares, *distances, f"{score.volume_ml:.3f}", f"{score.truth_ml:.3f}"]


def remarks_on(scores: Scores, *, has_errors: bool) -> list[str]:
    """What stands below a comparison: the means, what the colours and the mark say, what was doubtful."""
    has_mark = any(score.is_one_sided for score in scores.per_class.values())
    marks = [DIAGONAL] if has_mark else []
    return [means_of(scores), LEGEND if has_errors else "No voxel differs.", *marks, *scores.notes]


def means_of(scores: Scores) -> str:
    """Means over the classes in words."""
    dice, nsd, hd95, assd = (scores.mean(figure) for figure in ("dice", "nsd", "hd95_mm", "assd_mm"))
    if dice is None:
        return "Both are empty."
    return (
        f"Means: Dice {dice:.3f}, surface Dice {nsd:.3f} at {scores.tolerance_mm:g} mm, HD95 {hd95:.2f} mm, "
        f"ASSD {assd:.2f} mm."
    )


def write_measures(path: str | Path, name: str, measures: Mapping[int, Measure]) -> None:
    """Write a CSV row per class, as `metrics.write_csv` writes scores: UTF-8 with a mark, no formulas.

    Raises:
        FileError: no space, no permission, or no such folder.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["case", "class", "name", "voxels", "volume_ml", "centroid_r_mm", "centroid_a_mm", "centroid_s_mm"])
    for value, m in measures.items():
        writer.writerow([safe(name), value, safe(m.name), m.voxels, m.volume_ml, *(m.centroid_mm or ("", "", ""))])
    write_bytes(Path(path), text.getvalue().encode("utf-8-sig"))
