"""The claim on few labels: what calibration chose is better on the test than the plain network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.accuracy.bootstrap import Interval
from benchmarks.accuracy.results import PLAIN_ARM, Results, of_study
from benchmarks.accuracy.runs import Line
from benchmarks.accuracy.studies import FEW, LAST, Study

CANDIDATES = ("adversary", "adversary on unlabelled", "mean teacher", "both")


@dataclass(frozen=True, slots=True)
class Claim:
    """The claim of one study.

    Attributes:
        setting: the chosen arm; empty while there is none.
        gain: its test Dice less the plain network's.
        over_time: the same less that of equal time.
        waiting: runs of this budget that are not stored.
    """

    study: str
    setting: str
    gain: Interval | None
    over_time: Interval | None
    waiting: int

    @property
    def holds(self) -> bool:
        """Whether all runs are there and the gain's interval lies above zero."""
        return self.waiting == 0 and self.gain is not None and self.gain.low > 0

    def __str__(self) -> str:
        found = f"{self.study} {self.setting} {self.gain}" if self.gain else f"{self.study} has no paired runs"
        return found + (f", {runs_wait(self.waiting)}" if self.waiting else "")


def claim_of(study: Study, stored: Sequence[Line]) -> Claim:
    """The claim of a study, its setting chosen on the calibration patients alone."""
    results = next(r for r in of_study(study, stored) if r.labels == FEW)
    setting = best_on_calibration(results)
    gain, over_time = (results.difference(setting, other) for other in (PLAIN_ARM, LAST))
    return Claim(study.name, setting, gain, over_time, results.waiting)


def best_on_calibration(results: Results) -> str:
    """The arm with the best calibration Dice among those that use an adversary or scans without labels, if any ran."""
    dices = {arm: results.mean(arm, "calibration", "dice") for arm in CANDIDATES if arm in results.arms}
    found = {arm: dice for arm, dice in dices.items() if dice is not None}
    return max(found, key=found.__getitem__, default="")


def runs_wait(count: int) -> str:
    """How many runs wait, in words."""
    return f"{count} run{'s' * (count > 1)} wait{'s' * (count == 1)}"
