"""Weights by name, each once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_ganseg.networks import Arch, build_generator, fill_weights, weights_of


def dynunet(seed: int) -> nn.Module:
    return build_generator(
        Arch("DynUNet", (4, 8, 8), ((2, 2), (2, 2))), dims=2, in_channels=1, out_channels=2, seed=seed
    )


def test_a_shared_layer_is_listed_once() -> None:
    network = dynunet(0)
    weights = weights_of(network)
    pointers = [t.data_ptr() for t in weights.values()]
    assert len(network.state_dict()) > len(weights) == len(set(pointers))
    assert sum(t.numel() for t in weights.values()) == sum(p.numel() for p in network.parameters())


def test_buffers_belong_to_the_weights() -> None:
    assert "running_mean" in weights_of(nn.BatchNorm2d(3))


def test_filling_makes_the_networks_equal() -> None:
    first, second, x = dynunet(0), dynunet(1), torch.rand(1, 1, 8, 8)
    assert not torch.equal(first(x), second(x))
    fill_weights(second, weights_of(first))
    assert torch.equal(first(x), second(x))


def test_filling_copies() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    fill_weights(second, weights_of(first))
    with torch.no_grad():
        first.weight += 1
    assert not torch.equal(first.weight, second.weight)


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_another_set_of_names_is_refused(change: str) -> None:
    weights = weights_of(nn.Linear(2, 2))
    weights = {"weight": weights["weight"]} if change == "missing" else weights | {"extra": torch.zeros(1)}
    with pytest.raises(KeyError, match="bias" if change == "missing" else "extra"):
        fill_weights(nn.Linear(2, 2), weights)


def test_another_shape_is_refused() -> None:
    with pytest.raises(RuntimeError, match="size"):
        fill_weights(nn.Linear(2, 2), {"weight": torch.zeros(3, 2), "bias": torch.zeros(2)})
