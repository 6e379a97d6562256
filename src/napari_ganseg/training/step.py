"""One training step, as the paper has it: forward, discriminator step, generator step, average."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from napari_ganseg.networks import weights_of
from napari_ganseg.training import adversary
from napari_ganseg.training.adversary import Pairs
from napari_ganseg.training.config import TrainConfig
from napari_ganseg.training.guards import Seen
from napari_ganseg.training.losses import UNKNOWN, merge_missing, segmentation_loss
from napari_ganseg.training.samples import Batch

RATIO_EVERY = 10  # steps between two measurements of the gradients' ratio


@dataclass(slots=True, eq=False)
class State:
    """What a training changes.

    Attributes:
        generator: learns to segment.
        average: exponential moving average of the generator; validates and is shipped.
        optimiser: of the generator.
        discriminator, critic_optimiser: learn to tell the generator's maps from the truth; None without an adversary.
        seen: what the guards remember.
    """

    generator: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    discriminator: nn.ModuleList | None = None
    critic_optimiser: torch.optim.Optimizer | None = None
    seen: Seen = field(default_factory=Seen)

    @classmethod
    def start(cls, generator: nn.Module, config: TrainConfig, discriminator: nn.ModuleList | None = None) -> State:
        """A fresh state around the networks."""
        optimiser = torch.optim.AdamW(generator.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        state = cls(generator, copy.deepcopy(generator).eval().requires_grad_(False), optimiser, discriminator)
        if discriminator is not None:
            rate = config.adversary.learning_rate
            state.critic_optimiser = torch.optim.Adam(discriminator.parameters(), lr=rate, betas=(0.5, 0.99))
        return state

    @property
    def modules(self) -> dict[str, nn.Module]:
        """Networks by name, as a checkpoint keeps them."""
        networks: dict[str, nn.Module] = {"generator": self.generator, "average": self.average}
        return networks | ({"discriminator": self.discriminator} if self.discriminator is not None else {})

    @property
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Optimisers by name, as a checkpoint keeps them."""
        critics = {"critic_optimiser": self.critic_optimiser} if self.critic_optimiser is not None else {}
        return {"optimiser": self.optimiser, **critics}


@dataclass(frozen=True, slots=True)
class Figures:
    """What one step measured.

    Attributes:
        loss: Dice + cross-entropy.
        adversarial: -E[log D(x, G(x))], 0 while the adversary is silent.
        weight: lambda of this step.
        discriminator, accuracy: loss and balanced accuracy of D; None while it does not learn.
        ratio: lambda * |adversarial gradient| / |segmentation gradient| at G's last layer, every tenth step.
        foreground: share of the known voxels that G calls foreground, and that are.
        is_finite: whether G was updated; a gradient that is no number is not applied.
    """

    loss: float
    adversarial: float = 0.0
    weight: float = 0.0
    discriminator: float | None = None
    accuracy: float | None = None
    ratio: float | None = None
    foreground: tuple[float, float] = (0.0, 0.0)
    is_finite: bool = True


def train_step(state: State, batch: Batch, config: TrainConfig, step: int) -> Figures:
    """Update D on one batch with G frozen, then G with D frozen, then the average.

    Args:
        state: changed in place.
        batch: images, targets and missing classes, on the networks' device.
        config: of the training.
        step: from 0; decides the learning rate, lambda and the warm-up of the average.
    """
    for group in state.optimiser.param_groups:
        group["lr"] = config.learning_rate * state.seen.rate * (1 - step / config.steps) ** 0.9
    state.generator.train()
    with precision(config, batch.image.device):
        logits = merge_missing(state.generator(batch.image), batch.missing)
    weight, shown = 0.0, None
    figures = Figures(0.0, foreground=foreground(logits, batch.target))
    if state.discriminator is not None and step >= config.adversary.begin * config.steps:
        shown = adversary.pairs(batch.image, logits, batch.target)
        figures = discriminator_step(state, shown, config, step, figures)
        weight = adversary.weight_at(step, config, state.seen)
    return generator_step(state, logits, batch.target, config, step, replace(figures, weight=weight), shown)


def discriminator_step(state: State, shown: Pairs, config: TrainConfig, step: int, figures: Figures) -> Figures:
    """Raise D's logits on real pairs and lower them on fake ones; G is not touched."""
    critic, optimiser = state.discriminator, state.critic_optimiser
    if critic is None or optimiser is None:
        return figures
    critic.requires_grad_(True)
    real, fake = shown.real, shown.fake.detach()
    if state.seen.rest > 1:
        real, fake = (adversary.noisy(m, config.seed, step, side) for side, m in enumerate((real, fake)))
    with precision(config, shown.image.device):
        on_real = adversary.judge(critic, shown.image, real, shown.known)
        on_fake = adversary.judge(critic, shown.image, fake, shown.known)
    masks = adversary.counted(shown.known, on_real, config.adversary.arch.layers)
    loss = adversary.discriminator_loss(on_real, on_fake, masks)
    if step % state.seen.rest == 0 and bool(loss.isfinite()):
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(critic.parameters(), 1.0)
        optimiser.step()
    return replace(figures, discriminator=float(loss.detach()), accuracy=adversary.accuracy(on_real, on_fake, masks))


def generator_step(
    state: State, logits: Tensor, target: Tensor, config: TrainConfig, step: int, figures: Figures, shown: Pairs | None
) -> Figures:
    """Lower Dice + cross-entropy + lambda * -E[log D(x, G(x))]; D is not touched."""
    segmentation = loss = segmentation_loss(logits, target, class_weights(config, logits.device))
    if shown is not None and figures.weight > 0 and state.discriminator is not None:
        state.discriminator.requires_grad_(False)
        with precision(config, logits.device):
            on_fake = adversary.judge(state.discriminator, shown.image, shown.fake, shown.known)
        masks = adversary.counted(shown.known, on_fake, config.adversary.arch.layers)
        adversarial = adversary.generator_loss(on_fake, masks)
        figures = replace(figures, adversarial=float(adversarial.detach()))
        if step % RATIO_EVERY == 0:
            ratio = figures.weight * adversary.gradient_ratio(segmentation, adversarial, state.generator)
            figures = replace(figures, ratio=ratio)
        loss = segmentation + figures.weight * adversarial
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(state.generator.parameters(), config.clip_norm)
    is_finite = bool(norm.isfinite()) and bool(loss.isfinite())
    if is_finite:
        state.optimiser.step()
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
    """bfloat16 on processors that compute it natively, float32 elsewhere."""
    if config.precision == "auto" and has_bfloat16(device):
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is fast here, not merely emulated."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    flags = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, flag, lambda: False)() for flag in flags)
