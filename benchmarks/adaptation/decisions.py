"""How good the product's decisions are: does it take models that are truly worse, or reject those truly better?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from benchmarks.adaptation.differences import mean
from benchmarks.adaptation.product import is_accepted
from benchmarks.adaptation.results import Results
from benchmarks.adaptation.scanners import STRONG
from benchmarks.adaptation.studies import ADAPTING
from benchmarks.ship import NOISE


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision, and the truth about it.

    Attributes:
        gain: test Dice on the new scanner, less that of doing nothing.
        imitated: what the product saw of it, on source scans that imitate the new ones.
    """

    arm: str
    is_accepted: bool
    gain: float
    imitated: float


@dataclass(frozen=True, slots=True)
class Tally:
    """Decisions, counted.

    Attributes:
        worse, better: how many models truly are, by more than noise.
        accepted_worse, rejected_better: how many of them were decided wrongly.
        correlation: Spearman's, of the imitated gain with the true one; None where there is none.
    """

    decisions: int
    worse: int
    accepted_worse: int
    better: int
    rejected_better: int
    correlation: float | None


def decided(results: Results) -> list[Decided]:
    """Every decision whose truth is known."""
    return [found for arm in ADAPTING for scanner in STRONG for found in of_arm(results, scanner, arm)]


def of_arm(results: Results, scanner: str, arm: str) -> list[Decided]:
    """Those of an arm under a scanner."""
    truth, found = results.difference(scanner, arm), []
    for seed, line in results.runs(scanner, arm).items():
        gain = mean({seed: truth[seed]}) if seed in truth else None
        if gain is not None:
            seen = line["decision"]
            found.append(Decided(arm, is_accepted(line), gain, seen["imitation_after"] - seen["imitation_before"]))
    return found


def tally(decisions: Sequence[Decided]) -> Tally:
    """Count them."""
    worse = [d for d in decisions if d.gain < -NOISE]
    better = [d for d in decisions if d.gain > NOISE]
    return Tally(
        len(decisions),
        len(worse),
        sum(d.is_accepted for d in worse),
        len(better),
        sum(not d.is_accepted for d in better),
        correlation([d.imitated for d in decisions], [d.gain for d in decisions]),
    )


def correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Spearman's; None of fewer than three pairs or of equal ones."""
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(spearmanr(one, other).statistic)
