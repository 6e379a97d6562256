"""Dice plus cross-entropy, by hand; what is unknown has no say."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_ganseg.training.losses import UNKNOWN, segmentation_loss


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)


@pytest.fixture
def target() -> Tensor:
    return torch.randint(0, 3, (2, 1, 4, 5), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def by_hand(logits: Tensor, target: Tensor) -> Tensor:
    """Soft Dice over the batch per foreground class, and the mean of -log p, over known voxels alone."""
    known = (target != UNKNOWN).float()
    p = logits.softmax(1)
    truth = F.one_hot(torch.where(target == UNKNOWN, 0, target)[:, 0].long(), logits.shape[1]).movedim(-1, 1) * known
    axes = (0, 2, 3)
    both, sizes = (p * truth).sum(axes), (p * known).sum(axes) + truth.sum(axes)
    dice = 1 - (2 * both + 1e-5) / (sizes + 1e-5)
    return dice[1:].mean() - (truth * p.log()).sum() / known.sum()


def test_the_loss_is_the_formula(logits: Tensor, target: Tensor) -> None:
    assert segmentation_loss(logits, target).item() == pytest.approx(by_hand(logits, target).item(), abs=1e-5)


def test_the_loss_is_the_formula_where_voxels_are_unknown(logits: Tensor, target: Tensor) -> None:
    target[0, 0, 1:3] = target[1, 0, :, 2] = UNKNOWN
    assert segmentation_loss(logits, target).item() == pytest.approx(by_hand(logits, target).item(), abs=1e-5)


def test_a_single_voxel_by_hand() -> None:
    logits, target = torch.zeros(1, 2, 1, 1), torch.ones(1, 1, 1, 1, dtype=torch.uint8)
    assert segmentation_loss(logits, target).item() == pytest.approx(1 - 1 / 1.5 + math.log(2), abs=1e-4)


def test_unknown_voxels_have_exactly_no_gradient(logits: Tensor, target: Tensor) -> None:
    target[0, 0, 1:3] = UNKNOWN
    segmentation_loss(logits, target).backward()
    assert logits.grad is not None
    assert torch.count_nonzero(logits.grad[0, :, 1:3]) == 0
    assert torch.count_nonzero(logits.grad[1]) == logits.grad[1].numel()


def test_what_stands_at_unknown_voxels_changes_nothing(logits: Tensor, target: Tensor) -> None:
    target[0, 0, 1:3] = UNKNOWN
    other = logits.detach().clone()
    other[0, :, 1:3] = 50.0
    assert segmentation_loss(other, target).item() == pytest.approx(segmentation_loss(logits, target).item(), abs=1e-6)


def test_a_batch_of_unknown_voxels_teaches_nothing(logits: Tensor) -> None:
    loss = segmentation_loss(logits, torch.full((2, 1, 4, 5), UNKNOWN, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert torch.count_nonzero(logits.grad) == 0


def test_a_perfect_answer_costs_next_to_nothing(target: Tensor) -> None:
    perfect = 40 * F.one_hot(target[:, 0].long(), 3).movedim(-1, 1).float()
    assert segmentation_loss(perfect, target).item() == pytest.approx(0, abs=1e-4)
    assert segmentation_loss(-perfect, target).item() > 5


def test_half_precision_is_widened_first(logits: Tensor, target: Tensor) -> None:
    loss = segmentation_loss(logits.bfloat16(), target)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(segmentation_loss(logits, target).item(), abs=0.02)
