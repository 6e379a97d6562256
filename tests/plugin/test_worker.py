"""The worker: a flood of progress does not reach the viewer, and what nobody iterates any more comes to its end."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path

import pytest

from napari_ganseg.batch import CaseResult
from napari_ganseg.plugin.worker import Work, unhurried
from napari_ganseg.run import Controls, Progress, Run

CASE = CaseResult("a", Path("a.nii"), Path("out/a.nii.gz"), "done")


def flood(controls: Controls) -> Generator[Progress, None, None]:
    """Progress as fast as it goes, a case now and then."""
    for done in range(10_000):
        yield Progress(done, 10_000, case=CASE if done % 1000 == 0 else None)


def test_flood_of_progress_is_thinned_and_no_case_is_lost() -> None:
    begun = time.monotonic()
    told = list(unhurried(Run(flood)))
    assert sum(progress.case is CASE for progress in told) == 10
    assert len(told) <= 10 + 2 + (time.monotonic() - begun) / 0.05


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_abandoned_run_comes_to_its_end(steps: int) -> None:
    ended = []

    def work(controls: Controls) -> Generator[Progress, None, None]:
        try:
            while True:
                controls.check()
                yield Progress(0, 1, case=CASE)
        finally:
            ended.append(True)

    job = Work(lambda: Run(work), print, "Test", is_ours=True)
    iterator = job.steps()
    for _ in range(steps):
        next(iterator)
    job.abandon()
    assert ended == [True] * (steps > 1)
