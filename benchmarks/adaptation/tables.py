"""One study as markdown tables: its scanners, what every arm reached, own shares, what users end up with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.accuracy.results import verdict
from benchmarks.accuracy.tables import NOTHING as ABSENT
from benchmarks.accuracy.tables import shown, table
from benchmarks.adaptation.claims import OWN
from benchmarks.adaptation.decisions import Decided, tally
from benchmarks.adaptation.differences import Table, interval, mean, worst
from benchmarks.adaptation.product import Outcome, changes, outcomes
from benchmarks.adaptation.results import NOTHING, Results
from benchmarks.adaptation.scanners import SCANNERS, STRONG
from benchmarks.adaptation.studies import ADAPTING, ARMS

HEADINGS = (
    "arm", "what it adds", "seeds done", "Dice, new scanner", f"less {NOTHING}", "loss recovered", "Dice, source",
    f"less {NOTHING}", "worst seed", "CPU s", "lambda2 > 0", "D2 accuracy",
)  # fmt: skip
ENDS = ("scanner", "seed", "audit", "what came of it", "Dice, new scanner", "change", "change of the source")
SHARES = {
    "The adversary's own share": (OWN, ("adversary alone", "same steps")),
    "The teacher's own share": (("teacher", "restyle"),),
    "Restyling's own share": (("restyle", "same steps"),),
}


def study_tables(results: Results) -> Iterator[str]:
    """Lines of markdown for a study."""
    yield from ("### Scanners", "")
    headings = ("scanner", "what it does", "severity", "Dice lost, calibration", "Dice lost, test")
    yield from table(headings, [scanner_row(results, scanner) for scanner in SCANNERS])
    for scanner in STRONG:
        yield from ("", f"### Arms: {scanner}", "")
        yield from table(HEADINGS, [arm_row(results, scanner, arm) for arm in ARMS])
    for title, pairs in SHARES.items():
        yield from ("", f"### {title}", "")
        rows = [row for pair in pairs for row in share_rows(results, *pair)]
        yield from table(("difference", "scanner", "Dice, new scanner", "verdict"), rows)
    yield from ("", "### What the user ends up with", "")
    yield from table(ENDS, [outcome_row(results, outcome) for outcome in outcomes(results)])


def scanner_row(results: Results, scanner: str) -> list[str]:
    """One scanner."""
    found, what = results.severity(scanner), SCANNERS[scanner].what
    if found is None:
        return [scanner, what, ABSENT, ABSENT, ABSENT]
    severity = found["severity"]
    lost = found["losses"][str(severity)]
    return [scanner, what, str(severity), f"{lost:.4f}", shown(results.loss(scanner), ".4f")]


def arm_row(results: Results, scanner: str, arm: str) -> list[str]:
    """One arm under one scanner."""
    gained, runs = results.difference(scanner, arm), results.runs(scanner, arm)
    kept = mean(results.difference(scanner, arm, part="source"))
    is_base, options = arm == NOTHING, ARMS[arm][1]
    has_adversary = options is not None and options.adversary > 0
    share = results.mean_field(scanner, arm, "lambda2_share") if has_adversary else None
    return [
        arm,
        ARMS[arm][0],
        f"{len(runs)} of {1 if is_base else results.study.seeds}",
        shown(mean(results.dices(scanner, arm, "target")), ".4f"),
        ABSENT if is_base else str(interval(gained) or ABSENT),
        ABSENT if is_base else shown(results.recovered(scanner, mean(gained)), ".0%"),
        shown(mean(results.dices(scanner, arm, "source")), ".4f"),
        ABSENT if is_base else shown(kept, "+.4f"),
        ABSENT if is_base else shown(worst(gained), "+.4f"),
        shown(results.mean_field(scanner, arm, "cpu_s"), ".0f"),
        shown(share, ".0%"),
        shown(results.mean_field(scanner, arm, "d2_accuracy"), ".3f"),
    ]


def share_rows(results: Results, arm: str, other: str) -> Iterator[list[str]]:
    """An arm less another under every strong scanner, and in the mean over them."""
    for scanner in STRONG:
        yield share_row(results, f"{arm} less {other}", scanner, results.difference(scanner, arm, other))
    yield share_row(results, f"{arm} less {other}", "mean over them", results.over_scanners(arm, other))


def share_row(results: Results, what: str, scanner: str, gained: Table) -> list[str]:
    """A difference with its interval, and its verdict."""
    found, seeds = interval(gained), len(gained)
    if found is None:
        return [what, scanner, ABSENT, "waits"]
    few = f", {seeds} of {results.study.seeds} seeds" if seeds < results.study.seeds else ""
    return [what, scanner, f"{found}{few}", verdict(found)]


def outcome_row(results: Results, outcome: Outcome) -> list[str]:
    """What came of one attempt to adapt."""
    scanner, seed = outcome.scanner, outcome.seed
    change, forgotten = (of_seed(changes(results, scanner, part), seed) for part in ("target", "source"))
    before = of_seed(results.dices(scanner, NOTHING, "target"), seed)
    after = None if before is None or change is None else before + change
    return [
        scanner, str(seed), outcome.verdict, outcome.end,
        shown(after, ".4f"), shown(change, "+.4f"), shown(forgotten, "+.4f"),
    ]  # fmt: skip


def of_seed(figures: Table, seed: int) -> float | None:
    """The mean over the patients of a seed."""
    return mean({seed: figures[seed]}) if seed in figures else None


def decision_table(decisions: Sequence[Decided]) -> Iterator[str]:
    """How good the decisions are, arm by arm and in all."""
    headings = (
        "arm", "decisions", "truly worse", "of them accepted", "truly better", "of them rejected",
        "rank correlation of imitated and true gain",
    )  # fmt: skip
    groups = {arm: [d for d in decisions if d.arm == arm] for arm in ADAPTING} | {"all": list(decisions)}
    yield from table(headings, [decision_row(arm, group) for arm, group in groups.items()])


def decision_row(arm: str, decisions: Sequence[Decided]) -> list[str]:
    """One arm's."""
    t = tally(decisions)
    return [
        arm, str(t.decisions), str(t.worse), rated(t.accepted_worse, t.worse),
        str(t.better), rated(t.rejected_better, t.better), shown(t.correlation, ".2f"),
    ]  # fmt: skip


def rated(count: int, whole: int) -> str:
    """A count and its share."""
    return f"{count} ({count / whole:.0%})" if whole else str(count)
