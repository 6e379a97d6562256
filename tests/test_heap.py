"""Memory stays while work runs, and goes back afterwards; nobody's own settings are touched."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Generator

import pytest

from napari_ganseg import heap

needs_glibc = pytest.mark.skipif(heap.glibc() is None, reason="only glibc is told")
SHARED = """
import resource
from napari_ganseg.heap import kept_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def churn(mib=48, times=10):
    before = faults()
    for _ in range(times):
        b"x" * (mib << 20)
    return faults() - before

def resident_mib():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024
"""


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """No run of another test that was left halfway keeps memory; dask, once used, settles how memory is handled."""
    monkeypatch.setattr(heap, "_runs", [])
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)


def in_a_fresh_process(script: str) -> list[int]:
    """The numbers that a script prints; this process's heap has a history."""
    told = subprocess.run([sys.executable, "-c", SHARED + script], capture_output=True, text=True, check=True)
    return [int(number) for number in told.stdout.split()]


@needs_glibc
def test_pieces_that_come_and_go_ask_the_system_for_less_memory_while_it_is_kept() -> None:
    usual, kept = in_a_fresh_process("""
print(churn())
with kept_memory():
    churn(times=1)
    print(churn())
""")
    assert kept < usual / 10


@needs_glibc
def test_what_was_kept_is_given_back_at_the_end() -> None:
    before, during, after = in_a_fresh_process("""
print(resident_mib())
with kept_memory():
    pieces = [b"x" * (8 << 20) for _ in range(40)]
    del pieces
    print(resident_mib())
print(resident_mib())
""")
    assert during > before + 200
    assert after < before + 50


@needs_glibc
def test_memory_is_kept_until_the_last_of_several_runs_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[int, int]] = []
    monkeypatch.setattr(heap, "_set", lambda _, options: told.append(options))
    with heap.kept_memory():
        with heap.kept_memory():
            pass
        assert heap.USUAL not in told
    assert told[-1] == heap.USUAL


def test_work_keeps_its_steps_its_result_and_its_errors() -> None:
    def work() -> Generator[int, None, str]:
        yield 1
        return "done"

    steps = heap.keeping(work())
    assert next(steps) == 1
    with pytest.raises(StopIteration, match="done"):
        next(steps)

    def faulty() -> Generator[int, None, str]:
        yield 1
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(heap.keeping(faulty()))
    assert not heap._runs


@needs_glibc
def test_a_run_that_is_left_halfway_and_forgotten_keeps_nothing() -> None:
    def work() -> Generator[int, None, None]:
        yield 1
        yield 2

    steps = heap.keeping(work())
    next(steps)
    assert heap._runs
    del steps
    gc.collect()
    assert not heap._runs


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_who_has_settled_how_memory_is_handled_is_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "4")
    assert heap.glibc() is None


def test_another_allocator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/usr/lib/libjemalloc.so.2")
    assert heap.glibc() is None
    monkeypatch.delenv("LD_PRELOAD")
    monkeypatch.setattr("sys.platform", "darwin")
    assert heap.glibc() is None
