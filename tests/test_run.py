"""A Run: iterated, paused, stopped, cancelled, failed."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from napari_ganseg.errors import Cancelled, FileError
from napari_ganseg.run import Controls, Progress, Run


def counting(controls: Controls) -> Generator[Progress, None, str]:
    """Ten steps; says how far it came."""
    done = 0
    while done < 10 and not controls.is_stopping:
        controls.check()
        done += 1
        yield Progress(done, 10)
    return f"{done} steps"


def failing(controls: Controls) -> Generator[Progress, None, str]:
    yield Progress(1, 10)
    raise FileError("the disk is full")


def test_nothing_happens_before_someone_iterates() -> None:
    began = []

    def work(controls: Controls) -> Generator[Progress, None, None]:
        began.append(1)
        yield Progress(1, 1)

    run = Run(work)
    assert not began
    next(iter(run))
    assert began


def test_iterating_gives_every_step_and_then_the_result() -> None:
    run = Run(counting)
    assert [p.done for p in run] == list(range(1, 11))
    assert run.result == "10 steps"


def test_asking_for_the_result_runs_to_the_end() -> None:
    assert Run(counting).result == "10 steps"


def test_iterating_goes_on_where_it_was_left() -> None:
    run = Run(counting)
    assert next(iter(run)).done == 1
    assert [p.done for p in run] == list(range(2, 11))
    assert list(run) == []


def test_a_result_of_none_is_a_result() -> None:
    def nothing(controls: Controls) -> Generator[Progress, None, None]:
        yield Progress(1, 1)

    run = Run(nothing)
    assert run.result is None
    assert run.result is None


def test_stop_keeps_what_there_is() -> None:
    run = Run(counting)
    for progress in run:
        if progress.done == 3:
            run.stop()
    assert run.result == "3 steps"


def test_cancel_keeps_nothing_and_says_so_each_time() -> None:
    run = Run(counting)
    next(iter(run))
    run.cancel()
    with pytest.raises(Cancelled, match="nothing was kept"):
        list(run)
    with pytest.raises(Cancelled, match="nothing was kept"):
        _ = run.result


def test_a_fault_passes_through_and_is_no_result_later() -> None:
    run = Run(failing)
    with pytest.raises(FileError, match="disk is full"):
        list(run)
    with pytest.raises(FileError, match="disk is full"):
        _ = run.result


@pytest.mark.parametrize("release", ["resume", "stop", "cancel"])
def test_a_paused_run_holds_until_it_is_released(release: str) -> None:
    run, seen, ended = Run(counting), [], threading.Event()

    def iterate() -> None:
        try:
            seen.extend(run)
        except Cancelled:
            seen.append(None)
        ended.set()

    next(iter(run))
    run.pause()
    thread = threading.Thread(target=iterate)
    thread.start()
    assert not ended.wait(0.2)
    getattr(run, release)()
    assert ended.wait(10)
    thread.join()
    assert len(seen) == {"resume": 9, "stop": 1, "cancel": 1}[release]


def test_progress_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Progress(1, 2).done = 3  # type: ignore[misc]


def test_a_run_that_was_interrupted_has_no_result() -> None:
    def interrupted(_: Controls) -> Generator[Progress, None, str]:
        yield Progress(1, 10)
        raise KeyboardInterrupt

    run = Run(interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(run)
    with pytest.raises(Cancelled, match="Interrupted"):
        _ = run.result
