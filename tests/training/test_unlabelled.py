"""Images without labels: both losses against values worked out by hand, what may move when, and nothing for nothing."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import Z_SCORE, blob_cases, make_card, network_for, tiny_config
from torch import Tensor, nn

from napari_ganseg.networks import fill_weights, weights_of
from napari_ganseg.networks.discriminator import DiscriminatorArch
from napari_ganseg.training import TrainConfig, config_from_json, config_to_json
from napari_ganseg.training.adversary import verdicts
from napari_ganseg.training.checkpoint import load_state, save_state
from napari_ganseg.training.config import Adversary, Unlabelled
from napari_ganseg.training.guards import Limits, Seen, watch_collapse, watch_second
from napari_ganseg.training.losses import segmentation_loss
from napari_ganseg.training.recovery import judge
from napari_ganseg.training.samples import Batch, batch, prepare
from napari_ganseg.training.state import Figures, State
from napari_ganseg.training.step import second_step, train_step
from napari_ganseg.training.unlabelled import (
    box_at,
    build_second,
    consistency,
    consistency_loss,
    fooling_loss,
    mixed,
    mu_at,
    second_accuracy,
    second_loss,
    second_weight_at,
    soft,
)
from napari_ganseg.training.unlabelled_samples import UnlabelledBatch, prepare_image, unlabelled_batch

AT_ONCE = Adversary(begin=0.0, warm_up=0.0, ramp=0.01, limits=Limits(ready=0.0))
BOTH = Unlabelled(consistency=0.5, ramp=0.01, adversary=0.2, arch=DiscriminatorArch(channels=4, layers=1))
ALONE = {"consistency": replace(BOTH, adversary=0.0), "adversary": replace(BOTH, consistency=0.0)}
CPU = torch.device("cpu")


def config_with(unlabelled: Unlabelled, dims: int = 2, **changes: Any) -> TrainConfig:
    given: dict[str, Any] = {"adversary": AT_ONCE, "precision": "float32", "steps": 100, "batch_size": 2}
    return tiny_config(dims, unlabelled=unlabelled, **given | changes)


def batches(config: TrainConfig, step: int) -> tuple[Batch, UnlabelledBatch]:
    card, cases = config.card, blob_cases(config.card.dims)
    labelled = [prepare(case, card) for case in cases[:2]]
    images = [prepare_image(case.image, card) for case in cases[1:]]
    numbers = (config.augmentation, config.seed, step, config.batch_size)
    return batch(labelled, card, *numbers), unlabelled_batch(images, card, *numbers)


def a_state(config: TrainConfig) -> State:
    return State.start(network_for(config.card), config, second=build_second(config, CPU))


def weights(network: nn.Module | None) -> dict[str, Tensor]:
    assert network is not None
    return {name: t.detach().clone() for name, t in weights_of(network).items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(t, second[name]) for name, t in first.items())


def logits_of(*probabilities: list[float]) -> Tensor:
    """(1, classes, voxels) from one list of probabilities a voxel."""
    return torch.tensor(probabilities).T[None].log()


def test_the_consistency_by_hand() -> None:
    """Of four voxels the teacher is sure of three: class 1 twice, background once; class 2 is nowhere sure."""
    taught = torch.tensor([[0.05, 0.9, 0.05], [0.1, 0.9, 0.0], [0.9, 0.1, 0.0], [0.3, 0.0, 0.7]]).T[None]
    student = logits_of([0.2, 0.6, 0.2], [0.5, 0.3, 0.2], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8])
    overlap, total = 0.6 + 0.3, 0.6 + 0.3 + 0.3 + 2
    assert consistency_loss(student, taught, 0.8) == pytest.approx(1 - 2 * overlap / total)


def test_the_consistency_is_a_mean_over_the_classes_the_teacher_finds() -> None:
    taught = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]).T[None]
    student = logits_of([0.2, 0.6, 0.2], [0.3, 0.2, 0.5])
    expected = 1 - (2 * 0.6 / (0.6 + 0.2 + 1) + 2 * 0.5 / (0.2 + 0.5 + 1)) / 2
    assert consistency_loss(student, taught, 0.8) == pytest.approx(expected)


def test_who_agrees_with_the_teacher_pays_nothing() -> None:
    taught = torch.tensor([[0.1, 0.9], [0.9, 0.1]]).T[None]
    assert consistency_loss(torch.tensor([[-50.0, 50.0], [50.0, -50.0]]).T[None], taught, 0.8) == pytest.approx(0)


@pytest.mark.parametrize("sure", [[0.5, 0.5], [0.81, 0.19]], ids=["of nothing", "of background alone"])
def test_a_teacher_who_is_sure_of_no_class_teaches_nothing_and_makes_no_nan(sure: list[float]) -> None:
    student = torch.randn(1, 2, 5, requires_grad=True)
    loss = consistency_loss(student, torch.tensor(sure).reshape(1, 2, 1).expand(1, 2, 5), 0.8)
    loss.backward()
    assert loss == 0
    assert not student.grad.any()  # type: ignore[union-attr]


def test_voxels_of_low_confidence_do_not_count() -> None:
    taught = torch.tensor([[0.1, 0.9], [0.4, 0.6]]).T[None]
    one, other = logits_of([0.4, 0.6], [0.9, 0.1]), logits_of([0.4, 0.6], [0.2, 0.8])
    assert torch.equal(consistency_loss(one, taught, 0.8), consistency_loss(other, taught, 0.8))
    assert not torch.equal(consistency_loss(one, taught, 0.5), consistency_loss(other, taught, 0.5))


@pytest.mark.parametrize(("shape", "share"), [((16, 16), 0.25), ((16, 16, 16), 0.125), ((20, 10), 0.25)])
def test_a_box_lies_in_the_patch_and_has_its_share(shape: tuple[int, ...], share: float) -> None:
    boxes = [box_at(shape, share, 3, step) for step in range(20)]
    for box in boxes:
        assert all(0 <= s.start < s.stop <= n for s, n in zip(box, shape, strict=True))
        assert math.prod(s.stop - s.start for s in box) == share * math.prod(shape)
    assert len({str(box) for box in boxes}) > 10
    assert boxes[4] == box_at(shape, share, 3, 4)


def test_nothing_is_mixed_where_the_share_is_zero_and_all_where_it_is_one() -> None:
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(mixed(x, box_at((8, 8), 0.0, 0, 0)), x)
    assert torch.equal(mixed(x, box_at((8, 8), 1.0, 0, 0)), x.flip(0))


def test_a_mixed_item_holds_its_neighbours_box_and_one_alone_its_own() -> None:
    x, box = torch.randn(3, 2, 8, 8), (slice(2, 5), slice(1, 7))
    made = mixed(x, box)
    assert torch.equal(made[:, :, 2:5, 1:7], x[[2, 0, 1], :, 2:5, 1:7])
    made[:, :, 2:5, 1:7] = x[:, :, 2:5, 1:7]
    assert torch.equal(made, x)
    assert torch.equal(mixed(x[:1], box), x[:1])


def brighter_is(label: int) -> nn.Module:
    """A network that is sure, voxel by voxel, that positive ones are of class 0 or 1."""
    network, slope = nn.Conv2d(1, 2, 1, bias=False), 1000.0 * (2 * label - 1)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([-slope, slope]).reshape(2, 1, 1, 1))
    return network


def test_image_and_teachers_map_are_mixed_by_the_same_box() -> None:
    """A student as good as its teacher, voxel by voxel, agrees with it wherever the box lies."""
    config, image = config_with(BOTH), torch.randn(2, 1, 16, 16)
    student, teacher = brighter_is(1), brighter_is(1)
    for step in range(5):
        assert consistency(student, teacher, UnlabelledBatch(image, image), config, step) < 1e-2
    assert consistency(student, teacher, UnlabelledBatch(image, image.flip(0)), config, 0) > 0.1


def test_the_teacher_sees_the_weak_view_and_the_student_the_strong_one() -> None:
    config, image = config_with(BOTH), torch.randn(2, 1, 16, 16)
    agree, differ = UnlabelledBatch(image, -image), UnlabelledBatch(image, image)
    assert consistency(brighter_is(1), brighter_is(0), agree, config, 0) < 1e-2
    assert consistency(brighter_is(1), brighter_is(0), differ, config, 0) > 0.99


def test_mu_rises_as_a_gaussian_and_stays() -> None:
    config = config_with(Unlabelled(consistency=0.4, ramp=0.5))
    expected = [0.4 * math.exp(-5), 0.4 * math.exp(-5 / 4), 0.4, 0.4]
    assert [mu_at(step, config) for step in (0, 25, 50, 99)] == pytest.approx(expected)


def test_both_losses_of_the_second_discriminator_by_hand() -> None:
    on_labelled, on_unlabelled = torch.tensor([2.0, 0.0]), torch.tensor([-1.0])
    p, half, q = 1 / (1 + math.exp(-2.0)), 0.5, 1 / (1 + math.exp(1.0))
    by_hand = -(math.log(p) + math.log(half)) / 2 - math.log(1 - q)
    assert second_loss(on_labelled, on_unlabelled) == pytest.approx(by_hand)
    assert fooling_loss(on_unlabelled) == pytest.approx(-math.log(q))
    assert second_accuracy(on_labelled, on_unlabelled) == 0.75


@pytest.mark.parametrize("dims", [2, 3])
def test_the_second_discriminator_sees_one_map_per_class_and_no_image(dims: int) -> None:
    config = config_with(BOTH, dims, card=make_card(dims, classes=3, preprocessing=Z_SCORE, channels=("a", "b")))
    second = build_second(config, CPU)
    assert second is not None
    assert next(second.parameters()).shape[1] == 4
    assert same(weights(second), weights(build_second(config, CPU)))


def test_without_a_weight_there_is_no_second_discriminator() -> None:
    config = config_with(ALONE["consistency"])
    state = a_state(config)
    assert build_second(config, CPU) is None
    assert (set(state.modules), set(state.optimisers)) == ({"generator", "average"}, {"optimiser"})


def test_the_second_weight_rises_with_the_first_ones_times_once_there_is_something_to_teach() -> None:
    times = Adversary(warm_up=0.2, ramp=0.2, limits=Limits(ready=0.6))
    config, able = config_with(replace(BOTH, adversary=0.4), adversary=times), Seen(second_accuracy=0.7)
    expected = [0, 0, 0.2, 0.4]
    assert [second_weight_at(step, config, able) for step in (0, 20, 30, 99)] == pytest.approx(expected)
    assert second_weight_at(99, config, Seen(accuracy=0.9)) == 0
    assert second_weight_at(99, config, replace(able, second_scale=0.5)) == pytest.approx(0.2)


@pytest.mark.parametrize("dims", [2, 3])
def test_without_weights_a_step_is_the_step_without_unlabelled_images_bit_for_bit(dims: int) -> None:
    config = config_with(Unlabelled(), dims)
    plain, beside = a_state(config), a_state(config)
    for step in range(3):
        labelled, unlabelled = batches(config, step)
        figures = train_step(plain, labelled, config, step)
        assert train_step(beside, labelled, config, step, unlabelled) == figures
    assert same(weights(plain.generator), weights(beside.generator))
    assert same(weights(plain.average), weights(beside.average))


def test_a_second_discriminator_that_does_not_speak_yet_learns_and_leaves_the_generator_bit_for_bit() -> None:
    silent = replace(AT_ONCE, warm_up=1.0)
    config, without = (config_with(u, adversary=silent) for u in (ALONE["adversary"], Unlabelled()))
    plain, beside = a_state(without), a_state(config)
    before = weights(beside.second)
    for step in range(3):
        labelled, unlabelled = batches(config, step)
        train_step(plain, labelled, without, step)
        assert train_step(beside, labelled, config, step, unlabelled).second_weight == 0
    assert same(weights(plain.generator), weights(beside.generator))
    assert not same(before, weights(beside.second))


@pytest.mark.parametrize("what", ALONE)
def test_each_weight_alone_moves_the_generator_elsewhere(what: str) -> None:
    config, without = config_with(ALONE[what]), config_with(Unlabelled())
    plain, beside = a_state(without), a_state(config)
    labelled, unlabelled = batches(config, 50)
    train_step(plain, labelled, without, 50)
    figures = train_step(beside, labelled, config, 50, unlabelled)
    assert (figures.consistency is None, figures.second_weight == 0) == (what == "adversary", what == "consistency")
    assert not same(weights(plain.generator), weights(beside.generator))


def test_the_generators_gradient_is_the_sum_of_all_its_losses_and_only_unlabelled_maps_carry_the_seconds() -> None:
    config = config_with(BOTH, clip_norm=1e9)
    state = a_state(config)
    fill_weights(state.average, weights_of(network_for(config.card, seed=1)))  # a teacher who differs
    twin, teacher = copy.deepcopy(state.generator), copy.deepcopy(state.average)
    labelled, unlabelled = batches(config, 50)
    figures = train_step(state, labelled, config, 50, unlabelled)
    assert (figures.mu, figures.second_weight) == (0.5, 0.2)
    loss = segmentation_loss(twin.train()(labelled.image), labelled.target)
    loss = loss + 0.5 * consistency(twin, teacher, unlabelled, config, 50)
    loss = loss + 0.2 * fooling_loss(verdicts(state.second, soft(twin(unlabelled.strong))))  # type: ignore[arg-type]
    loss.backward()
    for mine, by_hand in zip(state.generator.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(mine.grad, by_hand.grad, atol=1e-6)  # type: ignore[arg-type]


def test_the_second_discriminators_gradient_is_of_its_own_loss_alone_and_then_it_is_frozen() -> None:
    config = config_with(BOTH)
    state = a_state(config)
    twin, (labelled, unlabelled) = copy.deepcopy(state), batches(config, 50)
    twin.generator.train()
    real, fake = (soft(twin.generator(image)) for image in (labelled.image, unlabelled.strong))
    second_step(twin, real, fake, config, Figures(0.0))
    assert all(p.grad is None for p in twin.generator.parameters())
    train_step(state, labelled, config, 50, unlabelled)
    for mine, alone in zip(state.second.parameters(), twin.second.parameters(), strict=True):  # type: ignore[union-attr]
        assert torch.allclose(mine.grad, alone.grad, atol=1e-6)  # type: ignore[arg-type]
        assert not mine.requires_grad


def test_the_teacher_stays_in_evaluation_and_moves_only_as_the_average() -> None:
    config = config_with(BOTH, ema=0.5)
    state = a_state(config)
    before = weights(state.average)
    labelled, unlabelled = batches(config, 50)
    train_step(state, labelled, config, 50, unlabelled)
    assert not state.average.training
    for name, value in weights(state.average).items():
        assert torch.allclose(value, 0.5 * before[name] + 0.5 * weights(state.generator)[name], atol=1e-6)


def test_one_infinite_unlabelled_image_is_never_applied() -> None:
    config = config_with(BOTH)
    state = a_state(config)
    networks = (state.generator, state.average, state.second)
    before = [weights(network) for network in networks]
    labelled, unlabelled = batches(config, 50)
    spoilt = UnlabelledBatch(unlabelled.weak, unlabelled.strong * torch.inf)
    assert not train_step(state, labelled, config, 50, spoilt).is_finite
    assert all(same(b, weights(network)) for b, network in zip(before, networks, strict=True))


def test_a_class_nobody_contoured_stays_in_the_maps_the_second_discriminator_calls_labelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from importlib import import_module

    module, seen = import_module("napari_ganseg.training.step"), []
    whole = module.second_step
    monkeypatch.setattr(module, "second_step", lambda *given: seen.append(given[1]) or whole(*given))
    config = config_with(ALONE["adversary"])
    state = a_state(config)
    labelled, unlabelled = batches(config, 50)
    expected = soft(state.generator(labelled.image))
    train_step(state, labelled._replace(missing=torch.tensor([[False, True]] * 2)), config, 50, unlabelled)
    assert torch.allclose(seen[0], expected, atol=1e-6)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_training_goes_on_from_a_checkpoint_as_if_it_had_not_stopped(dims: int, tmp_path: Path) -> None:
    config = config_with(BOTH, dims)
    state = a_state(config)
    for step in range(4):
        if step == 2:
            save_state(tmp_path, state.modules, state.optimisers, {})
            other = a_state(config)
            assert load_state(tmp_path, other.modules, other.optimisers) == {}
        labelled, unlabelled = batches(config, step)
        train_step(state, labelled, config, step, unlabelled)
    for step in (2, 3):
        labelled, unlabelled = batches(config, step)
        train_step(other, labelled, config, step, unlabelled)
    assert set(state.modules) == {"generator", "average", "second"}
    assert all(same(weights(module), weights(other.modules[name])) for name, module in state.modules.items())


def test_a_second_discriminator_with_nothing_to_teach_is_silenced_alone() -> None:
    limits, seen = Limits(losing_steps=10), Seen(rest=4, accuracy=0.8)
    for _ in range(9):
        seen = watch_second(seen, 0.4, limits, is_active=True)
    assert seen.second_scale == 1
    seen = watch_second(seen, 0.4, limits, is_active=True)
    assert (seen.second_scale, seen.scale, seen.rest, seen.accuracy) == (0, 1, 4, 0.8)
    assert watch_second(replace(seen, second_scale=1.0), 0.4, limits, is_active=False).second_scale == 1


def test_the_state_remembers_what_the_second_discriminator_did() -> None:
    state = State.start(nn.Conv2d(1, 2, 1), tiny_config(2))
    judge(state, Figures(1.0, second_weight=0.1, second_accuracy=0.4, foreground=(0.0, 0.2)), Limits())
    assert state.seen == replace(Seen(), second_accuracy=0.498, second_losing=1, collapsed=1)


def test_a_collapse_takes_half_of_both_weights() -> None:
    seen, _ = watch_collapse(Seen(collapsed=99), 0.0, 0.1, Limits())
    assert (seen.scale, seen.second_scale) == (0.5, 0.5)


def test_an_old_configuration_knows_nothing_of_unlabelled_images_and_needs_none() -> None:
    text = config_to_json(tiny_config())
    assert not config_from_json(text).unlabelled.is_used
    assert config_from_json(config_to_json(config_with(BOTH))) == config_with(BOTH)
