"""What a user ends up with: the audit, then the default arm, then its decision; where one refuses, nothing changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.adaptation.differences import Table
from benchmarks.adaptation.results import NOTHING, Part, Results
from benchmarks.adaptation.runs import AUDIT, Line
from benchmarks.adaptation.scanners import SCANNERS, STRONG
from benchmarks.adaptation.studies import default_arm

ADAPT, ALIKE, FAR = "adapt", "nothing to adapt", "too far"
ACCEPTED, KEPT, NOT_RUN = "accepted", "kept", "not run"
WITHOUT = {ALIKE: "untouched", FAR: "refused"}  # verdicts after which nothing is trained


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt to adapt.

    Attributes:
        verdict: of the audit.
        end: "untouched", "refused", "accepted", "kept" or "not run".
    """

    scanner: str
    seed: int
    verdict: str
    end: str


def outcomes(results: Results) -> list[Outcome]:
    """Of every scanner and seed that was audited."""
    return [outcome for scanner in SCANNERS for outcome in under(results, scanner)]


def under(results: Results, scanner: str) -> list[Outcome]:
    """Of every seed that was audited under a scanner."""
    trained = results.runs(scanner, default_arm())
    found = {seed: line["audit"]["verdict"] for seed, line in results.runs(scanner, AUDIT).items()}
    return [Outcome(scanner, seed, verdict, end_of(verdict, trained.get(seed))) for seed, verdict in found.items()]


def end_of(verdict: str, trained: Line | None) -> str:
    """How it ends after a verdict; only where that is to adapt, the training counts."""
    if verdict != ADAPT:
        return WITHOUT[verdict]
    if trained is None:
        return NOT_RUN
    return ACCEPTED if is_accepted(trained) else KEPT


def is_accepted(line: Line) -> bool:
    """Whether the product would take the adapted model."""
    return not line["decision"]["vetoes"]


def changes(results: Results, scanner: str, part: Part) -> Table:
    """What the user's Dice changes by, where it is known."""
    adapted = results.difference(scanner, default_arm(), part=part)
    found: dict[int, Mapping[str, float]] = {}
    for outcome in under(results, scanner):
        if outcome.end == ACCEPTED:
            found[outcome.seed] = adapted.get(outcome.seed, {})
        elif outcome.end != NOT_RUN:
            found[outcome.seed] = dict.fromkeys(patients(results), 0.0)
    return {seed: dict(row) for seed, row in found.items() if row}


def patients(results: Results) -> list[str]:
    """The test patients."""
    rows = [row for scanner in STRONG for row in results.dices(scanner, NOTHING, "source").values()]
    return sorted(rows[0]) if rows else []


def stray(results: Results) -> list[Outcome]:
    """Attempts to adapt to a scanner that needs none, of which nobody measured what came of them."""
    others = [o for o in outcomes(results) if o.scanner not in STRONG and o.end in (NOT_RUN, ACCEPTED)]
    return [o for o in others if o.seed not in changes(results, o.scanner, "target")]
