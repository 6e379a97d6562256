"""What a training changes, and what each of its steps measured."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch
from torch import nn

from napari_ganseg.training import ranks
from napari_ganseg.training.config import TrainConfig
from napari_ganseg.training.guards import Seen


@dataclass(slots=True, eq=False)
class State:
    """What a training changes.

    Attributes:
        generator: learns to segment.
        average: exponential moving average of the generator; validates and is shipped.
        optimiser: of the generator.
        discriminator, critic_optimiser: learn to tell the generator's maps from the truth; None without an adversary.
        seen: what the guards remember.
        second, second_optimiser: learn to tell soft maps of unlabelled images from those of labelled ones, or None.
        shared: the generator, as several processes share its gradients; itself where there is one.
    """

    generator: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    discriminator: nn.Module | None = None
    critic_optimiser: torch.optim.Optimizer | None = None
    seen: Seen = field(default_factory=Seen)
    second: nn.Module | None = None
    second_optimiser: torch.optim.Optimizer | None = None
    shared: nn.Module = field(init=False)

    def __post_init__(self) -> None:
        self.shared = ranks.parallel(self.generator)

    @classmethod
    def start(
        cls,
        generator: nn.Module,
        config: TrainConfig,
        discriminator: nn.Module | None = None,
        second: nn.Module | None = None,
    ) -> State:
        """A fresh state around the networks."""
        optimiser = torch.optim.AdamW(generator.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        state = cls(generator, copy.deepcopy(generator).eval().requires_grad_(False), optimiser, discriminator)
        if discriminator is not None:
            state.critic_optimiser = critic_adam(discriminator, config.adversary.learning_rate)
        if second is not None:
            state.second, state.second_optimiser = second, critic_adam(second, config.unlabelled.learning_rate)
        return state

    @property
    def modules(self) -> dict[str, nn.Module]:
        """Networks by name, as a checkpoint keeps them."""
        networks: dict[str, nn.Module] = {"generator": self.generator, "average": self.average}
        critics = {"discriminator": self.discriminator, "second": self.second}
        return networks | {name: critic for name, critic in critics.items() if critic is not None}

    @property
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Optimisers by name, as a checkpoint keeps them."""
        critics = {"critic_optimiser": self.critic_optimiser, "second_optimiser": self.second_optimiser}
        return {"optimiser": self.optimiser} | {name: o for name, o in critics.items() if o is not None}


def critic_adam(critic: nn.Module, rate: float) -> torch.optim.Adam:
    """The optimiser of a discriminator."""
    return torch.optim.Adam(critic.parameters(), lr=rate, betas=(0.5, 0.99))


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
        consistency, mu: 1 - Dice with the average on unlabelled images, None without them, and its weight.
        second, second_accuracy: loss and balanced accuracy of the second discriminator; None while it does not learn.
        second_adversarial, second_weight: -E[log D2(G(x))] on unlabelled images, 0 while it is silent, and its lambda.
    """

    loss: float
    adversarial: float = 0.0
    weight: float = 0.0
    discriminator: float | None = None
    accuracy: float | None = None
    ratio: float | None = None
    foreground: tuple[float, float] = (0.0, 0.0)
    is_finite: bool = True
    consistency: float | None = None
    mu: float = 0.0
    second: float | None = None
    second_accuracy: float | None = None
    second_adversarial: float = 0.0
    second_weight: float = 0.0
