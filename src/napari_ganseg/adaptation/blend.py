"""A part of the way back: the mean of adapted and original weights keeps most of the gain and forgets less."""

from __future__ import annotations

import copy

import torch

from napari_ganseg.models import Model
from napari_ganseg.networks import weights_of


@torch.no_grad()
def blended(before: Model, after: Model, share: float) -> Model:
    """The adapted model with `share` of its own weights and the rest of the original's (WiSE-FT, Wortsman 2022)."""
    network, own = copy.deepcopy(after.network), weights_of(before.network)
    for name, weight in weights_of(network).items():
        if weight.is_floating_point():
            weight.lerp_(own[name].to(weight.device), 1 - share)
    return Model(after.card, network, after.sha256)
