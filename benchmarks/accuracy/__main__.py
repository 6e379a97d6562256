"""Run what is missing of the studies, or report on what is stored.

python -m benchmarks.accuracy --list                      # what waits
python -m benchmarks.accuracy --run                       # work it off, run by run; several may do so at once
python -m benchmarks.accuracy --run --study heart --minutes 30
python -m benchmarks.accuracy --report                    # tables, intervals, plots; exits 0 when the claims hold
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.accuracy.runs import FOLDER, Entry, carry_out, ready, waiting
from benchmarks.accuracy.studies import all_cases, studies
from benchmarks.work import listed, wish, work


def main(arguments: Sequence[str] | None = None) -> int:
    """List, run or report."""
    options = wish(arguments, "benchmarks.accuracy", __doc__, studies())
    chosen = [studies()[name] for name in options.study or studies()]
    if options.report:
        from benchmarks.accuracy.report import report

        return report([study.name for study in chosen])
    if options.list:
        return listed(waiting(chosen))
    return work(lambda: ready(chosen), carried_out, FOLDER, options.minutes)


def carried_out(entry: Entry) -> str:
    """Carry out a run; what came of it on the calibration patients alone: nobody shall tune on the test."""
    study = studies()[entry.study]
    line = carry_out(entry, study, all_cases(study.folder))
    mean = sum(case["dice"] for case in line["calibration"].values()) / len(line["calibration"])
    return f"calibration {mean:.4f}, {line['cpu_s']:.0f} s"


if __name__ == "__main__":
    raise SystemExit(main())
