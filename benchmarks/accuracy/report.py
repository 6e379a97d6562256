"""The report on the stored runs: a page with tables and pictures, and whether the claim on few labels holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.accuracy.arms import WHAT
from benchmarks.accuracy.claim import Claim, claims_of, runs_wait
from benchmarks.accuracy.plots import can_plot, plot
from benchmarks.accuracy.results import PLAIN_ARM, Results, of_study
from benchmarks.accuracy.runs import RECORD, Line
from benchmarks.accuracy.studies import FEW, LAST, Study
from benchmarks.accuracy.studies import studies as known_studies
from benchmarks.accuracy.tables import budget_tables, table
from benchmarks.record import lines

PAGE = Path("docs/benchmarks/accuracy.md")
OPENING = """\
# What the adversary is worth at few labels

Does a discriminator, or do scans without labels, make a segmentation better where few patients are labelled? All arms
have the same network, steps, order of the data and augmentation; the last average of the weights counts, no checkpoint
is picked. Fold 0 of the patients is the test, which chose nothing here, fold 1 calibrates, and the labelled patients
are random subsets of the others, nested over the budgets and drawn anew by every seed. Equal time is the plain network
for as many processor seconds as the costliest arm took. Differences are paired by seed and patient; their 95 %
intervals come from a hierarchical bootstrap over seeds and patients. *helps* and *hurts*: the interval excludes zero
and the mean is at least 0.005 Dice; *no difference*: all of the interval lies within 0.005 Dice; *undecided*:
everything else. Figures are means over patients, then seeds; surface Dice at 1 mm; millimetres are those of the files,
of a picture one a pixel. "lambda > 0" is the share of the steps after the warm-up in which the first discriminator
spoke, the gradient ratio how loud it was (median of lambda times the gradient of its loss over that of the labels', at
the last layer). AUROC is its own on calibration patients, which always shows it true pairs, also where it learnt from
shuffled ones. Negative results stay in.

The longer studies came after the test figures of the short ones had been seen. They ask the same of networks that had
more steps, and of the mean teacher alone, which calibration chose in both short ones.

```bash
export GANSEG_DATA=...                     # the folder of the project's data
python -m benchmarks.accuracy --run        # every run that is not in accuracy.jsonl, one after the other
python -m benchmarks.accuracy --report     # this page
```
"""


def report(studies: Sequence[str], record: Path = RECORD, page: Path = PAGE) -> int:
    """Write and print the page; 0 where the claim on few labels holds on every data set."""
    stored = lines(record)
    chosen = [known_studies()[name] for name in studies]
    claims = claims_of(chosen, stored)
    page.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(written(chosen, stored, claims, page))
    page.write_text(text, encoding="utf-8")
    print(text)
    if not can_plot():
        print("Without pictures: matplotlib is not installed, and the project does not depend on it.")
    holds = all(claim.holds for claim in claims)
    print(f"few labels ({FEW}): {'; '.join(map(str, claims))}: {'holds' if holds else 'does not hold'}")
    return 0 if holds else 1


def written(studies: Sequence[Study], stored: Sequence[Line], claims: Sequence[Claim], page: Path) -> Iterator[str]:
    """Lines of the page."""
    yield OPENING
    yield from made_on([line for line in stored if line["study"] in {study.name for study in studies}])
    yield from ("## Arms", "")
    yield from table(("arm", "what it adds"), list(WHAT.items()))
    yield from ("", f"## Few labels ({FEW} patients)", "")
    yield from claim_lines(claims)
    for study in studies:
        yield from study_lines(study, of_study(study, stored), page)


def made_on(stored: Sequence[Line]) -> Iterator[str]:
    """Seeds, machines and days of the stored runs."""
    seeds = ", ".join(map(str, sorted({line["seed"] for line in stored})))
    machines = "; ".join(sorted({line["machine"] for line in stored}))
    days = sorted(line["date"] for line in stored)
    if stored:
        when = " to ".join(sorted({days[0], days[-1]}))
        yield from (f"{len(stored)} runs, seeds {seeds}, {when}, on: {machines}.", "")


def claim_lines(claims: Sequence[Claim]) -> Iterator[str]:
    """What was chosen on every data set, and whether its claim holds."""
    yield "The setting of a data set is the arm, with an adversary or unlabelled scans, and the number of steps that is"
    yield f"best on the calibration patients. The claim holds where its test Dice less that of *{PLAIN_ARM}* at equal"
    yield "steps has an interval above zero and all runs are done."
    yield ""
    rows = [
        (c.data, c.setting or "-", str(c.gain or "-"), str(c.over_time or "-"),
         runs_wait(c.waiting) if c.waiting else "holds" if c.holds else "does not hold")
        for c in claims
    ]  # fmt: skip
    yield from table(("data", "setting", f"test Dice less {PLAIN_ARM}", f"less {LAST}", "claim"), rows)


def study_lines(study: Study, results: Sequence[Results], page: Path) -> Iterator[str]:
    """A study's picture and tables."""
    yield from ("", f"## {study.name.capitalize()}", "")
    every = [line for budget in results for line in budget.lines]
    if not every:
        yield "No run is stored yet."
        return
    counts = [len(every[-1][fold]) for fold in ("test", "calibration")]
    yield f"{counts[0]} test patients, {counts[1]} for calibration; {study.config.card.dims}D,"
    yield f"{every[-1]['parameters']:,} parameters; {study.config.steps} steps at a batch of {study.config.batch_size}."
    yield ""
    if can_plot():
        picture = page.with_name(f"{page.stem}-{study.name}.png")
        plot(results, picture)
        yield from (f"![Differences of test Dice, {study.name}]({picture.name})", "")
    for budget in results:
        yield from budget_tables(budget)
