"""Results as markdown tables: what every arm reached, and what is the adversary's own share of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.accuracy.arms import WITH_CRITIC
from benchmarks.accuracy.results import PLAIN_ARM, Results, verdict

HEADINGS = (
    "arm", "seeds done", "calibration Dice", "test Dice", "HD95 mm", "surface Dice", "CPU s", "lambda > 0",
    "gradient ratio", "AUROC", f"test Dice less {PLAIN_ARM}", "verdict",
)  # fmt: skip
OWN = (("adversary", PLAIN_ARM), ("adversary", "shuffled pairs"), ("both", "mean teacher"))
NOTHING = "-"


def budget_tables(results: Results) -> Iterator[str]:
    """Lines of markdown for one budget of labels."""
    yield from (f"### {results.labels} labelled patients", "")
    yield from table(HEADINGS, [row(results, arm) for arm in results.arms])
    yield ""
    rows = [
        [f"{arm} less {other}", *compared(results, arm, other)] for arm, other in OWN if {arm, other} <= {*results.arms}
    ]
    if rows:
        yield from ("#### The adversary's own share", "")
        yield from table(("difference", "test Dice", "verdict"), rows)
        yield ""


def row(results: Results, arm: str) -> list[str]:
    """One arm."""
    judged = arm in WITH_CRITIC
    return [
        arm,
        f"{len(results.runs(arm))} of {results.study.seeds}",
        shown(results.mean(arm, "calibration", "dice"), ".4f"),
        shown(results.mean(arm, "test", "dice"), ".4f"),
        shown(results.mean(arm, "test", "hd95_mm"), ".2f"),
        shown(results.mean(arm, "test", "nsd"), ".4f"),
        shown(results.mean_field(arm, "cpu_s"), ".0f"),
        shown(results.mean_field(arm, "lambda_share") if judged else None, ".0%"),
        shown(results.mean_field(arm, "gradient_ratio"), ".3f"),
        shown(results.mean_field(arm, "auroc"), ".3f"),
        *([NOTHING] * 2 if arm == PLAIN_ARM else compared(results, arm, PLAIN_ARM)),
    ]


def compared(results: Results, arm: str, other: str) -> list[str]:
    """A paired difference with its interval, and its verdict."""
    difference, seeds = results.difference(arm, other), len(results.shared_seeds(arm, other))
    if difference is None:
        return [NOTHING, "waits"]
    few = f", {seeds} of {results.study.seeds} seeds" if seeds < results.study.seeds else ""
    return [f"{difference}{few}", verdict(difference)]


def shown(value: float | None, form: str) -> str:
    """A number, or that there is none."""
    return NOTHING if value is None else format(value, form)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a markdown table."""
    for cells in (headings, ["---"] * len(headings), *rows):
        yield f"| {' | '.join(cells)} |"
