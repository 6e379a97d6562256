"""The stored runs of one study: what every arm reached under every scanner, and what it lacks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.accuracy.results import mean_of
from benchmarks.adaptation.differences import Table, averaged, less, mean
from benchmarks.adaptation.runs import SEVERITY, Line, wanted
from benchmarks.adaptation.scanners import STRONG
from benchmarks.adaptation.studies import Study

NOTHING = "do nothing"
Part = Literal["target", "source"]


@dataclass(frozen=True, slots=True)
class Results:
    """What is known of a study.

    Attributes:
        lines: of this study alone.
    """

    study: Study
    lines: tuple[Line, ...]

    def waiting(self, scanners: Collection[str], arms: Collection[str]) -> int:
        """How many wanted runs of these are not stored."""
        stored = {(line["scanner"], line["arm"], line["seed"]) for line in self.lines}
        needed = {(e.scanner, e.arm, e.seed) for e in wanted(self.study) if e.scanner in scanners and e.arm in arms}
        return len(needed - stored)

    def runs(self, scanner: str, arm: str) -> dict[int, Line]:
        """The lines of an arm by seed, of two for the same run the later one."""
        found = [line for line in self.lines if (line["scanner"], line["arm"]) == (scanner, arm)]
        return {line["seed"]: line for line in sorted(found, key=lambda line: int(line["seed"]))}

    def dices(self, scanner: str, arm: str, part: Part) -> Table:
        """Dice of the test patients by seed; the only run of doing nothing stands for every seed."""
        known = {seed: line[part] for seed, line in self.runs(scanner, arm).items() if line[part] is not None}
        return dict.fromkeys(range(self.study.seeds), known[0]) if arm == NOTHING and known else known

    def difference(self, scanner: str, arm: str, other: str = NOTHING, part: Part = "target") -> Table:
        """What an arm reaches more than another."""
        return less(self.dices(scanner, arm, part), self.dices(scanner, other, part))

    def over_scanners(self, arm: str, other: str) -> Table:
        """The same on new scanners, in the mean over the strong ones."""
        return averaged([self.difference(scanner, arm, other) for scanner in STRONG])

    def loss(self, scanner: str) -> float | None:
        """What the shipped model loses under a scanner, on the test patients."""
        return mean(less(self.dices(scanner, NOTHING, "source"), self.dices(scanner, NOTHING, "target")))

    def recovered(self, scanner: str, gain: float | None) -> float | None:
        """The share of the loss that a gain makes up for."""
        loss = self.loss(scanner)
        return gain / loss if gain is not None and loss is not None and loss > 0 else None

    def mean_field(self, scanner: str, arm: str, field: str) -> float | None:
        """Mean over seeds of what a line says of the whole run; None where none says it."""
        return mean_of([line.get(field) for line in self.runs(scanner, arm).values()])

    def severity(self, scanner: str) -> Line | None:
        """How severe a scanner is, and what that costs on calibration patients."""
        return self.runs(scanner, SEVERITY).get(0)


def of_study(study: Study, lines: Sequence[Line]) -> Results:
    """The results of a study."""
    return Results(study, tuple(line for line in lines if line["study"] == study.name))
