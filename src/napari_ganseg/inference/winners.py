"""The best class of every voxel."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_ganseg.errors import ComputeError
from napari_ganseg.volume import Array


def winners(scores: Tensor) -> Array:
    """The class with the highest of (classes, ...) scores, as uint8 or int16; ties go to the first, background.

    On a CPU class by class, each through one small buffer: `argmax` over the first axis takes ten times as long there.

    Raises:
        ComputeError: a score is not a number; the best of nothing would be a silent background.
    """
    best, found = in_turn(scores) if scores.device.type == "cpu" else at_once(scores)
    if not np.isfinite(best).all():
        raise ComputeError("The network computed NaN. Try the CPU as device; please report it if that fails too.")
    return found


def in_turn(scores: Tensor) -> tuple[Array, Array]:
    """The highest score and its class, class by class."""
    buffer = torch.empty(scores.shape[1:])
    score, best = buffer.numpy(), scores[0].float().numpy().copy()
    found = np.zeros(best.shape, kind_for(len(scores)))
    is_better = np.empty(best.shape, np.bool_)
    number_there = is_better.view(np.uint8) if found.dtype == np.uint8 else np.empty(best.shape, found.dtype)
    for number in range(1, len(scores)):
        buffer.copy_(scores[number])
        np.greater(score, best, out=is_better)
        np.maximum(best, score, out=best)
        np.multiply(is_better.view(np.uint8), found.dtype.type(number), out=number_there)
        np.maximum(found, number_there, out=found)
    return best, found


def at_once(scores: Tensor) -> tuple[Array, Array]:
    """The same on another device."""
    best, found = scores.max(0)
    return best.float().cpu().numpy(), found.cpu().numpy().astype(kind_for(len(scores)))


def kind_for(classes: int) -> np.dtype[Any]:
    """The integers that hold the numbers of so many classes."""
    return np.dtype(np.uint8 if classes <= 256 else np.int16)
