"""Run what is missing of the studies of adapting, or report on what is stored.

python -m benchmarks.adaptation --list                    # what waits
python -m benchmarks.adaptation --run                     # work it off, run by run; several may do so at once
python -m benchmarks.adaptation --run --study heart --minutes 30
python -m benchmarks.adaptation --report                  # tables, intervals; exits 0 when the claims hold
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.adaptation.runs import FOLDER, Entry, carry_out, ready, waiting
from benchmarks.adaptation.studies import studies
from benchmarks.work import listed, wish, work

UNTOLD = ("command", "machine", "date")


def main(arguments: Sequence[str] | None = None) -> int:
    """List, run or report."""
    options = wish(arguments, "benchmarks.adaptation", __doc__, studies())
    chosen = [studies()[name] for name in options.study or studies()]
    if options.report:
        from benchmarks.adaptation.report import report

        return report([study.name for study in chosen])
    if options.list:
        return listed(waiting(chosen))
    return work(lambda: ready(chosen), carried_out, FOLDER, options.minutes)


def carried_out(entry: Entry) -> str:
    """Carry out a run; its lines."""
    made = carry_out(entry, studies()[entry.study])
    return "\n".join(str({k: v for k, v in line.items() if k not in UNTOLD}) for line in made)


if __name__ == "__main__":
    raise SystemExit(main())
