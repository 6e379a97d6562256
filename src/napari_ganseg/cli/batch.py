"""napari-ganseg segment FOLDER OUT: every scan of a folder, the broken ones named, a table at the end."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_ganseg.batch import CaseResult
    from napari_ganseg.run import Run

BY_SIGNAL = {signal.SIGINT: 130, signal.SIGTERM: 143}


def run(options: argparse.Namespace) -> int:
    """Segment a folder; 0 all done, 3 some failed, 4 none done, 130 or 143 interrupted."""
    from napari_ganseg.batch import exit_code, segment_folder

    work = segment_folder(
        options.scan,
        options.labels,
        options.model if len(options.model) > 1 else options.model[0],
        cluster=options.cluster,
        patterns=tuple(options.pattern),
        follow=options.follow,
        overwrite=options.overwrite,
        frame=options.frame,
        device=options.device,
        strict=options.strict,
        precision=options.precision,
        cpu_fallback=options.cpu_fallback,
    )
    with cancelling(work) as received:
        results = watched(work)
    print_end(results, options.labels)
    if not received:
        print_report(results, options.labels)
    return BY_SIGNAL[received[0]] if received else exit_code(results)


def watched(work: Run[tuple[CaseResult, ...]]) -> tuple[CaseResult, ...]:
    """Run to the end with a bar, a line for each case above it."""
    from tqdm import tqdm

    with tqdm(disable=None, leave=False, dynamic_ncols=True) as bar:
        for progress in work:
            bar.total = progress.total or None
            bar.set_description(progress.doing, refresh=False)
            bar.update(progress.done - bar.n)
            if progress.case is not None:
                bar.write(in_words(progress.case), file=sys.stderr if progress.case.status == "failed" else sys.stdout)
    return work.result


def in_words(case: CaseResult) -> str:
    """One case in one line."""
    from napari_ganseg.io.names import shown

    if case.status == "failed":
        return f"FAILED  {shown(case.name)}: {case.cause}"
    volumes = ", ".join(f"{name} {ml:.4g} mL" for name, ml in case.volumes_ml.items() if ml)
    return f"{case.status:<7} {shown(case.name)}: {volumes or case.cause or 'nothing found'}"


def print_end(results: Sequence[CaseResult], out: Path) -> None:
    """How many of each, and where they are."""
    counts = {status: sum(r.status == status for r in results) for status in ("done", "skipped", "failed", "cancelled")}
    print(", ".join(f"{n} {status}" for status, n in counts.items() if n) + f"; see {out}")


def print_report(results: Sequence[CaseResult], out: Path) -> None:
    """Write the report and say where it is; the batch is not undone because that fails."""
    from napari_ganseg.errors import GansegError
    from napari_ganseg.report import write_report

    try:
        print(f"report: {write_report(out, results)}")
    except GansegError as error:
        print(f"no report: {error}", file=sys.stderr)


@contextmanager
def cancelling(work: Run[Any]) -> Iterator[list[signal.Signals]]:
    """On Ctrl-C or a termination cancel the work, so that no case is left half-written; gives what was received."""
    received: list[signal.Signals] = []

    def cancel(number: int, _: object) -> None:
        received.append(signal.Signals(number))
        work.cancel()

    before = {kind: signal.signal(kind, cancel) for kind in BY_SIGNAL}
    try:
        yield received
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
