"""The other adversaries: each trains, otherwise than the product's, and leaves the product as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from benchmarks import adversaries
from benchmarks.adversaries import GONE, NAMES, SEEDS, SHIPPED, changed, config_of, distances, missing
from builders import blob_cases, tiny_config
from torch import Tensor

from napari_ganseg.networks import weights_of
from napari_ganseg.training import adversary, fit, step
from napari_ganseg.training.config import Adversary
from napari_ganseg.training.guards import Limits

AT_ONCE = Adversary(begin=0.0, warm_up=0.0, ramp=0.01, limits=Limits(ready=0.0))


def learnt(name: str) -> dict[str, Tensor]:
    """Weights after a few steps with an adversary."""
    config = config_of(tiny_config(2, adversary=AT_ONCE, precision="float32"), name, seed=1)
    with changed(name):
        return weights_of(fit(blob_cases(2), config).result.network)


@pytest.fixture(scope="module")
def shipped() -> dict[str, Tensor]:
    return learnt(SHIPPED)


@pytest.mark.parametrize("name", NAMES)
def test_each_teaches_something_else_and_only_while_it_lasts(name: str, shipped: dict[str, Tensor]) -> None:
    usual = [adversary.build_discriminator, adversary.judged_pairs, adversary.judge, adversary.generator_loss]
    steps = step.discriminator_step
    found = learnt(name)
    assert all(bool(tensor.isfinite().all()) for tensor in found.values())
    assert not all(torch.equal(tensor, shipped[key]) for key, tensor in found.items())
    now = [adversary.build_discriminator, adversary.judged_pairs, adversary.judge, adversary.generator_loss]
    assert (now, step.discriminator_step) == (usual, steps)


def test_a_signed_distance_is_positive_inside_and_nothing_without_a_border() -> None:
    maps = torch.zeros(1, 3, 9, 9)
    maps[0, 0], maps[0, 1, 2:7, 2:7] = 1, 1
    found = distances(maps)
    assert torch.equal(found[0, 1] > 0, maps[0, 1] > 0)
    assert found[0, 1, 4, 4] == found[0, 1].max()
    assert not found[0, 0].any()
    assert not found[0, 2].any()


def test_what_waits_is_what_can_still_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adversaries, "RECORD", tmp_path / "none.jsonl")
    assert len(missing()) == SEEDS * len(NAMES)
    assert GONE not in {name for _, name in missing()}
