"""One training step, as the paper has it: forward, loss, backward, update, average."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from napari_ganseg.networks import weights_of
from napari_ganseg.training.config import TrainConfig
from napari_ganseg.training.losses import segmentation_loss


@dataclass(slots=True, eq=False)
class State:
    """What a training changes.

    Attributes:
        generator: learns.
        average: exponential moving average of the generator; validates and is shipped.
        optimiser: of the generator.
    """

    generator: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer

    @classmethod
    def start(cls, generator: nn.Module, config: TrainConfig) -> State:
        """A fresh state around a generator."""
        optimiser = torch.optim.AdamW(generator.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        average = copy.deepcopy(generator).eval().requires_grad_(False)
        return cls(generator, average, optimiser)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """Networks by name, as a checkpoint keeps them."""
        return {"generator": self.generator, "average": self.average}

    @property
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Optimisers by name, as a checkpoint keeps them."""
        return {"optimiser": self.optimiser}


def train_step(state: State, image: Tensor, target: Tensor, config: TrainConfig, step: int) -> float:
    """Update the generator on one batch; return the loss.

    Args:
        state: changed in place.
        image: (batch, c, ...) float32.
        target: (batch, 1, ...) class index, 255 where unknown.
        config: of the training.
        step: from 0; decides the learning rate and the warm-up of the average.
    """
    for group in state.optimiser.param_groups:
        group["lr"] = config.learning_rate * (1 - step / config.steps) ** 0.9
    state.generator.train()
    with precision(config, image.device):
        logits = state.generator(image)
    loss = segmentation_loss(logits, target)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.generator.parameters(), config.clip_norm)
    state.optimiser.step()
    follow(state.average, state.generator, min(config.ema, 1 - 1 / (step + 1)))
    return float(loss.detach())


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
