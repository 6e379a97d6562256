"""What a comparison says: a score per class, its means, and the table that people read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from napari_ganseg.metrics.lesions import Lesions
from napari_ganseg.metrics.table import aligned, shown

Figure = Literal["dice", "jaccard", "nsd", "hd95_mm", "hd_mm", "assd_mm"]
Cell = str | int | float | None

DIAGONAL = "* one side is empty: the image's diagonal stands for the distance"


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class of one case.

    Both sides empty: every figure is None, there is nothing to score. Only one side empty: Dice, Jaccard and NSD are 0
    and the distances are the image's diagonal, so that an empty prediction is never dropped from a mean.

    Attributes:
        dice: 2 |P and T| / (|P| + |T|).
        volume_ml, truth_ml: millilitres of the prediction and the truth.
        nsd: surface Dice, the share of both surfaces that lies within the tolerance of the other one.
        hd95_mm: the larger of the two directed 95th percentiles of the distances between the surfaces.
        hd_mm: the largest distance between the surfaces.
        assd_mm: mean of the distances, those of both directions taken together.
        lesions: connected pieces found, missed and false.
    """

    name: str
    dice: float | None
    volume_ml: float
    truth_ml: float
    nsd: float | None = None
    hd95_mm: float | None = None
    hd_mm: float | None = None
    assd_mm: float | None = None
    lesions: Lesions | None = None

    @property
    def jaccard(self) -> float | None:
        """|P and T| / |P or T|."""
        return None if self.dice is None else self.dice / (2 - self.dice)

    @property
    def difference_ml(self) -> float:
        """Prediction less truth."""
        return self.volume_ml - self.truth_ml

    @property
    def difference_percent(self) -> float | None:
        """Prediction less truth, in percent of the truth; None where the truth is empty."""
        return 100 * self.difference_ml / self.truth_ml if self.truth_ml else None

    @property
    def is_one_sided(self) -> bool:
        """Only the prediction or only the truth holds the class."""
        return (self.volume_ml == 0) != (self.truth_ml == 0)


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores per class value.

    Attributes:
        tolerance_mm: of the NSD; None where only overlap and volume were asked for.
        notes: what was doubtful about the pair, in words for people.
    """

    per_class: Mapping[int, ClassScore]
    tolerance_mm: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def mean_dice(self) -> float | None:
        """Mean over the classes that prediction or truth hold; None when both are empty."""
        return self.mean("dice")

    def mean(self, figure: Figure) -> float | None:
        """Mean of a figure over the classes that prediction or truth hold; None when there is none, or not asked."""
        return mean_of([getattr(score, figure) for score in self.per_class.values()])

    def rows(self) -> list[dict[str, Cell]]:
        """A flat row per class for tables and files; None where there is nothing to say."""
        return [row(value, score, self.tolerance_mm) for value, score in self.per_class.items()]

    def __repr__(self) -> str:  # a console shows this: the table, not the numbers in a heap
        return str(self)

    def __str__(self) -> str:
        lines = [heading(self.tolerance_mm), *(cells(s, self.tolerance_mm) for s in self.per_class.values())]
        table = aligned(lines) if self.per_class else []
        if self.tolerance_mm is not None and any(s.is_one_sided for s in self.per_class.values()):
            table.append(DIAGONAL)
        return "\n".join([*table, *self.notes, means_line(self)])


def mean_of(figures: list[float | None]) -> float | None:
    """Mean of those that are there; None where none is."""
    present = [figure for figure in figures if figure is not None]
    return float(np.mean(present)) if present else None


def row(value: int, score: ClassScore, tolerance_mm: float | None) -> dict[str, Cell]:
    """One class, flat."""
    lesions = score.lesions
    return {
        "class": value,
        "name": score.name,
        "dice": score.dice,
        "jaccard": score.jaccard,
        "nsd": score.nsd,
        "tolerance_mm": tolerance_mm,
        "hd95_mm": score.hd95_mm,
        "hd_mm": score.hd_mm,
        "assd_mm": score.assd_mm,
        "volume_ml": score.volume_ml,
        "truth_ml": score.truth_ml,
        "difference_ml": score.difference_ml,
        "difference_percent": score.difference_percent,
        "lesions_found": lesions.found if lesions else None,
        "lesions_missed": lesions.missed if lesions else None,
        "lesions_false": lesions.false if lesions else None,
    }


def heading(tolerance_mm: float | None) -> list[str]:
    """Names of the table's columns."""
    volumes = ["mL", "truth mL", "diff mL", "diff %"]
    if tolerance_mm is None:
        return ["class", "Dice", "Jaccard", *volumes]
    distances = [f"NSD {tolerance_mm:g} mm", "HD95 mm", "HD mm", "ASSD mm"]
    return ["class", "Dice", "Jaccard", *distances, *volumes, "found", "missed", "false"]


def cells(score: ClassScore, tolerance_mm: float | None) -> list[str]:
    """One class as the table shows it."""
    overlap = [score.name, shown(score.dice), "-" if score.dice is None else shown(score.jaccard)]
    volumes = [f"{score.volume_ml:.4g}", f"{score.truth_ml:.4g}", f"{score.difference_ml:+.3g}"]
    volumes.append("-" if score.difference_percent is None else f"{score.difference_percent:+.1f}")
    if tolerance_mm is None:
        return overlap + volumes
    mark = "*" if score.is_one_sided else ""
    far = ["-" if mm is None else f"{mm:.2f}{mark}" for mm in (score.hd95_mm, score.hd_mm, score.assd_mm)]
    counts = score.lesions or Lesions(0, 0, 0)
    surfaces = ["-" if score.nsd is None else shown(score.nsd), *far]
    return [*overlap, *surfaces, *volumes, str(counts.found), str(counts.missed), str(counts.false)]


def means_line(scores: Scores) -> str:
    """The last line: means over the classes."""
    dice, nsd = scores.mean("dice"), scores.mean("nsd")
    hd95, assd = scores.mean("hd95_mm"), scores.mean("assd_mm")
    if nsd is None:
        return f"mean Dice {shown(dice)}"
    return f"mean Dice {shown(dice)}, NSD {shown(nsd)}, HD95 {hd95:.2f} mm, ASSD {assd:.2f} mm"
