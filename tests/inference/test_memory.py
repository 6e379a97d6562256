"""Memory: what is needed grows with the front and the classes, and decides whether a way to compute fits."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import psutil
import pytest
import torch
from builders import make_card, noise

from napari_ganseg.inference import memory as module
from napari_ganseg.inference.labelling import tiles_of
from napari_ganseg.inference.memory import GIB, Memory, estimated, front
from napari_ganseg.inference.tiles import cover

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 2 GiB on the GPU and 8 in main memory."""
    monkeypatch.setattr(module, "free", lambda device: 2 * GIB if device.type == "cuda" else 8 * GIB)


def of(shape: tuple[int, ...], classes: int = 1, store: torch.device = CPU, device: torch.device = CPU) -> Memory:
    card = make_card(3, classes)
    axes, tiling = tiles_of(noise(shape), card, card.patch, 0.5)
    return estimated(card, axes, tiling, device, store)


def test_one_tile_leaves_nothing_waiting() -> None:
    assert front(cover((16, 16), (16, 16), 0.5)) == 0


def test_tiles_without_overlap_leave_nothing_waiting_where_nothing_is_resampled() -> None:
    assert front(cover((64, 64), (16, 16), 0.0)) == 0
    assert front(cover((64, 64), (16, 16), 0.0), halo=1) > 0


@pytest.mark.parametrize(("axis", "halo"), list(product(range(3), (0, 1))))
def test_the_front_grows_with_a_scan_across_the_sweep_but_not_along_it(axis: int, halo: int) -> None:
    longer = [40, 40, 40]
    longer[axis] = 80
    small, large = (front(cover(shape, (16, 16, 16), 0.5), halo) for shape in ((40, 40, 40), longer))
    assert small < large if axis else small >= large


@pytest.mark.usefixtures("room")
def test_scores_grow_with_the_classes_and_not_with_the_planes() -> None:
    few, many = of((60, 40, 40)), of((60, 40, 40), 99)
    assert many.scores == pytest.approx(few.scores * (2 * 100 + 4) / (2 * 2 + 4))
    assert of((600, 40, 40)).scores <= 1.1 * few.scores
    assert of((600, 40, 40)).planes == few.planes


@pytest.mark.usefixtures("room")
def test_words_name_what_is_needed_and_what_is_free() -> None:
    assert str(of((60, 40, 40))) == "needs about 0.0 GiB, 8.0 are free"
    assert str(of((60, 40, 40), device=CUDA)).endswith("2.0 are free")


@pytest.mark.parametrize(
    ("network", "scores", "planes", "is_apart", "is_main", "fits"),
    [
        (3, 3, 1, False, True, True),
        (3, 3, 3, False, True, False),  # on a CPU everything is in main memory
        (3, 3, 7, False, False, True),  # a GPU holds the network and the scores
        (3, 6, 1, False, False, False),
        (3, 6, 1, True, False, True),  # the scores wait in main memory
        (3, 6, 3, True, False, False),
        (9, 0, 0, True, False, False),
    ],
)
def test_what_fits(network: int, scores: int, planes: int, is_apart: bool, is_main: bool, fits: bool) -> None:
    assert Memory(network, scores, planes, 8, 8, is_apart, is_main).fits == fits


def test_what_torch_keeps_for_itself_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5, 9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 3)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 1)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=11))
    assert module.free(CUDA) == 7
    assert module.free(CPU) == 11


def test_a_gpu_takes_as_many_tiles_as_there_is_room_for_and_a_processor_one() -> None:
    roomy = Memory(network=10, scores=20, planes=5, free=100, free_main=50, is_apart=False)
    assert (roomy.batch, replace(roomy, is_apart=True).batch, replace(roomy, is_main=True).batch) == (4, 5, 1)
    assert (replace(roomy, free=10**6).batch, replace(roomy, free=1).batch) == (8, 1)
