"""Memory stays while work runs, and goes back afterwards; nobody's own settings are touched."""

from __future__ import annotations

import gc
import resource
from collections.abc import Generator

import psutil
import pytest
import torch

from napari_ganseg import heap

MIB = 2**20
needs_glibc = pytest.mark.skipif(heap.glibc() is None, reason="only glibc is told")


def faults() -> int:
    """Pages that the system had to hand out so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def churn(times: int = 20) -> int:
    """Pages asked for while large pieces come and go."""
    before = faults()
    for _ in range(times):
        torch.ones(48 * MIB // 4)
    return faults() - before


@needs_glibc
def test_pieces_that_come_and_go_ask_the_system_for_less_memory_while_it_is_kept() -> None:
    usual = churn()
    with heap.kept_memory():
        churn(1)
        kept = churn()
    assert kept < usual / 4


@needs_glibc
def test_what_was_kept_is_given_back_at_the_end() -> None:
    gc.collect()
    process = psutil.Process()
    before = process.memory_info().rss
    with heap.kept_memory():
        pieces = [torch.ones(8 * MIB // 4) for _ in range(40)]
        del pieces
        assert process.memory_info().rss > before + 200 * MIB
    assert process.memory_info().rss < before + 100 * MIB


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
