"""The supervised loss: Dice plus cross-entropy, unknown voxels and classes nobody contoured left out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from monai.losses import DiceLoss
from torch import Tensor

UNKNOWN = 255  # exists only inside a training tensor
NONE = -1e4  # logit of a class that cannot be: finite, so that nothing multiplies zero by infinity

_dice = DiceLoss(include_background=False, to_onehot_y=True, softmax=True, batch=True, ignore_index=UNKNOWN)


def segmentation_loss(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Dice over the batch, without background, plus cross-entropy, both over known voxels only.

    Args:
        logits: (batch, classes, ...), background first.
        target: (batch, 1, ...) class index, 255 where unknown.
        class_weights: (classes,) of the cross-entropy, for classes that are rare.
    """
    logits = logits.float()
    if not bool((target != UNKNOWN).any()):
        return logits.sum() * 0.0
    cross_entropy = F.cross_entropy(logits, target[:, 0].long(), class_weights, ignore_index=UNKNOWN)
    return torch.as_tensor(_dice(logits, target)) + cross_entropy


def merge_missing(logits: Tensor, missing: Tensor) -> Tensor:
    """Add the probabilities of classes nobody contoured in a case to its background.

    There "background" in the truth means "background or one of these", so neither loss nor discriminator may see a
    difference. The log of the summed probability takes the background's place; the missing class keeps next to none.

    Args:
        logits: (batch, classes, ...), background first.
        missing: (batch, classes) boolean; background is never missing.
    """
    if not bool(missing.any()):
        return logits
    shape = (*missing.shape, *[1] * (logits.dim() - 2))
    joined = missing.clone()
    joined[:, 0] = True
    logits = logits.float()
    background = logits.masked_fill(~joined.reshape(shape), -torch.inf).logsumexp(1, keepdim=True)
    rest = logits[:, 1:].masked_fill(missing[:, 1:].reshape(shape[0], shape[1] - 1, *shape[2:]), NONE)
    return torch.cat([background, rest], 1)
