"""A batch is stopped, cancelled, paused, abandoned, or shared: nothing half-written, no thread and no lock left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from napari_ganseg.batch import CaseResult, segment_folder
from napari_ganseg.io.lock import Lock, take
from napari_ganseg.run import Run

Scan = Callable[..., Path]
Segment = Callable[..., tuple[CaseResult, ...]]


@pytest.fixture(autouse=True)
def tidy(out: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test does, no thread, lock or temporary file is left."""
    monkeypatch.setattr("napari_ganseg.batch.load.POLL_S", 0.02)
    yield
    assert not [t.name for t in threading.enumerate() if t.name.startswith("ganseg")]
    assert not [p.name for p in out.rglob("*") if p.suffix == ".lock" or ".tmp-" in p.name]


@pytest.fixture
def run(scan: Scan, scans: Path, out: Path, model: Path) -> Run[tuple[CaseResult, ...]]:
    """A batch of four cases that nobody has begun."""
    for name in "abcd":
        scan(f"{name}.nii", (20, 21, 22))
    return segment_folder(scans, out, model, device="cpu")


def statuses(run: Run[tuple[CaseResult, ...]]) -> list[str]:
    return [result.status for result in run.result]


def until(run: Run[tuple[CaseResult, ...]], words: str) -> None:
    """Iterate until the progress says so."""
    next(p for p in run if words in p.doing)


def test_stop_ends_after_the_case_under_way(run: Run[tuple[CaseResult, ...]]) -> None:
    until(run, "b.nii.gz: segmenting 1")
    run.stop()
    assert statuses(run) == ["done", "done", "cancelled", "cancelled"]
    assert run.result[2].cause == "Not begun: the batch was ended before. Run it again to go on."


def test_cancel_gives_up_the_case_under_way_and_keeps_those_done(run: Run[tuple[CaseResult, ...]], out: Path) -> None:
    until(run, "b.nii.gz: segmenting 1")
    run.cancel()
    assert statuses(run) == ["done", "cancelled", "cancelled", "cancelled"]
    assert run.result[1].cause == "Cancelled while it was computed; nothing of it was kept."
    assert sorted(p.name for p in out.iterdir()) == ["a.json", "a.nii.gz", "manifest.jsonl"]


def test_a_run_cancelled_before_it_began_does_nothing(run: Run[tuple[CaseResult, ...]]) -> None:
    run.cancel()
    assert statuses(run) == ["cancelled"] * 4


def test_what_was_cancelled_is_done_the_next_time(run: Run[tuple[CaseResult, ...]], segment: Segment) -> None:
    until(run, "c.nii.gz: segmenting 1")
    run.cancel()
    assert statuses(run)[:2] == ["done", "done"]
    assert [r.status for r in segment()] == ["skipped", "skipped", "done", "done"]


def test_a_run_that_nobody_iterates_any_more_lets_go_of_everything(run: Run[tuple[CaseResult, ...]]) -> None:
    until(run, "b.nii.gz: segmenting 1")
    run._steps.close()


def test_a_fault_of_the_caller_lets_go_of_everything(scan: Scan, scans: Path, out: Path, model: Path) -> None:
    def iterate() -> None:
        for progress in segment_folder(scans, out, model, device="cpu"):
            if "segmenting" in progress.doing:
                raise KeyboardInterrupt

    scan("a.nii")
    with pytest.raises(KeyboardInterrupt):
        iterate()


def test_a_paused_batch_waits(run: Run[tuple[CaseResult, ...]]) -> None:
    until(run, "a.nii.gz: segmenting 1")
    run.pause()
    threading.Timer(0.3, run.resume).start()
    begun = time.monotonic()
    until(run, "a.nii.gz: segmenting 2")
    assert time.monotonic() - begun > 0.2
    assert statuses(run) == ["done"] * 4


def hold(out: Path, name: str) -> Lock:
    """Hold a case as another process would."""
    out.mkdir(exist_ok=True)
    lock = take(out / f"{name}.lock")
    assert isinstance(lock, Lock)
    return lock


def test_a_case_that_another_holds_is_said_and_come_back_to(run: Run[tuple[CaseResult, ...]], out: Path) -> None:
    lock, said = hold(out, "a"), []
    for progress in run:
        said.append(progress.doing)
        if progress.case and progress.case.name == "d":
            lock.release()
    assert f"a.nii.gz is held by {lock.holder}; coming back to it" in said
    assert statuses(run) == ["done"] * 4
    assert [r.name for r in run.result] == ["a", "b", "c", "d"]


def test_what_the_other_has_done_meanwhile_is_skipped(
    run: Run[tuple[CaseResult, ...]], segment: Segment, out: Path
) -> None:
    segment()
    lock = hold(out, "a")
    threading.Timer(0.2, lock.release).start()
    assert statuses(run) == ["skipped"] * 4


def test_patience_ends(scan: Scan, segment: Segment, out: Path) -> None:
    scan("a.nii")
    lock = hold(out, "a")
    (result,) = segment(patience_s=0.1)
    lock.release()
    assert result.cause == f"It is still held by {lock.holder}. If that has ended, delete a.lock and run again."


@pytest.mark.parametrize("how", ["stop", "cancel"])
def test_waiting_for_another_ends_at_once(scan: Scan, scans: Path, out: Path, model: Path, how: str) -> None:
    scan("a.nii")
    lock = hold(out, "a")
    run = segment_folder(scans, out, model, device="cpu")
    until(run, "is held by")
    getattr(run, how)()
    assert statuses(run) == ["cancelled"]
    lock.release()


def test_a_scan_is_read_while_another_is_computed(
    run: Run[tuple[CaseResult, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_ganseg.batch import load

    read, seen = load.read_scan, []

    def noting(case: object, **options: object) -> object:
        seen.append(case)
        return read(case, **options)

    monkeypatch.setattr(load, "read_scan", noting)
    until(run, "a.nii.gz: segmenting 1")
    time.sleep(0.3)
    assert len(seen) == 2
    run.cancel()
    assert statuses(run) == ["cancelled"] * 4
