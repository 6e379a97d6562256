"""Between an adapted and an original model."""

from __future__ import annotations

import pytest
import torch
from builders import random_model

from napari_ganseg.adaptation.blend import blended
from napari_ganseg.models import Model


def two() -> tuple[Model, Model]:
    """An original, and one whose every weight is one larger."""
    before, after = random_model(2), random_model(2)
    for weight in after.network.parameters():
        weight.data += 1
    return before, after


@pytest.mark.parametrize("share", [0.0, 0.25, 0.75, 1.0])
def test_every_weight_is_so_far_on_the_way(share: float) -> None:
    before, after = two()
    made = blended(before, after, share)
    for weight, own in zip(made.network.parameters(), before.network.parameters(), strict=True):
        assert torch.allclose(weight, own + share, atol=1e-6)


def test_neither_of_both_changes_and_the_card_is_the_adapted_ones() -> None:
    before, after = two()
    kept = [[w.clone() for w in model.network.parameters()] for model in (before, after)]
    made = blended(before, after, 0.5)
    assert made.card is after.card
    for model, weights in zip((before, after), kept, strict=True):
        assert all(torch.equal(w, k) for w, k in zip(model.network.parameters(), weights, strict=True))
