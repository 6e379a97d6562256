"""What the loop does when a guard fires: go back to the last good state, or to the best average."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from napari_ganseg.networks import fill_weights, weights_of
from napari_ganseg.training.guards import (
    Action,
    Limits,
    watch_accuracy,
    watch_collapse,
    watch_finite,
    watch_ratio,
    watch_second,
)
from napari_ganseg.training.state import Figures, State


class Snapshot:
    """A copy of networks and optimisers, taken at every validation."""

    def __init__(self, state: State) -> None:
        self._weights = {name: copies(module) for name, module in state.modules.items()}
        self._optimisers = {name: copy.deepcopy(o.state_dict()) for name, o in state.optimisers.items()}

    def restore(self, state: State) -> None:
        """Bring a training back to it; what the guards remember stays."""
        for name, module in state.modules.items():
            fill_weights(module, self._weights[name])
        for name, optimiser in state.optimisers.items():
            optimiser.load_state_dict(copy.deepcopy(self._optimisers[name]))


def copies(module: nn.Module) -> dict[str, torch.Tensor]:
    """A network's tensors, copied."""
    return {name: tensor.detach().clone() for name, tensor in weights_of(module).items()}


def judge(state: State, figures: Figures, limits: Limits) -> Action:
    """Let every guard look at a step; the state remembers what they saw."""
    seen, action = watch_finite(state.seen, figures.loss if figures.is_finite else math.nan, limits)
    if figures.accuracy is not None:
        seen = watch_accuracy(seen, figures.accuracy, limits, is_active=figures.weight > 0)
    if figures.second_accuracy is not None:
        seen = watch_second(seen, figures.second_accuracy, limits, is_active=figures.second_weight > 0)
    if figures.ratio is not None:
        seen = watch_ratio(seen, figures.ratio, limits)
    collapse = Action.GO_ON
    if figures.weight > 0 or figures.second_weight > 0:
        seen, collapse = watch_collapse(seen, *figures.foreground, limits)
    state.seen = seen
    return action if action is not Action.GO_ON else collapse


def recover(action: Action, state: State, snapshot: Snapshot, best: nn.Module) -> None:
    """Do what a guard asked for; skipping an update needs nothing more."""
    if action is Action.ROLL_BACK:
        snapshot.restore(state)
    elif action is Action.RESTORE_BEST:
        fill_weights(state.generator, weights_of(best))
        fill_weights(state.average, weights_of(best))
