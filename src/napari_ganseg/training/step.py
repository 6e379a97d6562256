"""One training step, as the paper has it: forward, discriminator step, generator step, average."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import torch
from torch import Tensor, nn

from napari_ganseg.inference.precision import arithmetic
from napari_ganseg.networks import weights_of
from napari_ganseg.training import adversary, ranks
from napari_ganseg.training.adversary import Pairs, verdicts
from napari_ganseg.training.config import TrainConfig
from napari_ganseg.training.losses import UNKNOWN, merge_missing, segmentation_loss
from napari_ganseg.training.samples import Batch
from napari_ganseg.training.state import Figures, State
from napari_ganseg.training.unlabelled import (
    consistency,
    fooling_loss,
    mu_at,
    second_accuracy,
    second_loss,
    second_weight_at,
    soft,
)
from napari_ganseg.training.unlabelled_samples import UnlabelledBatch

__all__ = ["Figures", "State", "train_step"]
RATIO_EVERY = 10  # steps between two measurements of the gradients' ratio


def train_step(
    state: State, batch: Batch, config: TrainConfig, step: int, unlabelled: UnlabelledBatch | None = None
) -> Figures:
    """Update D (and D2) on one batch with G frozen, then G with both frozen, then the average.

    Args:
        state: changed in place.
        batch: images, targets and missing classes, on the networks' device; of several processes, this one's share.
        config: of the training.
        step: from 0; decides the learning rate, lambda and the warm-up of the average.
        unlabelled: views of images without labels; ignored where the configuration gives them no weight.
    """
    for group in state.optimiser.param_groups:
        group["lr"] = config.learning_rate * state.seen.rate * (1 - step / config.steps) ** 0.9
    state.generator.train()
    with precision(config, batch.image.device):
        whole = state.shared(batch.image)
        own = merge_missing(whole, batch.missing)
    logits, target = ranks.joined(own), ranks.joined(batch.target)
    weight, shown, further = 0.0, None, None
    figures = Figures(0.0, foreground=foreground(logits, target))
    if state.discriminator is not None and step >= config.adversary.begin * config.steps:
        shown = adversary.evened(adversary.judged_pairs(batch.image, own, batch.target, config))
    if shown is not None:
        figures = discriminator_step(state, shown, config, step, figures)
        weight = adversary.weight_at(step, config, state.seen)
    figures = replace(figures, weight=weight)
    if unlabelled is not None and config.unlabelled.is_used:
        further, figures = unlabelled_loss(state, whole, unlabelled, config, step, figures)
    return generator_step(state, logits, target, config, step, figures, shown, further)


def discriminator_step(state: State, shown: Pairs, config: TrainConfig, step: int, figures: Figures) -> Figures:
    """Raise D's logits on real pairs and lower them on fake ones; G is not touched."""
    critic, optimiser = state.discriminator, state.critic_optimiser
    if critic is None or optimiser is None:
        return figures
    critic.requires_grad_(True)
    real, fake = shown.real, shown.fake.detach()
    if state.seen.rest > 1:
        real, fake = (adversary.noisy(m, config.seed, step, side) for side, m in enumerate((real, fake)))
    on_real, on_fake = (judged(critic, shown, segmentation, config) for segmentation in (real, fake))
    mask = adversary.counted(ranks.joined(shown.known), on_real, config.adversary.arch.layers)
    loss = adversary.discriminator_loss(on_real, on_fake, mask)
    if step % state.seen.rest == 0:
        learn(critic, optimiser, loss)
    return replace(figures, discriminator=float(loss.detach()), accuracy=adversary.accuracy(on_real, on_fake, mask))


def judged(critic: nn.Module, shown: Pairs, segmentation: Tensor, config: TrainConfig) -> Tensor:
    """What D thinks of real or fake maps, those of all processes together."""
    with precision(config, shown.image.device):
        logits = adversary.judge(critic, shown.image, segmentation, shown.known)
    return ranks.joined(logits)


