"""Run what is missing of the studies, or report on what is stored.

python -m benchmarks.accuracy --list                      # what waits
python -m benchmarks.accuracy --run                       # work it off, run by run; several may do so at once
python -m benchmarks.accuracy --run --study heart --minutes 30
python -m benchmarks.accuracy --report                    # tables, intervals, plots; exits 0 when the claims hold
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Sequence

from benchmarks.accuracy.runs import Entry, carry_out, claimed, waiting
from benchmarks.accuracy.studies import LAST, all_cases, studies
from napari_ganseg.errors import GansegError
from napari_ganseg.io.lock import Lock


def main(arguments: Sequence[str] | None = None) -> int:
    """List, run or report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=(__doc__ or "").splitlines()[0])
    wish = parser.add_mutually_exclusive_group(required=True)
    for name in ("list", "run", "report"):
        wish.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--study", choices=sorted(studies()), action="append")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after so many")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore")
    chosen = options.study or list(studies())
    if options.report:
        from benchmarks.accuracy.report import report

        return report(chosen)
    if options.list:
        left = waiting([studies()[name] for name in chosen])
        print(*(entry.name for entry in left), f"{len(left)} runs wait", sep="\n")
        return 0
    return work(chosen, options.minutes)


def work(chosen: Sequence[str], minutes: float) -> int:
    """Carry out what waits, one by one; 0 unless a run failed."""
    import torch

    torch.set_num_threads(1)
    end = time.monotonic() + 60 * minutes
    failed: set[Entry] = set()
    while time.monotonic() < end:
        entry, lock = next_entry(chosen, failed)
        if entry is None or lock is None:
            break
        study = studies()[entry.study]
        try:
            line = carry_out(entry, study, all_cases(study.folder))
            mean = sum(case["dice"] for case in line["calibration"].values()) / len(line["calibration"])
            print(f"{entry.name}: calibration {mean:.4f}, {line['cpu_s']:.0f} s", flush=True)
        except GansegError as error:
            failed.add(entry)
            print(f"{entry.name}: {error}", file=sys.stderr)
        finally:
            lock.release()
    return 1 if failed else 0


def next_entry(chosen: Sequence[str], failed: set[Entry]) -> tuple[Entry | None, Lock | None]:
    """The first run that nobody works on, and the lock on it; equal time only once the other arms are done."""
    left = waiting([studies()[name] for name in chosen])
    for entry in left:
        others = [e for e in left if (e.study, e.labels, e.seed) == (entry.study, entry.labels, entry.seed)]
        if entry in failed or (entry.arm == LAST and len(others) > 1):
            continue
        if lock := claimed(entry):
            return entry, lock
    return None, None


if __name__ == "__main__":
    raise SystemExit(main())
