"""The U-Net on a ResNet: torchvision's names inside, logits of the image's size outside, one with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from builders import make_card, network_for
from torch import nn

from napari_ganseg.models import load_model, save_model
from napari_ganseg.networks import Arch, build_generator, divisor, outline, weights_of

FEATURES = (4, 8, 8, 16, 16, 512)
NAMES = ["ResNet18", "ResNet34"]


def arch(name: Any = "ResNet18", features: tuple[int, ...] = FEATURES, dims: int = 2) -> Arch:
    return Arch(name, features, ((2,) * dims,) * (len(features) - 1))


def build(name: Any = "ResNet18", channels: int = 1, seed: int = 0) -> nn.Module:
    return build_generator(arch(name), dims=2, in_channels=channels, out_channels=3, seed=seed)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_logits_lie_on_the_grid_of_a_slice(name: str, channels: int) -> None:
    network = build(name, channels).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, channels, 32, 96)).shape == (1, 3, 32, 96)


def test_a_tile_divides_by_thirty_two() -> None:
    assert divisor(arch()) == (32, 32)


@pytest.mark.parametrize("name", NAMES)
def test_the_encoder_has_torchvisions_names_and_shapes(name: str) -> None:
    theirs = getattr(torchvision.models, name.lower())(weights=None).state_dict()
    ours = outline(arch(name), dims=2, in_channels=3, out_channels=2).encoder.state_dict()  # type: ignore[operator, union-attr]
    assert {k: t.shape for k, t in ours.items()} == {k: t.shape for k, t in theirs.items() if not k.startswith("fc.")}


def test_the_encoder_computes_what_torchvisions_does() -> None:
    network, theirs = build(channels=3).eval(), torchvision.models.resnet18(weights=None).eval()
    theirs.load_state_dict(network.encoder.state_dict(), strict=False)  # type: ignore[union-attr, operator]
    theirs.fc, x = nn.Identity(), torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(network.encode(x)[-1].mean((2, 3)), theirs(x))  # type: ignore[operator]


def test_the_outline_takes_no_memory() -> None:
    network = outline(arch(), dims=2, in_channels=5, out_channels=2)
    assert {t.device.type for t in weights_of(network).values()} == {"meta"}


def test_the_same_seed_makes_the_same_resnet() -> None:
    state = torch.get_rng_state()
    first, second, third = (weights_of(build(seed=seed)) for seed in (5, 5, 6))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["encoder.conv1.weight"], third["encoder.conv1.weight"])
    assert torch.equal(torch.get_rng_state(), state)


def test_evaluation_answers_alike_and_learns_nothing() -> None:
    network, x = build().eval(), torch.rand(2, 1, 64, 32)
    with torch.inference_mode():
        first, second, alone = network(x), network(x), network(x[:1])
    assert torch.equal(first, second)
    assert torch.allclose(first[:1], alone, atol=1e-3)
    assert int(network.encoder["bn1"].num_batches_tracked) == 0  # type: ignore[index]


def test_every_weight_learns_from_a_batch_of_one() -> None:
    network = build().train()
    network(torch.rand(1, 1, 64, 64)).square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in network.parameters())


def test_the_finest_skip_shows_single_voxels() -> None:
    network, x = build().eval(), torch.zeros(1, 1, 64, 64)
    x[..., 33, 20] = 1
    with torch.inference_mode():
        assert network.stem(x).std((2, 3)).min() > 0  # type: ignore[operator]
        assert network(x).shape == (1, 3, 64, 64)


@pytest.mark.parametrize("channels", [("T1",), ("red", "green", "blue")])
def test_a_resnet_comes_back_from_its_file(tmp_path: Path, channels: tuple[str, ...]) -> None:
    card = make_card(2, 2, arch=arch(), channels=channels, patch=(64, 64))
    network, path = network_for(card, seed=3), tmp_path / "tiny.ganseg.safetensors"
    made, model = save_model(path, card, network), load_model(path)
    assert (model.card, model.sha256) == (made.card, made.sha256)
    assert all(torch.equal(t, weights_of(model.network)[key]) for key, t in weights_of(network).items())


@pytest.mark.parametrize(
    ("made", "dims", "message"),
    [
        (arch(dims=3), 3, "ResNet18 is for 2D only; choose UNet, DynUNet or SegResNet for 3D"),
        (arch(features=(8, 16, 512)), 2, "ResNet18 halves both axes five times"),
        (Arch("ResNet34", FEATURES, ((2, 2),) * 4 + ((2, 1),)), 2, "its strides are five times"),
        (arch("ResNet34", (8, 8, 8, 8, 8, 256)), 2, "ResNet34 ends in 512 features, not 256"),
    ],
)
def test_numbers_that_a_resnet_would_ignore_are_refused(made: Arch, dims: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_generator(made, dims=dims, in_channels=1, out_channels=2)
