"""Bring cases in, one after the other: lock, see whether it is done already, read. Runs in the loader's thread."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from napari_ganseg.batch.case import ScanCase
from napari_ganseg.batch.job import Job
from napari_ganseg.batch.record import Recipe, hashes, why_compute
from napari_ganseg.batch.result import CaseResult, failed
from napari_ganseg.batch.scan import read_scan
from napari_ganseg.batch.work import Loaded, Waiting
from napari_ganseg.errors import FileError
from napari_ganseg.io.atomic import reason
from napari_ganseg.io.labels import read_sidecar
from napari_ganseg.io.names import shown

log = logging.getLogger(__name__)
POLL_S = 0.5  # how often to look whether another process has let go of a case


Item = Loaded | Waiting | CaseResult


def in_turn(cases: Sequence[ScanCase], job: Job) -> Iterator[Item]:
    """Every case once, in order; then those that another process held, when it has let go of them."""
    held: dict[ScanCase, Waiting] = {}
    for case in cases:
        if job.closing.is_set():
            return
        item = load_case(case, job)
        if isinstance(item, Waiting):
            held[case] = item
            log.info("%s is held by %s; coming back to it.", shown(case.output), item.holder)
        yield item
    yield from held_ones(held, job)


def held_ones(held: dict[ScanCase, Waiting], job: Job) -> Iterator[Item]:
    """Cases that another process held, as they become free; failures when patience has ended."""
    deadline = time.monotonic() + job.options.patience_s
    while held:
        for case in list(held):
            item = load_case(case, job)
            if isinstance(item, Waiting):
                held[case] = item
            else:
                del held[case]
                yield item
                deadline = time.monotonic() + job.options.patience_s
        if time.monotonic() > deadline:
            yield from (impatient(waiting) for waiting in held.values())
            return
        if held and job.closing.wait(POLL_S):
            return


def impatient(waiting: Waiting) -> CaseResult:
    """The failure of a case that nobody lets go of."""
    lock = shown(waiting.case.lock)
    words = f"It is still held by {waiting.holder}. If that has ended, delete {lock} and run again."
    return failed(waiting.case, FileError(words))


def load_case(case: ScanCase, job: Job) -> Item:
    """Lock one case and read it; whatever goes wrong is its result. Only what is loaded stays locked."""
    begun = time.perf_counter()
    try:
        if case.fault:
            raise FileError(case.fault)
        make_folder(case.output.parent)
        holder = job.locks.take(case.lock)
        item = Waiting(case, holder) if holder else checked(case, job, begun)
    except Exception as error:  # the edge: one bad case is a result, not an end
        item = failed(case, error, time.perf_counter() - begun)
    if not isinstance(item, Loaded):
        job.locks.release(case.lock)
    return item


def make_folder(folder: Path) -> None:
    """Make a folder and those above it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"Cannot make the folder {shown(folder)}: {reason(error, folder, 0)}") from error


def checked(case: ScanCase, job: Job, begun: float) -> Loaded | CaseResult:
    """The locked case: skipped where its output and record agree with all that is asked, else read."""
    before = fingerprints(case)
    recipe = Recipe(hashes(case.sources), [m.hashed for m in job.models], job.parameters)
    why = why_compute(case, recipe, overwrite=job.options.overwrite)
    if not why:
        return skipped(case, time.perf_counter() - begun)
    volume = read_scan(case, frame=job.options.frame, has_channels=job.has_channels)
    if fingerprints(case) != before:
        raise FileError(f"{shown(case.sources[0])} changed while it was read; run again when it is complete.")
    return Loaded(case, volume, recipe, why, time.perf_counter() - begun)


def fingerprints(case: ScanCase) -> list[tuple[int, int]]:
    """Size and time of a case's files; those that are not there are found missing later."""
    there = [os.stat(source) for source in case.sources if source.exists()]
    return [(status.st_size, status.st_mtime_ns) for status in there]


def skipped(case: ScanCase, seconds: float) -> CaseResult:
    """The result of a case that was done before, with its volumes."""
    sidecar = read_sidecar(case.sidecar)
    notes = tuple(map(str, sidecar.get("notes", ())))
    return CaseResult(case.name, case.sources[0], case.output, "skipped", "", seconds, volumes_in(sidecar), notes)


def volumes_in(sidecar: dict[str, Any]) -> dict[str, float]:
    """Millilitres by class name, as a sidecar lists them."""
    volumes: dict[str, float] = {}
    for entry in sidecar["classes"]:
        volumes[entry["name"]] = volumes.get(entry["name"], 0.0) + float(entry["ml"])
    return volumes
