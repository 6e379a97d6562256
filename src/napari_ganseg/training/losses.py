"""The supervised loss: Dice plus cross-entropy, unknown voxels ignored."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from monai.losses import DiceLoss
from torch import Tensor

UNKNOWN = 255  # exists only inside a training tensor

_dice = DiceLoss(include_background=False, to_onehot_y=True, softmax=True, batch=True, ignore_index=UNKNOWN)


def segmentation_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Dice over the batch, without background, plus cross-entropy, both over known voxels only.

    Args:
        logits: (batch, classes, ...), background first.
        target: (batch, 1, ...) class index, 255 where unknown.
    """
    logits = logits.float()
    if not bool((target != UNKNOWN).any()):
        return logits.sum() * 0.0
    cross_entropy = F.cross_entropy(logits, target[:, 0].long(), ignore_index=UNKNOWN)
    return torch.as_tensor(_dice(logits, target)) + cross_entropy
