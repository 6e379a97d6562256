"""Numbers: bfloat16 where the processor has it, float32 everywhere else and where that is asked."""

from __future__ import annotations

import pytest
import torch
from builders import noise, random_model
from torch import nn

from napari_ganseg.errors import UsageError
from napari_ganseg.inference import precision as module
from napari_ganseg.inference import segment
from napari_ganseg.inference.precision import arithmetic, for_labels, has_bfloat16, name_of

CPU = torch.device("cpu")


@pytest.mark.parametrize("has", [True, False])
def test_automatic_is_bfloat16_where_it_is_native(monkeypatch: pytest.MonkeyPatch, has: bool) -> None:
    monkeypatch.setattr(module, "has_bfloat16", lambda device: has)
    expected = torch.bfloat16 if has else torch.float32
    with torch.inference_mode(), arithmetic("auto", CPU):
        assert nn.Conv2d(1, 2, 3)(torch.zeros(1, 1, 8, 8)).dtype == expected
    assert name_of("auto", CPU) == ("bfloat16" if has else "float32")


def test_float32_is_float32_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_bfloat16", lambda device: True)
    with torch.inference_mode(), arithmetic("float32", CPU):
        assert nn.Conv2d(1, 2, 3)(torch.zeros(1, 1, 8, 8)).dtype == torch.float32
    assert name_of("float32", CPU) == "float32"


@pytest.mark.parametrize(
    ("device", "dims", "expected"),
    [("cpu", 2, "float32"), ("cpu", 3, "auto"), ("cuda", 2, "auto"), ("cuda", 3, "auto")],
)
def test_slices_are_labelled_in_float32_on_a_cpu(device: str, dims: int, expected: str) -> None:
    assert for_labels("auto", torch.device(device), dims) == expected
    assert for_labels("float32", torch.device(device), dims) == "float32"


def test_other_devices_compute_in_float32() -> None:
    assert not has_bfloat16(torch.device("mps"))
    assert not has_bfloat16(torch.device("meta"))


@pytest.mark.parametrize("flags", [(False, False), (True, False), (False, True)])
def test_a_cpu_says_so_itself(monkeypatch: pytest.MonkeyPatch, flags: tuple[bool, bool]) -> None:
    for name, flag in zip(("_is_avx512_bf16_supported", "_is_amx_tile_supported"), flags, strict=True):
        monkeypatch.setattr(torch.cpu, name, lambda flag=flag: flag, raising=False)
    assert has_bfloat16(CPU) == any(flags)


def test_labels_hardly_depend_on_it_and_the_record_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    model, scan = random_model(), noise((8, 8, 8))
    exact = segment(scan, model, precision="float32")
    monkeypatch.setattr(module, "has_bfloat16", lambda device: True)
    rough = segment(scan, model)
    assert (exact.provenance["precision"], rough.provenance["precision"]) == ("float32", "bfloat16")
    assert (exact.array == rough.array).mean() > 0.9


def test_another_precision_is_refused() -> None:
    with pytest.raises(UsageError, match='is "auto" or "float32", not "float16"'):
        segment(noise((20, 20, 20)), random_model(), precision="float16")
