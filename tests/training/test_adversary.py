"""The adversary's arithmetic against values worked out by hand, and what may move when."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from builders import blob_cases, tiny_config
from torch import Tensor, nn

from napari_ganseg.networks import weights_of
from napari_ganseg.networks.discriminator import DiscriminatorArch, build_discriminator, receptive_field
from napari_ganseg.training import adversary, fit
from napari_ganseg.training.config import Adversary, TrainConfig
from napari_ganseg.training.guards import Limits, Seen
from napari_ganseg.training.losses import merge_missing, segmentation_loss
from napari_ganseg.training.samples import Batch
from napari_ganseg.training.step import State, discriminator_step, generator_step, train_step

AT_ONCE = Adversary(weight=0.5, begin=0.0, warm_up=0.0, ramp=0.01, limits=Limits(ready=0.0))


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(1)) * 5


@pytest.fixture
def target() -> Tensor:
    return torch.randint(0, 3, (2, 1, 24, 24), generator=torch.Generator().manual_seed(2)).to(torch.uint8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_straight_through_map_is_one_hot_to_the_bit(logits: Tensor, dtype: torch.dtype) -> None:
    hard = adversary.straight_through(logits.to(dtype))
    onehot = nn.functional.one_hot(logits.to(dtype).argmax(1), 3).movedim(-1, 1).float()
    assert torch.equal(hard, onehot)
    assert not torch.equal(logits.float().softmax(1), onehot)  # its soft twin fails the same check


def test_the_straight_through_gradient_is_the_softmaxs(logits: Tensor) -> None:
    push = torch.randn(logits.shape, generator=torch.Generator().manual_seed(3))
    hard, soft = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    (adversary.straight_through(hard) * push).sum().backward()
    (soft.softmax(1) * push).sum().backward()
    assert torch.allclose(hard.grad, soft.grad)  # type: ignore[arg-type]


def test_unknown_voxels_are_zero_in_both_maps(logits: Tensor, target: Tensor) -> None:
    target[:, :, :5] = 255
    shown = adversary.pairs(torch.zeros(2, 1, 24, 24), logits, target)
    assert shown.real[:, :, :5].sum() == shown.fake[:, :, :5].sum() == shown.known[:, :, :5].sum() == 0
    assert torch.equal(shown.real[:, :, 5:].sum(1), torch.ones(2, 19, 24))


def test_both_losses_by_hand() -> None:
    real, fake, mask = torch.tensor([2.0, 9.0]), torch.tensor([-1.0, 9.0]), torch.tensor([1.0, 0.0])
    on_real, on_fake = 1 / (1 + math.exp(-2.0)), 1 / (1 + math.exp(1.0))
    assert adversary.discriminator_loss(real, fake, mask) == pytest.approx(-math.log(on_real) - math.log(1 - on_fake))
    assert adversary.generator_loss(fake, mask) == pytest.approx(-math.log(on_fake))
    assert adversary.accuracy(real, fake, mask) == 1.0


def test_no_logit_that_counts_makes_no_loss_and_no_nan() -> None:
    logits = torch.zeros(1, 1, 4, 4, requires_grad=True)
    loss = adversary.generator_loss(logits, torch.zeros(1, 1, 4, 4))
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()  # type: ignore[union-attr]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_logit_counts_only_where_all_it_sees_is_known(layers: int) -> None:
    """Compared with the gradient: the voxels that a logit depends on, without the norm that looks at everything."""
    critic = build_discriminator(DiscriminatorArch(layers=layers), dims=2, in_channels=1)
    for name, module in list(critic.named_modules()):
        if isinstance(module, nn.InstanceNorm2d):
            parent = critic.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], nn.Identity())
    image = torch.randn(1, 1, 64, 64, requires_grad=True)
    logits = critic(image)[-1]
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    rows = torch.nonzero(image.grad[0, 0].abs().sum(1))[:, 0]  # type: ignore[index]
    assert (len(rows), int(rows.float().mean())) == (receptive_field(layers), middle * 2**layers)
    known = torch.ones(1, 1, 64, 64)
    known[0, 0, int(rows[-1]), 5:60] = 0
    assert adversary.counted(known, logits, layers)[0, 0, middle, middle] == 0
    known = torch.ones(1, 1, 64, 64)
    known[0, 0, int(rows[-1]) + 1 :] = 0
    assert adversary.counted(known, logits, layers)[0, 0, middle, middle] == 1


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("size", [32, 33, 35])
def test_a_map_of_verdicts_and_a_mask_of_its_size(dims: int, size: int) -> None:
    shape, arch = (size,) * dims, DiscriminatorArch(channels=4, layers=2)
    critic = build_discriminator(arch, dims=dims, in_channels=1 + 2 + 1)
    image, known = torch.randn(1, 1, *shape), torch.ones(1, 1, *shape)
    verdicts = adversary.judge(critic, image, torch.randn(1, 2, *shape), known)
    assert verdicts.shape == adversary.counted(known, verdicts, 2).shape


PLANES = replace(AT_ONCE, planes=True)


def painted(*planes: int) -> Tensor:
    """(2, 1, 6, 24, 24) targets of class 1 in front; the second item knows these planes, the first nothing."""
    target = torch.full((2, 1, 6, 24, 24), 255, dtype=torch.uint8)
    for z in planes:
        target[1, :, z] = 0
        target[1, :, z, :12] = 1
    return target


@pytest.fixture
def volume() -> Tensor:
    return torch.randn(2, 1, 6, 24, 24, generator=torch.Generator().manual_seed(4))


@pytest.fixture
def planar(volume: Tensor) -> Tensor:
    return torch.cat([volume, -volume], 1)


def test_planes_of_all_items_are_judged_where_enough_is_known(volume: Tensor, planar: Tensor) -> None:
    target = painted(1, 4, 5)
    target[0, :, 2] = 1
    target[1, :, 5, ::7, ::7] = 255  # no receptive field of this one is whole
    shown = adversary.judged_pairs(volume, planar, target, tiny_config(adversary=PLANES))
    assert shown is not None
    assert torch.equal(shown.image, torch.stack([volume[0, :, 2], volume[1, :, 1], volume[1, :, 4]]))
    assert torch.equal(shown.real[:, 1], torch.stack([target[0, 0, 2], target[1, 0, 1], target[1, 0, 4]]).float())
    assert torch.equal(shown.fake.argmax(1), torch.stack([planar[0, :, 2], planar[1, :, 1], planar[1, :, 4]]).argmax(1))


def test_what_is_unknown_in_a_judged_plane_is_zero_in_both_maps(volume: Tensor, planar: Tensor) -> None:
    target = painted(3)
    target[1, :, 3, :, 20:] = 255
    shown = adversary.judged_pairs(volume, planar, target, tiny_config(adversary=PLANES))
    assert shown is not None
    for zeroed in (shown.real, shown.fake, shown.known):
        assert not zeroed[..., 20:].any()
        assert torch.equal(zeroed[..., :20].sum(1), torch.ones(1, 24, 20))


def test_the_adversarys_gradient_comes_from_known_planes_alone(volume: Tensor, planar: Tensor) -> None:
    config = tiny_config(adversary=PLANES)
    critic, logits = adversary.build_critic(config, torch.device("cpu")), planar.requires_grad_()
    assert critic is not None
    shown = adversary.judged_pairs(volume, logits, painted(1, 4), config)
    assert shown is not None
    on_fake = adversary.judge(critic, shown.image, shown.fake, shown.known)
    adversary.generator_loss(on_fake, adversary.counted(shown.known, on_fake, 2)).backward()
    assert logits.grad is not None
    assert {tuple(place) for place in logits.grad.abs().sum((1, 3, 4)).nonzero().tolist()} == {(1, 1), (1, 4)}


@pytest.mark.parametrize("known", [(), (2,)])
def test_without_a_plane_to_judge_a_step_is_the_plain_one(volume: Tensor, known: tuple[int, ...]) -> None:
    """Nothing known, or too little of a plane: D stays as it is, and G learns what it would without an adversary."""
    target = painted(*known)
    target[:, :, :, ::7, ::7] = 255
    batch = Batch(volume, target, torch.zeros(2, 2).bool())
    config = tiny_config(adversary=PLANES, precision="float32")
    twin = tiny_config(precision="float32")
    generator = nn.Conv3d(1, 2, 3, padding=1)
    state = State.start(copy.deepcopy(generator), config, adversary.build_critic(config, torch.device("cpu")))
    plain, critic = State.start(generator, twin), weights(state.discriminator)  # type: ignore[arg-type]
    figures = train_step(state, batch, config, 3)
    assert figures == train_step(plain, batch, twin, 3)
    assert (figures.weight, figures.accuracy, figures.is_finite) == (0.0, None, True)
    assert same(critic, weights(state.discriminator))  # type: ignore[arg-type]
    assert same(weights(plain.generator), weights(state.generator))


def test_a_step_with_planes_moves_both_networks(volume: Tensor) -> None:
    config = tiny_config(adversary=PLANES, precision="float32", steps=100)
    state = State.start(nn.Conv3d(1, 2, 3, padding=1), config, adversary.build_critic(config, torch.device("cpu")))
    critic = weights(state.discriminator)  # type: ignore[arg-type]
    figures = train_step(state, Batch(volume, painted(1, 4), torch.zeros(2, 2).bool()), config, 50)
    assert figures.weight == adversary.weight_at(50, tiny_config(adversary=AT_ONCE, steps=100), Seen()) == 0.5
    assert figures.ratio is not None
    assert figures.ratio > 0
    assert not same(critic, weights(state.discriminator))  # type: ignore[arg-type]


def test_auroc_of_no_planes_is_not_known() -> None:
    assert adversary.auroc(nn.Module(), [], 2) is None


def test_missing_classes_are_added_to_background() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0]]).reshape(1, 3, 1, 1)
    p = logits.softmax(1).flatten().tolist()
    merged = merge_missing(logits, torch.tensor([[False, True, False]])).softmax(1).flatten()
    assert merged.tolist() == pytest.approx([p[0] + p[1], 0.0, p[2]], abs=1e-6)
    assert torch.equal(merge_missing(logits, torch.zeros(1, 3, dtype=torch.bool)), logits)


def test_calling_a_missing_class_costs_nothing_and_a_known_one_does() -> None:
    target = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    calls_one = torch.tensor([0.0, 20.0, 0.0]).reshape(1, 3, 1, 1).expand(1, 3, 4, 4)
    missing = torch.tensor([[False, True, False]])
    assert nn.functional.cross_entropy(merge_missing(calls_one, missing), target[:, 0].long()) < 1e-3
    assert segmentation_loss(calls_one, target) > 5


def a_state(config: TrainConfig) -> tuple[State, Batch]:
    generator = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    critic = build_discriminator(config.adversary.arch, dims=2, in_channels=1 + 2 + 1)
    image = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    return State.start(generator, config, critic), Batch(image, (image > 0).to(torch.uint8), torch.zeros(2, 2).bool())


def weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: t.detach().clone() for name, t in weights_of(network).items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(t, second[name]) for name, t in first.items())


def test_each_step_moves_one_network_and_freezes_the_other() -> None:
    config = tiny_config(2, adversary=AT_ONCE, precision="float32")
    state, batch = a_state(config)
    generator, critic = weights(state.generator), weights(state.discriminator)  # type: ignore[arg-type]
    logits = state.generator(batch.image)
    shown = adversary.pairs(batch.image, logits, batch.target)
    figures = discriminator_step(state, shown, config, 1, replace(empty(), weight=0.5))
    assert same(generator, weights(state.generator))
    assert not same(critic, weights(state.discriminator))  # type: ignore[arg-type]
    critic = weights(state.discriminator)  # type: ignore[arg-type]
    generator_step(state, logits, batch.target, config, 1, figures, shown)
    assert same(critic, weights(state.discriminator))  # type: ignore[arg-type]
    assert not same(generator, weights(state.generator))


def empty() -> object:
    from napari_ganseg.training.step import Figures

    return Figures(0.0)


def test_the_generators_gradient_is_the_segmentations_plus_lambda_times_the_adversarys() -> None:
    config = tiny_config(2, adversary=AT_ONCE, precision="float32", clip_norm=1e9, steps=100)
    state, batch = a_state(config)
    twin, critic = copy.deepcopy(state.generator), state.discriminator
    figures = train_step(state, batch, config, 50)
    logits = twin(batch.image)
    shown = adversary.pairs(batch.image, logits, batch.target)
    on_fake = adversary.judge(critic, shown.image, shown.fake, shown.known)  # type: ignore[arg-type]
    mask = adversary.counted(shown.known, on_fake, config.adversary.arch.layers)
    loss = segmentation_loss(logits, batch.target) + 0.5 * adversary.generator_loss(on_fake, mask)
    loss.backward()
    assert figures.weight == 0.5
    for mine, by_hand in zip(state.generator.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(mine.grad, by_hand.grad, atol=1e-6)  # type: ignore[arg-type]


def test_lambda_rises_after_the_warm_up_and_only_while_the_discriminator_has_learnt_something() -> None:
    config = tiny_config(steps=100, adversary=Adversary(weight=0.4, warm_up=0.2, ramp=0.2, limits=Limits(ready=0.6)))
    able, unable = Seen(accuracy=0.7), Seen(accuracy=0.55)
    assert [adversary.weight_at(s, config, able) for s in (0, 19, 20, 30, 40, 99)] == pytest.approx(
        [0, 0, 0, 0.2, 0.4, 0.4]
    )
    assert adversary.weight_at(99, config, unable) == 0
    assert adversary.weight_at(99, config, Seen(accuracy=0.7, scale=0.5)) == pytest.approx(0.2)


def test_an_adversary_that_never_speaks_leaves_the_plain_network_bit_for_bit() -> None:
    """D learns beside it from the first step; G, its average and the best one are those of no adversary at all."""
    silent = Adversary(weight=0.5, begin=0.0, warm_up=1.0)
    plain = fit(blob_cases(2), tiny_config(2)).result
    beside = fit(blob_cases(2), tiny_config(2, adversary=silent)).result
    assert same(weights(plain.network), weights(beside.network))
    assert beside.card.adversary.verdict == "supervised"
    assert beside.card.adversary.lambda_share == 0


def test_the_card_says_what_the_adversary_did() -> None:
    card = fit(blob_cases(2), tiny_config(2, adversary=AT_ONCE)).result.card.adversary
    assert card.lambda_share >= 0.5
    assert card.auroc is not None
    assert 0 <= card.auroc <= 1
    assert card.dice_with is not None


def test_auroc_is_half_for_a_critic_that_cannot_tell_and_one_for_a_perfect_one() -> None:
    class Perfect(nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            return [x[:, 1:2, ::4, ::4] * 2 - 1]

    image, known = torch.zeros(1, 1, 64, 64), torch.ones(1, 1, 64, 64)
    real, fake = torch.ones(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
    shown = adversary.Pairs(image, real, fake, known)
    critic = Perfect()
    assert adversary.auroc(critic, [shown], 2) == 1.0
    assert adversary.auroc(critic, [replace(shown, fake=real)], 2) == 0.5
