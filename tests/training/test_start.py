"""Starting from another model: what fits comes along, classes by value and name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from builders import make_card, random_model
from torch import nn

from napari_ganseg.errors import UsageError
from napari_ganseg.models import Card
from napari_ganseg.networks import Arch, build_generator, weights_of
from napari_ganseg.training.start import Kept, dependent, start_from


def fresh(card: Card) -> nn.Module:
    sizes: Any = {"in_channels": len(card.channels), "out_channels": card.out_channels}
    return build_generator(card.arch, dims=card.dims, seed=9, **sizes)


def differing(network: nn.Module, parent: nn.Module) -> set[str]:
    old = weights_of(parent)
    return {n for n, t in weights_of(network).items() if t.shape != old[n].shape or not torch.equal(t, old[n])}


def test_the_same_classes_take_everything_over() -> None:
    parent, card = random_model(), make_card(classes=2)
    network = fresh(card)
    kept = start_from(network, card, parent)
    assert not differing(network, parent.network)
    assert kept == Kept(len(weights_of(network)), ("organ 1", "organ 2"), ())


def test_an_exchanged_order_of_classes_exchanges_the_outputs() -> None:
    parent, card = random_model(), make_card(classes=2)
    card = replace(card, classes=card.classes[::-1])
    network = fresh(card).eval()
    start_from(network, card, parent)
    x = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        assert torch.allclose(network(x)[:, [0, 2, 1]], parent.network(x), atol=1e-5)


def test_a_new_class_begins_afresh_and_the_old_ones_come_along() -> None:
    parent, card = random_model(), make_card(classes=3)
    network = fresh(card).eval()
    kept = start_from(network, card, parent)
    x = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        assert torch.allclose(network(x)[:, :3], parent.network(x), atol=1e-5)
    assert kept.classes == ("organ 1", "organ 2")


def test_a_class_of_another_name_does_not_come_along() -> None:
    card = make_card(classes=2)
    card = replace(card, classes=(card.classes[0], replace(card.classes[1], name="tumour")))
    assert start_from(fresh(card), card, random_model()).classes == ("organ 1",)


def test_more_input_channels_answer_as_one_did_when_all_are_alike() -> None:
    parent, card = random_model(), make_card(classes=2, channels=("T1", "T2", "FLAIR"))
    network = fresh(card).eval()
    start_from(network, card, parent)
    x = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        assert torch.allclose(network(x.expand(1, 3, 16, 16, 16)), parent.network(x), atol=1e-4)


@pytest.mark.parametrize("name", ["UNet", "SegResNet"])
def test_every_network_can_start_with_other_classes(name: Any) -> None:
    arch = Arch(name, (8, 16, 32), ((2, 2, 2),) * 2)
    parent, card = random_model(arch=arch), make_card(classes=4, arch=arch)
    network = fresh(card)
    kept = start_from(network, card, parent)
    assert kept.whole > 10
    assert differing(network, parent.network) <= dependent(card, out_channels=1)


def test_another_network_is_refused() -> None:
    card = make_card(arch=Arch("UNet", (8, 16), ((2, 2, 2),)))
    with pytest.raises(UsageError, match=r"tiny is a 3D DynUNet of .* to train a 3D UNet of"):
        start_from(fresh(card), card, random_model())
