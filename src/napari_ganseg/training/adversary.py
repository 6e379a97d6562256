"""The adversary's arithmetic: what the discriminator is shown, which of its verdicts count, and both losses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import mannwhitneyu
from torch import Tensor, nn

from napari_ganseg.networks.discriminator import build_discriminator, receptive_field
from napari_ganseg.training import ranks
from napari_ganseg.training.config import TrainConfig
from napari_ganseg.training.guards import Seen, is_ready
from napari_ganseg.training.losses import UNKNOWN


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """What the discriminator sees of one batch.

    Attributes:
        image: (batch, c, ...); where planes are judged, (planes, c, y, x), and so are the others.
        real: one-hot truth (batch, classes, ...), zero where unknown.
        fake: the generator's own hard map, zero where unknown; carries its gradient.
        known: (batch, 1, ...) one where the truth is known.
    """

    image: Tensor
    real: Tensor
    fake: Tensor
    known: Tensor


def build_critic(config: TrainConfig, device: torch.device) -> nn.Module | None:
    """A fresh discriminator, 2D where it judges planes; None where its weight is zero."""
    a, card = config.adversary, config.card
    if a.weight == 0:
        return None
    channels = len(card.channels) + card.out_channels + 1  # image, one map per class, what is known
    dims = 2 if a.planes else card.dims
    return build_discriminator(a.arch, dims=dims, in_channels=channels, seed=config.seed + 1).to(device)


def judged_pairs(image: Tensor, logits: Tensor, target: Tensor, config: TrainConfig) -> Pairs:
    """What the discriminator of a configuration is shown of a batch: all of it, or planes, perhaps none."""
    whole = pairs(image, logits, target)
    return in_planes(whole, config.adversary.arch.layers) if config.adversary.planes else whole


def pairs(image: Tensor, logits: Tensor, target: Tensor) -> Pairs:
    """Hard maps on both sides, unknown voxels zeroed alike: softness or a border would give the fake away.

    Args:
        image: (batch, c, ...).
        logits: (batch, classes, ...) of the generator.
        target: (batch, 1, ...) class index, 255 where unknown.
    """
    known = (target != UNKNOWN).float()
    classes = logits.shape[1]
    truth = F.one_hot(torch.where(target == UNKNOWN, 0, target)[:, 0].long(), classes).movedim(-1, 1).float()
    return Pairs(image, truth * known, straight_through(logits) * known, known)


def in_planes(shown: Pairs, layers: int) -> Pairs:
    """The planes across the first axis in which a verdict counts, of all items together.

    Args:
        shown: pairs of volumes, (batch, c, z, y, x).
        layers: of the discriminator.
    """
    known = as_planes(shown.known)
    chosen = whole_fields(1 - known, layers).flatten(1).any(1)
    image, real, fake = (as_planes(x)[chosen] for x in (shown.image, shown.real, shown.fake))
    return Pairs(image, real, fake, known[chosen])


def evened(shown: Pairs) -> Pairs | None:
    """Pairs of which nothing is known added until every process has as many; None where there is none at all."""
    count = ranks.most(len(shown.image), shown.image.device)
    if count == 0:
        return None
    return Pairs(*(lengthened(x, count) for x in (shown.image, shown.real, shown.fake, shown.known)))


def lengthened(x: Tensor, count: int) -> Tensor:
    """(n, ...) with zeros behind it, up to (count, ...)."""
    return x if len(x) == count else torch.cat([x, x.new_zeros(count - len(x), *x.shape[1:])])


def as_planes(x: Tensor) -> Tensor:
    """(batch, c, z, y, x) as (batch * z, c, y, x)."""
    return x.transpose(1, 2).flatten(0, 1)


def straight_through(logits: Tensor) -> Tensor:
    """The one-hot of the largest logit, exactly 0 and 1, whose gradient is the softmax's (Bengio 2013).

    The softmax is float32 and the sum in this order: `onehot + p - p.detach()` is not exact, and the discriminator
    would learn to see that instead of the anatomy.
    """
    p = logits.float().softmax(1)
    onehot = torch.zeros_like(p).scatter_(1, p.argmax(1, keepdim=True), 1.0)
    return p + (onehot - p).detach()


def judge(discriminator: nn.Module, image: Tensor, segmentation: Tensor, known: Tensor) -> Tensor:
    """Logits for (image, segmentation) pairs: positive means "looks like the truth"."""
    return verdicts(discriminator, torch.cat([image, segmentation, known], 1))


def verdicts(discriminator: nn.Module, shown: Tensor) -> Tensor:
    """Logits for whatever a discriminator is shown, (batch, channels, ...)."""
    logits: Tensor = discriminator(shown)[-1]  # MONAI's gives every layer's output
    return logits.float()


def counted(known: Tensor, logits: Tensor, layers: int) -> Tensor:
    """Which logits count: those whose whole receptive field is known. (batch, 1, ...) of 0 and 1."""
    mask = whole_fields(1 - known, layers)
    for axis, size in enumerate(logits.shape[2:], start=2):
        mask = mask.narrow(axis, 0, size)
    return mask


def whole_fields(unknown: Tensor, layers: int) -> Tensor:
    """One where the receptive field of a logit holds nothing unknown, (batch, 1, ...) of 0 and 1."""
    field = receptive_field(layers)
    max_pool = F.max_pool3d if unknown.dim() == 5 else F.max_pool2d
    return 1 - max_pool(unknown, field, 2**layers, field // 2)


def discriminator_loss(real: Tensor, fake: Tensor, mask: Tensor) -> Tensor:
    """-E[log D(x, y)] - E[log(1 - D(x, G(x)))] (Goodfellow 2014, patch-wise Isola 2017), over counted logits."""
    return masked_mean(F.softplus(-real), mask) + masked_mean(F.softplus(fake), mask)


def generator_loss(fake: Tensor, mask: Tensor) -> Tensor:
    """-E[log D(x, G(x))], the non-saturating form, over counted logits."""
    return masked_mean(F.softplus(-fake), mask)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the ones of a mask; zero, with a gradient of zero, where there are none."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def accuracy(real: Tensor, fake: Tensor, mask: Tensor) -> float:
    """Balanced accuracy of the verdicts that count: 0.5 is guessing."""
    return float(masked_mean((real > 0).float(), mask) + masked_mean((fake <= 0).float(), mask)) / 2


def weight_at(step: int, config: TrainConfig, seen: Seen) -> float:
    """Lambda of a step: zero during the warm-up and while D has learnt nothing, then rising to the full weight.

    The guards scale it: down where its gradient would drown the segmentation's, to zero where D has nothing to teach.
    """
    a = config.adversary
    return a.weight * risen(step, config) * seen.scale * seen.cap if is_ready(seen, a.limits) else 0.0


def risen(step: int, config: TrainConfig) -> float:
    """Share of its full weight that an adversary may have at a step."""
    after = step / config.steps - config.adversary.warm_up
    return min(1.0, after / config.adversary.ramp) if after > 0 else 0.0


def gradient_ratio(segmentation: Tensor, adversarial: Tensor, generator: nn.Module) -> float:
    """|gradient of the adversarial loss| / |gradient of the segmentation loss| at the generator's last layer."""
    last = last_weight(generator)
    norms = [
        float(ranks.averaged(torch.autograd.grad(loss, last, retain_graph=True)[0]).norm())
        for loss in (adversarial, segmentation)
    ]
    return norms[0] / max(norms[1], 1e-12)


