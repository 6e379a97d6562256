"""Run what is missing of the studies of adapting, or report on what is stored.

python -m benchmarks.adaptation --list                    # what waits
python -m benchmarks.adaptation --run                     # work it off, run by run; several may do so at once
python -m benchmarks.adaptation --run --study heart --minutes 30
python -m benchmarks.adaptation --report                  # tables, intervals; exits 0 when the claims hold
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Sequence

from benchmarks.adaptation.runs import FOLDER, SEVERITY, Entry, carry_out, waiting
from benchmarks.adaptation.studies import studies
from napari_ganseg.errors import GansegError
from napari_ganseg.io.lock import Lock, take


def main(arguments: Sequence[str] | None = None) -> int:
    """List, run or report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adaptation", description="Adapting without labels.")
    wish = parser.add_mutually_exclusive_group(required=True)
    for name in ("list", "run", "report"):
        wish.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--study", choices=sorted(studies()), action="append")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after so many")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore")
    chosen = options.study or list(studies())
    if options.report:
        from benchmarks.adaptation.report import report

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
        try:
            for line in carry_out(entry, studies()[entry.study]):
                print({k: v for k, v in line.items() if k not in ("command", "machine", "date")}, flush=True)
        except GansegError as error:
            failed.add(entry)
            print(f"{entry.name}: {error}", file=sys.stderr)
        finally:
            lock.release()
    return 1 if failed else 0


def next_entry(chosen: Sequence[str], failed: set[Entry]) -> tuple[Entry | None, Lock | None]:
    """The first run that nobody works on, and the lock on it; severities come before all else of a study."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    left = waiting([studies()[name] for name in chosen])
    unready = {entry.study for entry in left if entry.arm == SEVERITY}
    for entry in left:
        if entry in failed or (entry.study in unready and entry.arm != SEVERITY):
            continue
        if isinstance(lock := take(FOLDER / f"{entry.name}.lock"), Lock):
            return entry, lock
    return None, None


if __name__ == "__main__":
    raise SystemExit(main())
