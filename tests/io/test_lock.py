"""A lock: one holder at a time, and none that is dead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from napari_ganseg.errors import FileError
from napari_ganseg.io.holder import Holder, holder_of, is_stale, this_process
from napari_ganseg.io.lock import Lock, Locks, take


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.lock"


@pytest.fixture
def dead() -> Holder:
    """A holder whose process has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return replace(this_process(), pid=process.pid)


def hold(path: Path, holder: Holder) -> None:
    path.write_text(json.dumps(asdict(holder)))


def test_a_lock_has_one_holder_until_it_is_released(path: Path) -> None:
    lock = take(path)
    assert isinstance(lock, Lock)
    assert take(path) == lock.holder
    lock.release()
    assert not path.exists()
    assert isinstance(take(path), Lock)


def test_a_holder_says_who_it_is(path: Path) -> None:
    take(path)
    assert str(take(path)) == f"process {os.getpid()} on {this_process().host}"


def test_the_lock_of_a_dead_process_is_broken_and_its_leftovers_swept(path: Path, dead: Holder) -> None:
    hold(path, dead)
    leftover, other = path.with_name(f".a.nii.gz.tmp-{dead.pid}-00ff"), path.with_name(".a.nii.gz.tmp-1-00ff")
    leftover.touch()
    other.touch()
    assert isinstance(take(path), Lock)
    assert (leftover.exists(), other.exists()) == (False, True)
    assert sorted(p.name for p in path.parent.iterdir()) == sorted([path.name, other.name])


def test_a_process_of_the_same_number_that_began_later_does_not_hold_it(path: Path) -> None:
    hold(path, replace(this_process(), started_s=this_process().started_s - 10))
    assert isinstance(take(path), Lock)


def test_a_process_on_another_machine_is_never_taken_for_dead(path: Path, dead: Holder) -> None:
    there = replace(dead, host="node7")
    hold(path, there)
    assert take(path) == there


def test_a_lock_that_is_being_made_is_held(path: Path) -> None:
    path.touch()
    assert str(take(path)) == "an unknown process"


def test_a_lock_without_content_is_broken_after_a_while(path: Path) -> None:
    path.touch()
    os.utime(path, (1, 1))
    assert isinstance(take(path), Lock)


def test_someone_elses_new_lock_survives_our_release(path: Path, dead: Holder) -> None:
    lock = take(path)
    assert isinstance(lock, Lock)
    hold(path, dead)
    lock.release()
    assert holder_of(path) == dead


def test_a_breaker_that_died_is_broken_too(path: Path, dead: Holder) -> None:
    hold(path, dead)
    hold(path.with_name("a.lock.break"), dead)
    assert isinstance(take(path), Lock)


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_who_want_it_one_gets_it(path: Path, dead: Holder, stale: bool) -> None:
    if stale:
        hold(path, dead)
    with ThreadPoolExecutor(16) as threads:
        taken = list(threads.map(take, [path] * 64))
    assert sum(isinstance(t, Lock) for t in taken) == 1


@pytest.mark.skipif(os.name == "nt", reason="no such thing on Windows")
def test_a_zombie_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_stale(replace(this_process(), pid=process.pid))
    process.wait()


def test_where_no_lock_can_be_made_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"Cannot make a\.lock: there is no folder nowhere"):
        take(tmp_path / "nowhere" / "a.lock")


def test_all_locks_are_let_go_of_together(tmp_path: Path) -> None:
    locks = Locks()
    assert [locks.take(tmp_path / name) for name in "ab"] == [None, None]
    assert isinstance(locks.take(tmp_path / "a"), Holder)
    locks.release_all()
    assert not list(tmp_path.iterdir())
