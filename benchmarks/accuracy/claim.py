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
    """The claim of one data set.

    Attributes:
        data: name of its first study.
        setting: the chosen arm and its steps; empty while there is none.
        gain: its test Dice less the plain network's at as many steps.
        over_time: the same less that of equal time.
        waiting: runs of this budget, of every study of the data, that are not stored.
    """

    data: str
    setting: str
    gain: Interval | None
    over_time: Interval | None
    waiting: int

    @property
    def holds(self) -> bool:
        """Whether all runs are there and the gain's interval lies above zero."""
        return self.waiting == 0 and self.gain is not None and self.gain.low > 0

    def __str__(self) -> str:
        found = f"{self.data} {self.setting} {self.gain}" if self.gain else f"{self.data} has no paired runs"
        return found + (f", {runs_wait(self.waiting)}" if self.waiting else "")


def claims_of(studies: Sequence[Study], stored: Sequence[Line]) -> list[Claim]:
    """One claim a data set, in the order of the studies."""
    folders = dict.fromkeys(study.folder for study in studies)
    return [claim_of([study for study in studies if study.folder == folder], stored) for folder in folders]


def claim_of(studies: Sequence[Study], stored: Sequence[Line]) -> Claim:
    """The claim of a data set: of all its studies, the setting is chosen on the calibration patients alone."""
    every = [results for study in studies for results in of_study(study, stored) if results.labels == FEW]
    waiting = sum(results.waiting for results in every)
    if (best := best_on_calibration(every)) is None:
        return Claim(studies[0].name, "", None, None, waiting)
    results, arm = best
    setting = f"{arm}, {results.study.config.steps} steps"
    gain, over_time = (results.difference(arm, other) for other in (PLAIN_ARM, LAST))
    return Claim(studies[0].name, setting, gain, over_time, waiting)


def best_on_calibration(every: Sequence[Results]) -> tuple[Results, str] | None:
    """Study and arm with the best calibration Dice among those with an adversary or unlabelled scans, if any ran."""
    tried = [(results, arm) for results in every for arm in CANDIDATES if results.runs(arm)]
    return max(tried, key=lambda one: one[0].mean(one[1], "calibration", "dice") or 0.0, default=None)


def runs_wait(count: int) -> str:
    """How many runs wait, in words."""
    return f"{count} run{'s' * (count > 1)} wait{'s' * (count == 1)}"
