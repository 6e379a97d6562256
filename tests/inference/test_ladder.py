"""The ladder: where memory runs out, less is asked for, and the result is that of the rung that held."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import noise, random_model
from torch import Tensor, nn

from napari_ganseg.errors import Cancelled, ComputeError
from napari_ganseg.inference import computing, labelling, segment, segmentation
from napari_ganseg.inference import memory as memory_module
from napari_ganseg.inference.engine import segment_with_confidence
from napari_ganseg.inference.ladder import Rung, is_out_of_memory, rungs, with_longest_halved
from napari_ganseg.inference.settings import Settings
from napari_ganseg.models import Model

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8589934592 bytes."),
    MemoryError(),
    RuntimeError("std::bad_alloc"),
]


class Runs(nn.Module):
    """A network for which memory runs out at some of its calls."""

    def __init__(self, network: nn.Module, error: Exception, at: range) -> None:
        super().__init__()
        self.network, self.error, self.at = network, error, at
        self.calls, self.seen = 0, weakref.WeakSet[Tensor]()

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen.add(x)
        if self.calls in self.at:
            raise self.error
        return self.network(x)  # type: ignore[no-any-return]


SCAN = noise((100, 90))
MODEL = random_model(2, patch=(64, 64))
EVER = range(1, 10**9)


def short_of(error: Exception, at: range) -> Model:
    return replace(MODEL, network=Runs(MODEL.network, error, at))


def with_patch(*patch: int) -> Model:
    return replace(MODEL, card=replace(MODEL.card, patch=patch))


# --- the rungs --------------------------------------------------------------------------------------------------------


def test_a_cpu_goes_on_to_smaller_tiles() -> None:
    found = list(rungs(CPU, (128, 64, 64), (8, 8, 8), cpu_fallback=True))
    assert [r.patch for r in found] == [(128, 64, 64), (64, 64, 64), (32, 64, 64), (32, 32, 64)]
    assert [r.name for r in found[:2]] == ["as planned", "tiles of 64 x 64 x 64"]
    assert {(r.device, r.store) for r in found} == {(CPU, CPU)}


@pytest.mark.parametrize("cpu_fallback", [True, False])
def test_a_gpu_first_hands_over_the_scores_and_takes_the_cpu_only_with_consent(cpu_fallback: bool) -> None:
    found = list(rungs(CUDA, (128, 128, 128), (8, 8, 8), cpu_fallback))
    assert found[0] == Rung("as planned", CUDA, CUDA, (128, 128, 128))
    assert found[1] == Rung("scores in main memory", CUDA, CPU, (128, 128, 128))
    assert all((r.device, r.store) == (CUDA, CPU) for r in found[2:5])
    assert [r.name for r in found[5:]] == (["the CPU"] if cpu_fallback else [])


@pytest.mark.parametrize("tile", [(128, 96, 64), (40, 40), (65, 20), (512, 512), (96, 100, 8)])
@pytest.mark.parametrize("divisor", [1, 8, 48])
def test_halves_are_divisible_shorter_and_never_too_short(tile: tuple[int, ...], divisor: int) -> None:
    half = with_longest_halved(tile, (divisor,) * len(tile))
    changed = [(a, b) for a, b in zip(tile, half, strict=True) if a != b]
    assert len(changed) <= 1
    assert all(b <= a / 2 and b >= 32 and b % divisor == 0 and a == max(tile) for a, b in changed)


@pytest.mark.parametrize("error", FULL)
def test_out_of_memory_is_known(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("out of memory"), KeyError("x")])
def test_other_faults_are_none(error: Exception) -> None:
    assert not is_out_of_memory(error)


# --- climbing down ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", FULL)
@pytest.mark.parametrize("tile", [1, 3])
def test_labels_are_those_of_smaller_tiles_from_the_start(error: Exception, tile: int) -> None:
    labels = segment(SCAN, short_of(error, range(tile, tile + 1)))
    assert np.array_equal(labels.array, segment(SCAN, with_patch(32, 64)).array)
    assert labels.provenance["memory"] == "tiles of 32 x 64"


def test_the_ladder_goes_down_as_far_as_it_must() -> None:
    labels = segment(SCAN, short_of(MemoryError(), range(1, 3)))
    assert np.array_equal(labels.array, segment(SCAN, with_patch(32, 32)).array)
    assert labels.provenance["memory"] == "tiles of 32 x 32"


def test_without_a_fault_the_plan_holds() -> None:
    assert segment(SCAN, MODEL).provenance["memory"] == "as planned"


@pytest.mark.parametrize("error", FULL)
def test_no_room_at_all_is_one_error_with_what_is_needed_and_free(error: Exception) -> None:
    model = short_of(error, EVER)
    words = r"not enough memory for this, not even with small tiles: it needs about .* GiB, .* are free\. Choose"
    with pytest.raises(ComputeError, match=words):
        segment(SCAN, model)
    assert model.network.calls == 3


def test_a_scan_of_one_small_tile_is_not_tried_again_and_again() -> None:
    model = short_of(MemoryError(), EVER)
    with pytest.raises(ComputeError, match="not enough memory"):
        segment(noise((40, 40)), model)
    assert model.network.calls == 1


def test_other_faults_are_not_tried_again() -> None:
    model = short_of(RuntimeError("shapes differ"), EVER)
    with pytest.raises(ComputeError, match="failed inside torch: shapes differ"):
        segment(SCAN, model)
    assert model.network.calls == 1


class Forgets(Runs):
    """After memory ran out, it finds nothing."""

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return logits if self.calls < self.at.start else torch.cat([logits[:, :1] + 1e4, logits[:, 1:]], 1)


def test_nothing_of_a_failed_rung_remains() -> None:
    out = np.zeros(SCAN.shape, np.uint8)
    model = replace(MODEL, network=Forgets(MODEL.network, MemoryError(), range(4, 5)))
    assert not segment(SCAN, model, out=out).array.any()
    assert not out.any()
    model.network.calls = 0
    assert (segment_with_confidence(SCAN, model)[1].array == 1).all()


def test_a_rung_that_cannot_fit_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = [computing.memory_for(SCAN, MODEL.card, Settings(), rung) for rung in rungs(CPU, (64, 64), (4, 4), False)]
    between = sum(n.network + n.scores + n.planes for n in needs[:2]) // 2
    monkeypatch.setattr(memory_module, "free", lambda device: between)
    labels = segment(SCAN, MODEL)
    assert labels.provenance["memory"] == "tiles of 32 x 64"


def test_the_last_rung_is_tried_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "free", lambda device: 0)
    assert segment(SCAN, MODEL).provenance["memory"] == "tiles of 32 x 32"


# --- nothing is held --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [FULL[0], RuntimeError("shapes differ")])
def test_after_an_error_no_tile_is_held(error: Exception) -> None:
    network = Runs(MODEL.network, error, EVER)
    with pytest.raises(ComputeError) as caught:
        segment(SCAN, replace(MODEL, network=network))
    gc.collect()
    assert caught.value.args
    assert not network.seen


@pytest.mark.parametrize("dims", [2, 3])
def test_after_a_cancel_no_array_is_held_though_the_run_is(monkeypatch: pytest.MonkeyPatch, dims: int) -> None:
    made = weakref.WeakSet[object]()

    def noted(thing: object) -> object:
        made.add(thing)
        return thing

    for name in ("Sight", "Blocks"):
        kind = getattr(labelling, name)
        monkeypatch.setattr(labelling, name, lambda *given, kind=kind: noted(kind(*given)))
    run = segmentation(SCAN if dims == 2 else noise((40, 40, 40)), random_model(dims))
    for progress in run:
        if progress.done == 2:
            run.cancel()
            break
    with pytest.raises(Cancelled):
        _ = run.result
    gc.collect()
    assert not made


def test_cancel_holds_within_one_tile() -> None:
    model = short_of(MemoryError(), range(0))
    run = segmentation(SCAN, model)
    for progress in run:
        if progress.done == 2:
            run.cancel()
            break
    with pytest.raises(Cancelled):
        _ = run.result
    assert model.network.calls == 2
