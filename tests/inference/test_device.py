"""Devices: found when they answer, refused when they are not there."""

from __future__ import annotations

import pytest
import torch

from napari_ganseg.errors import UsageError
from napari_ganseg.inference import choose_device, device_names
from napari_ganseg.inference import device as module


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, bare: None) -> None:
    """A machine whose driver is visible and fails."""

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(module.torch, "ones", fail)


@pytest.mark.usefixtures("bare")
def test_without_a_gpu_the_processor_computes() -> None:
    assert device_names() == ["auto", "cpu"]
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "mps:0", "tpu", "cpu:1", "cpu:x", "auto:0", "", "CUDA"])
def test_a_device_that_is_not_there_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(UsageError, match=f'There is no device "{name}" here. Choose one of auto, cpu'):
        choose_device(name)


@pytest.mark.usefixtures("broken")
def test_a_gpu_that_does_not_answer_is_not_offered() -> None:
    assert device_names() == ["auto", "cpu"]
    with pytest.raises(UsageError, match='no device "cuda"'):
        choose_device("cuda")


def test_an_apple_gpu_goes_by_both_its_names(monkeypatch: pytest.MonkeyPatch, bare: None) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("mps") == torch.device("mps")
    assert choose_device("mps:0") == torch.device("mps:0")


def test_a_gpu_that_answers_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "works", lambda name: name in ("cuda", "cuda:0"))
    assert device_names()[:2] == ["auto", "cuda"]
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(UsageError, match='no device "cuda:7"'):
        choose_device("cuda:7")