def learn(critic: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One update of a discriminator; a loss or gradient that is no number is not applied."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    ranks.average_gradients(critic)
    norm = nn.utils.clip_grad_norm_(critic.parameters(), 1.0)
    if bool(loss.isfinite()) and bool(norm.isfinite()):
        optimiser.step()


def unlabelled_loss(
    state: State, whole: Tensor, images: UnlabelledBatch, config: TrainConfig, step: int, figures: Figures
) -> tuple[Tensor, Figures]:
    """mu * consistency + lambda2 * -E[log D2(G(x))] over unlabelled images; D2 learns on the way, with G frozen.

    Args:
        state: of which only D2 is changed.
        whole: (batch, classes, ...) logits on the labelled images, no class merged away.
        images: views of images without labels.
        config, step, figures: of this step.
    """
    loss = torch.zeros((), device=whole.device)
    if config.unlabelled.consistency > 0:
        with precision(config, whole.device):
            distance = consistency(state.shared, state.average, images, config, step)
        figures = replace(figures, consistency=float(distance.detach()), mu=mu_at(step, config))
        loss = loss + figures.mu * distance
    if state.second is not None and step >= config.adversary.begin * config.steps:
        weight = second_weight_at(step, config, state.seen)
        with torch.set_grad_enabled(weight > 0), precision(config, whole.device):
            fake = soft(state.shared(images.strong))
        figures = second_step(state, soft(whole), fake, config, replace(figures, second_weight=weight))
        if weight > 0:
            state.second.requires_grad_(False)
            fooling = fooling_loss(opinion(state.second, fake, config))
            figures = replace(figures, second_adversarial=float(fooling.detach()))
            loss = loss + weight * fooling
    return loss, figures


def second_step(state: State, real: Tensor, fake: Tensor, config: TrainConfig, figures: Figures) -> Figures:
    """Raise D2's logits on labelled images' soft maps and lower them on unlabelled ones'; G is not touched."""
    critic, optimiser = state.second, state.second_optimiser
    if critic is None or optimiser is None:
        return figures
    critic.requires_grad_(True)
    on_real, on_fake = (opinion(critic, maps.detach(), config) for maps in (real, fake))
    loss = second_loss(on_real, on_fake)
    learn(critic, optimiser, loss)
    return replace(figures, second=float(loss.detach()), second_accuracy=second_accuracy(on_real, on_fake))


def opinion(second: nn.Module, maps: Tensor, config: TrainConfig) -> Tensor:
    """What D2 thinks of soft maps, those of all processes together."""
    with precision(config, maps.device):
        logits = verdicts(second, maps)
    return ranks.joined(logits)


def generator_step(
    state: State,
    logits: Tensor,
    target: Tensor,
    config: TrainConfig,
    step: int,
    figures: Figures,
    shown: Pairs | None,
    further: Tensor | None = None,
) -> Figures:
    """Lower Dice + cross-entropy + lambda * -E[log D(x, G(x))] + what unlabelled images add; D is not touched."""
    segmentation = loss = segmentation_loss(logits, target, class_weights(config, logits.device))
    if shown is not None and figures.weight > 0 and state.discriminator is not None:
        state.discriminator.requires_grad_(False)
        on_fake = judged(state.discriminator, shown, shown.fake, config)
        mask = adversary.counted(ranks.joined(shown.known), on_fake, config.adversary.arch.layers)
        adversarial = adversary.generator_loss(on_fake, mask)
        figures = replace(figures, adversarial=float(adversarial.detach()))
        if step % RATIO_EVERY == 0:
            ratio = figures.weight * adversary.gradient_ratio(segmentation, adversarial, state.generator)
            figures = replace(figures, ratio=ratio)
        loss = segmentation + figures.weight * adversarial
    if further is not None:
        loss = loss + further
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(state.generator.parameters(), config.clip_norm)
    is_finite = bool(norm.isfinite()) and bool(loss.isfinite())
    if is_finite:
        state.optimiser.step()
        ranks.share_buffers(state.generator)
        follow(state.average, state.generator, min(config.ema, 1 - 1 / (step + 1)))
    return replace(figures, loss=float(segmentation.detach()), is_finite=is_finite)


def class_weights(config: TrainConfig, device: torch.device) -> Tensor | None:
    """Weights of the cross-entropy, where the configuration gives any."""
    return torch.tensor(config.class_weights, device=device) if config.class_weights else None


@torch.no_grad()
def foreground(logits: Tensor, target: Tensor) -> tuple[float, float]:
    """Share of the known voxels that G calls foreground, and that are."""
    known = target[:, 0] != UNKNOWN
    count = known.sum().clamp(min=1)
    predicted = ((logits.argmax(1) > 0) & known).sum() / count
    return float(predicted), float(((target[:, 0] > 0) & known).sum() / count)


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the average towards the network."""
    for a, b in zip(weights_of(average).values(), weights_of(network).values(), strict=True):
        if a.is_floating_point():
            a.lerp_(b, 1 - decay)
        else:
            a.copy_(b)


def precision(config: TrainConfig, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """What the configuration wants to compute with."""
    return arithmetic(config.precision, device)
