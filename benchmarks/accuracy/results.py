"""The stored runs of one study at one number of labels: means over seeds, paired differences, verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy.bootstrap import Interval, paired
from benchmarks.accuracy.runs import Line
from benchmarks.accuracy.studies import Study
from benchmarks.ship import NOISE

PLAIN_ARM = "supervised"


@dataclass(frozen=True, slots=True)
class Results:
    """What is known at a budget of labels.

    Attributes:
        labels: patients that are labelled.
        lines: of this study and budget.
    """

    study: Study
    labels: int
    lines: tuple[Line, ...]

    @property
    def arms(self) -> tuple[str, ...]:
        """Those that are wanted."""
        return self.study.arms[self.labels]

    @property
    def waiting(self) -> int:
        """How many wanted runs are not stored."""
        return sum(seed not in self.runs(arm) for arm in self.arms for seed in range(self.study.seeds))

    def runs(self, arm: str) -> dict[int, Line]:
        """The lines of an arm by seed; of two for the same run the later one."""
        return {line["seed"]: line for line in self.lines if line["arm"] == arm}

    def mean(self, arm: str, fold: str, figure: str) -> float | None:
        """Mean over seeds of the mean over the patients of a fold; None without runs."""
        return mean_of([mean_of([p[figure] for p in line[fold].values()]) for line in self.runs(arm).values()])

    def mean_field(self, arm: str, field: str) -> float | None:
        """Mean over seeds of what a line says of the whole run; None where none says it."""
        return mean_of([line[field] for line in self.runs(arm).values()])

    def shared_seeds(self, arm: str, other: str) -> list[int]:
        """Seeds that both arms have."""
        return sorted(self.runs(arm).keys() & self.runs(other).keys())

    def difference(self, arm: str, other: str = PLAIN_ARM) -> Interval | None:
        """Test Dice of an arm less that of another, seed by seed and patient by patient; None without a shared seed."""
        seeds = self.shared_seeds(arm, other)
        return paired(np.subtract(self.dices(arm, seeds), self.dices(other, seeds))) if seeds else None

    def dices(self, arm: str, seeds: Sequence[int]) -> list[list[float]]:
        """(seeds, patients) Dice of the test patients, in the order of their names."""
        tests = [self.runs(arm)[seed]["test"] for seed in seeds]
        return [[test[name]["dice"] for name in sorted(test)] for test in tests]


def of_study(study: Study, lines: Sequence[Line]) -> list[Results]:
    """The results of every budget of a study, the fewest labels first."""
    return [
        Results(study, labels, tuple(e for e in lines if (e["study"], e["labels"]) == (study.name, labels)))
        for labels in sorted(study.arms)
    ]


def verdict(difference: Interval) -> str:
    """What a difference means by the protocol; less than the noise between two seeds is none."""
    if difference.excludes_zero and abs(difference.mean) >= NOISE:
        return "helps" if difference.mean > 0 else "hurts"
    is_within = difference.low >= -NOISE and difference.high <= NOISE
    return "no difference" if is_within else "undecided"


def mean_of(values: Sequence[float | None]) -> float | None:
    """Mean of those that are there; None where none is."""
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None
