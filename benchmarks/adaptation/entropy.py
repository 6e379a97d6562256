"""The control that many papers start from: affine parameters of the norm layers, moved to make a model surer (TENT)."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from napari_ganseg.adaptation.options import BATCH, augmentation
from napari_ganseg.models import Model
from napari_ganseg.training.unlabelled_samples import prepare_image, unlabelled_batch
from napari_ganseg.volume import Volume

RATE = 1e-3


def sharpened(model: Model, target: Sequence[Volume], steps: int, seed: int) -> Model | None:
    """Minimise the entropy on new scans; None where the norm layers have nothing to move (Wang 2021)."""
    network = copy.deepcopy(model.network).train().requires_grad_(False)
    moved = [p for module in network.modules() if is_norm(module) for p in module.parameters()]
    if not moved:
        return None
    for parameter in moved:
        parameter.requires_grad_(True)
    optimiser = torch.optim.Adam(moved, lr=RATE)
    images = [prepare_image(volume, model.card) for volume in target]
    for step in range(steps):
        batch = unlabelled_batch(images, model.card, augmentation(model.card), seed, step, BATCH[model.card.dims])
        p = network(batch.weak).float().softmax(1)
        loss = -(p * p.clamp(min=1e-6).log()).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return Model(model.card, network.eval().requires_grad_(False), "")


def is_norm(module: nn.Module) -> bool:
    """Whether a layer normalises and has parameters of its own."""
    return "Norm" in type(module).__name__ and any(True for _ in module.parameters(recurse=False))
