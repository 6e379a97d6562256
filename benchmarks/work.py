"""Runs that wait, worked off one after the other; several processes may, each taking what no other has."""

from __future__ import annotations

import re
import sys
import time
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from napari_ganseg.errors import GansegError
from napari_ganseg.io.lock import Lock, take

Run = TypeVar("Run", bound=Hashable)


def wish(arguments: Sequence[str] | None, prog: str, doc: str | None, studies: Iterable[str] = ()) -> Namespace:
    """What is asked for: --list, --run or --report, of which studies, for how many minutes."""
    parser = ArgumentParser(prog=f"python -m {prog}", description=(doc or "").splitlines()[0])
    wishes = parser.add_mutually_exclusive_group(required=True)
    for name in ("list", "run", "report"):
        wishes.add_argument(f"--{name}", action="store_true")
    if names := sorted(studies):
        parser.add_argument("--study", choices=names, action="append", default=None)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after so many")
    return parser.parse_args(arguments)


def listed(waiting: Sequence[Run]) -> int:
    """Print what waits."""
    print(*map(name_of, waiting), f"{len(waiting)} runs wait", sep="\n")
    return 0


def work(
    waiting: Callable[[], Sequence[Run]], carry_out: Callable[[Run], str], folder: Path, minutes: float = float("inf")
) -> int:
    """Carry out what waits until nothing is left that nobody works on; 0 unless a run failed.

    Args:
        waiting: runs that may begin now, in their order; asked anew before each. `str` names them, the same each time.
        carry_out: does one, keeps its line, and says what came of it.
        folder: of the locks.
        minutes: after which none begins.
    """
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    end, failed = time.monotonic() + 60 * minutes, set[Run]()
    while time.monotonic() < end and (taken := next_run(waiting, failed, folder)):
        run, lock = taken
        try:
            print(f"{name_of(run)}: {carry_out(run)}", flush=True)
        except GansegError as error:
            failed.add(run)
            print(f"{name_of(run)}: {error}", file=sys.stderr)
        finally:
            lock.release()
    return 1 if failed else 0


def next_run(waiting: Callable[[], Sequence[Run]], failed: set[Run], folder: Path) -> tuple[Run, Lock] | None:
    """The first run that nobody works on, and the lock on it; it still waits once the lock is held."""
    folder.mkdir(parents=True, exist_ok=True)
    for run in waiting():
        if run in failed or not isinstance(lock := take(folder / f"{name_of(run)}.lock"), Lock):
            continue
        if run in waiting():
            return run, lock
        lock.release()
    return None


def name_of(run: object) -> str:
    """A run's name, as a file may be called."""
    return re.sub(r"\W+", "-", str(run)).strip("-")
