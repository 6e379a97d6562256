"""The probe: a seeded input and what the network made of it, so that a loaded model can show that it still does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_ganseg.errors import ModelError
from napari_ganseg.models.card import Card, Probe
from napari_ganseg.networks import divisor

if TYPE_CHECKING:
    from torch import nn

SEED = 20261120
COUNT = 16
TOLERANCE = 1e-4


def probe(card: Card, network: nn.Module, seed: int = SEED) -> Probe:
    """Run the network on seeded noise and keep some of its probabilities."""
    shape = probe_shape(card)
    return Probe(seed, shape, tuple(round(float(p), 6) for p in probe_values(card, network, seed, shape)))


def probe_shape(card: Card) -> tuple[int, ...]:
    """Size of the probe's input: small, but two voxels per axis are left at the network's bottom."""
    return tuple(max(32, 2 * d) for d in divisor(card.arch))


def check_probe(card: Card, network: nn.Module) -> None:
    """Refuse a model that does not compute what it did when it was saved."""
    if card.probe is None or card.probe.shape != probe_shape(card) or len(card.probe.probabilities) != COUNT:
        raise ModelError("its card has no probe, or one of another size than its network needs.")
    values = probe_values(card, network, card.probe.seed, card.probe.shape)
    if not np.abs(values - card.probe.probabilities).max() <= TOLERANCE:  # NaN differs too
        raise ModelError(
            "it does not compute what it did when it was saved; the file or this machine's torch is faulty."
        )


def probe_values(card: Card, network: nn.Module, seed: int, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Some probabilities, spread over the output."""
    import torch

    noise = np.random.default_rng(seed).standard_normal((1, len(card.channels), *shape), dtype=np.float32)
    with torch.inference_mode():
        probabilities = network(torch.from_numpy(noise)).float().softmax(1).flatten().numpy()
    picks = np.linspace(0, len(probabilities) - 1, COUNT).astype(int)
    return np.asarray(probabilities[picks], dtype=np.float64)