def last_weight(generator: nn.Module) -> Tensor:
    """The weight of the last convolution, which makes the logits."""
    return next(p for p in reversed(list(generator.parameters())) if p.dim() >= 4)


def noisy(segmentation: Tensor, seed: int, step: int, side: int) -> Tensor:
    """A map with noise of 0.1 on it: instance noise keeps a winning discriminator from a perfect score."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + step) * 2 + side)
    noise = torch.randn(len(segmentation) * ranks.world(), *segmentation.shape[1:], generator=generator)
    return segmentation + 0.1 * noise[ranks.part()].to(segmentation.device)


def auroc(discriminator: nn.Module, shown: Iterable[Pairs], layers: int) -> float | None:
    """How well D ranks real above fake logits, over pairs it never learnt from; 0.5 is guessing."""
    real, fake = [np.empty(0)], [np.empty(0)]
    with torch.inference_mode():
        for p in shown:
            on_real = judge(discriminator, p.image, p.real, p.known)
            on_fake = judge(discriminator, p.image, p.fake, p.known)
            mask = counted(p.known, on_real, layers) > 0
            real.append(on_real[mask].cpu().numpy())
            fake.append(on_fake[mask].cpu().numpy())
    a, b = np.concatenate(real), np.concatenate(fake)
    if not len(a) or not len(b):
        return None
    return float(mannwhitneyu(a, b).statistic / (len(a) * len(b)))
