"""What images without labels teach: a teacher's consistency over mixed views, and a discriminator of soft maps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_ganseg.networks.discriminator import build_discriminator
from napari_ganseg.training import ranks
from napari_ganseg.training.adversary import masked_mean, risen
from napari_ganseg.training.config import TrainConfig
from napari_ganseg.training.guards import Seen
from napari_ganseg.training.unlabelled_samples import UnlabelledBatch

BOX = 15_485_863  # keeps a box's random numbers apart from the samples'


def build_second(config: TrainConfig, device: torch.device) -> nn.Module | None:
    """A fresh second discriminator, which sees one soft map per class and no image; None where its weight is zero."""
    if config.unlabelled.adversary == 0:
        return None
    card = config.card
    second = build_discriminator(
        config.unlabelled.arch, dims=card.dims, in_channels=card.out_channels, seed=config.seed + 2
    )
    return second.to(device)


def consistency(
    student: nn.Module, teacher: nn.Module, images: UnlabelledBatch, config: TrainConfig, step: int
) -> Tensor:
    """How far a student, on mixed strong views, is from its teacher, on weak ones (Tarvainen 2017, French 2020)."""
    box = box_at(images.weak.shape[2:], config.unlabelled.cut_mix, config.seed, step)
    with torch.no_grad():
        taught = mixed(ranks.joined(soft(teacher(images.weak))), box)
    strong = mixed(ranks.joined(images.strong), box)[ranks.part()]
    return consistency_loss(ranks.joined(student(strong)), taught, config.unlabelled.threshold)


def soft(logits: Tensor) -> Tensor:
    """Probabilities in float32, (batch, classes, ...)."""
    return logits.float().softmax(1)


def box_at(shape: Sequence[int], share: float, seed: int, step: int) -> tuple[slice, ...]:
    """A box of a share of the patch, in its proportions, at a place that seed and step decide."""
    rng = np.random.default_rng([seed, step, BOX])
    sides = [round(n * share ** (1 / len(shape))) for n in shape]
    starts = [int(rng.integers(0, n - side + 1)) for n, side in zip(shape, sides, strict=True)]
    return tuple(slice(start, start + side) for start, side in zip(starts, sides, strict=True))


def mixed(x: Tensor, box: tuple[slice, ...]) -> Tensor:
    """(batch, c, ...) whose box comes from the item before; one alone keeps its own."""
    made, inside = x.clone(), (slice(None), slice(None), *box)
    made[inside] = x.roll(1, 0)[inside]
    return made


def consistency_loss(logits: Tensor, taught: Tensor, threshold: float) -> Tensor:
    """1 - Dice against the teacher's hard map, over its sure voxels and the foreground classes it finds among them.

    Hard, since Dice against a soft map is not largest where both agree. Zero where the teacher is sure of no class.

    Args:
        logits: (batch, classes, ...) of the student, background first.
        taught: (batch, classes, ...) probabilities of the teacher.
        threshold: a voxel counts where the largest of them is above.
    """
    largest, best = taught.max(1, keepdim=True)
    is_sure = (largest > threshold).float()
    truth = torch.zeros_like(taught).scatter_(1, best, 1.0) * is_sure
    p = soft(logits) * is_sure
    axes = (0, *range(2, p.dim()))
    overlap, found = (p * truth).sum(axes)[1:], truth.sum(axes)[1:]
    dice = 2 * overlap / (p.sum(axes)[1:] + found).clamp(min=1e-6)
    return masked_mean(1 - dice, (found > 0).float())


def mu_at(step: int, config: TrainConfig) -> float:
    """Weight of the consistency: consistency * exp(-5 (1 - t / T)^2) up to T, then all of it (Laine 2017)."""
    u = config.unlabelled
    done = min(1.0, step / (u.ramp * config.steps))
    return u.consistency * math.exp(-5 * (1 - done) ** 2)


def second_weight_at(step: int, config: TrainConfig, seen: Seen) -> float:
    """Lambda of the second discriminator: risen as the first one's, zero while it has nothing to teach."""
    if seen.second_accuracy < config.adversary.limits.ready:
        return 0.0
    return config.unlabelled.adversary * risen(step, config) * seen.second_scale


def second_loss(on_labelled: Tensor, on_unlabelled: Tensor) -> Tensor:
    """-E[log D(G(x))] over labelled x - E[log(1 - D(G(x)))] over unlabelled x, soft maps both."""
    return F.softplus(-on_labelled).mean() + F.softplus(on_unlabelled).mean()


def fooling_loss(on_unlabelled: Tensor) -> Tensor:
    """-E[log D(G(x))] over unlabelled x, the non-saturating form."""
    return F.softplus(-on_unlabelled).mean()


def second_accuracy(on_labelled: Tensor, on_unlabelled: Tensor) -> float:
    """Balanced accuracy: 0.5 is guessing."""
    return float((on_labelled > 0).float().mean() + (on_unlabelled <= 0).float().mean()) / 2
