"""What is claimed of adapting without labels, and whether the stored runs bear it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.accuracy.bootstrap import Interval
from benchmarks.accuracy.results import verdict
from benchmarks.adaptation.differences import interval, mean
from benchmarks.adaptation.product import ALIKE, FAR, KEPT, Outcome, changes, stray, under
from benchmarks.adaptation.results import NOTHING, Part, Results
from benchmarks.adaptation.runs import AUDIT, SEVERITY
from benchmarks.adaptation.scanners import SCANNERS, STRONG
from benchmarks.adaptation.studies import default_arm
from napari_ganseg.adaptation.options import Options

LEAST_WON = 2  # of the strong scanners
MOST_COST = 0.01  # Dice
HALF = 0.5  # of the loss: a goal, not a claim
SAME, INVERTED = "no shift", "inverted"
PLACES: dict[str, Part] = {"": "target", "the source after ": "source"}
OWN = ("adversary", "teacher")  # the adversary's own share is the first less the second


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim.

    Attributes:
        found: the figures, in words.
        fault: why it does not hold; empty where it does.
        waiting: runs that it needs and that are not stored.
    """

    what: str
    found: str
    fault: str
    waiting: int

    @property
    def holds(self) -> bool:
        """Whether all runs are there and speak for it."""
        return not self.waiting and not self.fault

    @property
    def state(self) -> str:
        """Whether it holds, in words."""
        if self.waiting:
            so_far = f" (so far: {self.fault})" if self.fault else ""
            return f"waits for {self.waiting} run{'s' * (self.waiting > 1)}{so_far}"
        return f"does not hold: {self.fault}" if self.fault else "holds"

    def __str__(self) -> str:
        return f"{self.what}: {self.state}. {self.found}"


def claims_of(every: Sequence[Results]) -> list[Claim]:
    """All claims, study by study, and the one on the default."""
    by_study = [claim for results in every for claim in (gain(results), cost(results), same(results), far(results))]
    return [*by_study, default(every)]


def gain(results: Results) -> Claim:
    """Adapting beats doing nothing on most strong scanners."""
    gains = gains_of(results)
    won, half = won_on(gains), sum(is_half(results, scanner, gain) for scanner, gain in gains.items())
    told = "; ".join(f"{scanner} {gain or '-'}" for scanner, gain in gains.items())
    return Claim(
        f"{results.study.name}: the product beats doing nothing on {LEAST_WON} or more of {len(STRONG)} new scanners",
        f"{told}; at least half of the loss is recovered on {half} of {len(STRONG)} (goal).",
        "" if won >= LEAST_WON else f"it does on {won}",
        results.waiting(STRONG, needed()),
    )


def gains_of(results: Results) -> dict[str, Interval | None]:
    """What the product gains under every strong scanner."""
    return {scanner: interval(changes(results, scanner, "target")) for scanner in STRONG}


def won_on(gains: dict[str, Interval | None]) -> int:
    """On how many scanners the interval lies above zero."""
    return sum(gain is not None and gain.low > 0 for gain in gains.values())


def is_half(results: Results, scanner: str, gain: Interval | None) -> bool:
    """Whether a gain makes up for half of the loss."""
    share = results.recovered(scanner, gain.mean if gain else None)
    return share is not None and share >= HALF


def needed() -> tuple[str, ...]:
    """The arms that tell what a user ends up with."""
    return SEVERITY, AUDIT, NOTHING, default_arm()


def cost(results: Results) -> Claim:
    """Adapting never costs much, on no scanner and not on the source."""
    costs = costs_of(results)
    faults = [f"{place} {value:+.4f}" for place, value in costs.items() if value < -MOST_COST]
    faults += [f"what came of adapting on {o.scanner}, seed {o.seed}, is not stored" for o in stray(results)]
    lowest = min(costs, key=costs.__getitem__, default="")
    return Claim(
        f"{results.study.name}: the product never costs more than {MOST_COST} Dice",
        f"At worst: {lowest} {costs[lowest]:+.4f}." if costs else "Nothing is known.",
        "; ".join(faults),
        results.waiting(SCANNERS, needed()),
    )


def costs_of(results: Results) -> dict[str, float]:
    """Mean change of the Dice under every scanner, and of the source's, where known."""
    found = {
        f"{name}{scanner}": mean(changes(results, scanner, part))
        for name, part in PLACES.items()
        for scanner in SCANNERS
    }
    return {place: value for place, value in found.items() if value is not None}


def same(results: Results) -> Claim:
    """Nothing is adapted where nothing has changed."""
    return on_every_seed(results, SAME, "nothing is adapted")


def far(results: Results) -> Claim:
    """What cannot be learnt is refused."""
    return on_every_seed(results, INVERTED, "adapting is refused")


def on_every_seed(results: Results, scanner: str, what: str) -> Claim:
    """A claim on every seed under a scanner that nothing should be adapted to."""
    found = under(results, scanner)
    wrong = [f"seed {o.seed}: {o.verdict}, {o.end}" for o in found if not is_right(o)]
    return Claim(
        f"{results.study.name}: on *{scanner}* {what}",
        f"So it is for {len(found) - len(wrong)} of {len(found)} seeds.",
        "; ".join(wrong),
        results.waiting((scanner,), (AUDIT,)),
    )


def is_right(outcome: Outcome) -> bool:
    """Whether an attempt ended as it should under one of these scanners."""
    if outcome.scanner == INVERTED:
        return outcome.verdict == FAR
    return outcome.verdict == ALIKE or outcome.end == KEPT


def default(every: Sequence[Results]) -> Claim:
    """The default uses the adversary where that helps by itself, and only there."""
    shares = own_shares(every)
    words = [verdict(share) for share in shares.values() if share]
    helps, is_used = "helps" in words and "hurts" not in words, Options().adversary > 0
    told = "; ".join(f"{study} {share or '-'}" for study, share in shares.items())
    return Claim(
        "The default uses the adversary if that helps by itself, and not otherwise",
        f"It {'uses' if is_used else 'does not use'} it; the adversary's own share: {told}.",
        "" if helps == is_used else f"by itself it {'helps' if helps else 'does not help'}",
        sum(results.waiting(STRONG, (SEVERITY, *OWN)) for results in every),
    )


def own_shares(every: Sequence[Results]) -> dict[str, Interval | None]:
    """The adversary's own share in every study, in the mean over its scanners."""
    return {results.study.name: interval(results.over_scanners(*OWN)) for results in every}
