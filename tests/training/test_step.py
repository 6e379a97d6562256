"""One step, against values worked out by hand."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from builders import make_card, network_for
from builders import tiny_config as tiny
from torch import Tensor, nn

from napari_ganseg.networks import weights_of
from napari_ganseg.training import TrainConfig
from napari_ganseg.training.losses import segmentation_loss
from napari_ganseg.training.samples import Batch
from napari_ganseg.training.step import State, follow, train_step


@pytest.fixture
def plain() -> TrainConfig:
    return tiny(2, precision="float32", steps=100, learning_rate=0.1, weight_decay=0.0)


@pytest.fixture
def image() -> Tensor:
    return torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def target(image: Tensor) -> Tensor:
    made = (image > 0).to(torch.uint8)
    made[0, 0, 0] = 255
    return made


def all_known(image: Tensor, target: Tensor) -> Batch:
    return Batch(image, target, torch.zeros(len(image), 2, dtype=torch.bool))


def pointwise() -> nn.Module:
    network = nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([0.3, -0.2]).reshape(2, 1, 1, 1))
        network.bias.copy_(torch.tensor([0.1, 0.0]))
    return network


def test_the_first_step_moves_every_weight_by_the_learning_rate_against_its_gradient(
    plain: TrainConfig, image: Tensor, target: Tensor
) -> None:
    """Adam's first step is lr * g / (|g| + eps): its size does not depend on the gradient's."""
    state, twin = State.start(pointwise(), plain), pointwise()
    loss = segmentation_loss(twin(image), target)
    loss.backward()
    assert train_step(state, all_known(image, target), plain, 0).loss == pytest.approx(loss.item(), abs=1e-6)
    for now, before in zip(state.generator.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(now, before - 0.1 * before.grad.sign(), atol=1e-5)


def test_the_learning_rate_falls_as_the_polynomial(plain: TrainConfig, image: Tensor, target: Tensor) -> None:
    state = State.start(pointwise(), plain)
    rates = []
    for step in (0, 50, 99):
        train_step(state, all_known(image, target), plain, step)
        rates.append(state.optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([0.1, 0.1 * 0.5**0.9, 0.1 * 0.01**0.9])


def test_the_gradient_is_clipped(plain: TrainConfig, image: Tensor, target: Tensor) -> None:
    state = State.start(pointwise(), replace(plain, clip_norm=1e-3))
    train_step(state, all_known(1000 * image, target), replace(plain, clip_norm=1e-3), 0)
    norm = torch.cat([p.grad.flatten() for p in state.generator.parameters()]).norm()
    assert norm == pytest.approx(1e-3, rel=1e-3)


def test_a_batch_of_unknown_voxels_moves_nothing(plain: TrainConfig, image: Tensor, target: Tensor) -> None:
    state = State.start(pointwise(), plain)
    before = copy.deepcopy(state.generator.state_dict())
    assert train_step(state, all_known(image, torch.full_like(target, 255)), plain, 0).loss == 0
    assert all(torch.equal(value, before[key]) for key, value in state.generator.state_dict().items())


def test_forty_steps_on_one_batch_lower_the_loss() -> None:
    config = tiny(2, steps=1000, learning_rate=1e-2)
    state = State.start(network_for(config.card), config)
    image = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    target = (image > 0.5).to(torch.uint8)
    losses = [train_step(state, all_known(image, target), config, step).loss for step in range(40)]
    assert losses[-1] < 0.5 * losses[0]


def test_the_average_is_the_exponential_mean(plain: TrainConfig, image: Tensor, target: Tensor) -> None:
    config = replace(plain, ema=0.6)
    state = State.start(pointwise(), config)
    expected = None
    for step in range(5):
        train_step(state, all_known(image, target), config, step)
        decay = min(0.6, 1 - 1 / (step + 1))  # 0, 1/2, 0.6, 0.6, ...
        now = state.generator.weight.detach().clone()
        expected = now if expected is None else decay * expected + (1 - decay) * now
    assert torch.allclose(state.average.weight, expected, atol=1e-6)


def test_a_shared_weight_of_the_average_moves_once() -> None:
    first, second = (network_for(make_card(2), seed) for seed in (0, 1))
    before = {key: value.clone() for key, value in weights_of(first).items()}
    follow(first, second, 0.75)
    assert len(first.state_dict()) > len(before)
    for key, value in weights_of(first).items():
        assert torch.allclose(value, 0.75 * before[key] + 0.25 * weights_of(second)[key], atol=1e-6)


def test_counters_are_copied_not_averaged() -> None:
    first, second = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    second(torch.randn(2, 2, 3, 3))
    follow(first, second, 0.5)
    assert first.num_batches_tracked == 1
    assert torch.allclose(first.running_mean, 0.5 * second.running_mean)


def test_the_average_starts_as_a_copy_that_does_not_learn(plain: TrainConfig) -> None:
    state = State.start(pointwise(), plain)
    assert torch.equal(state.average.weight, state.generator.weight)
    assert state.average.weight.data_ptr() != state.generator.weight.data_ptr()
    assert not state.average.weight.requires_grad
