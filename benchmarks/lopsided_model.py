"""A test model that labels something everywhere and sees left from right: seeded weights, biases set on one volume."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import numpy as np
import torch

from napari_ganseg.models import Card, Model
from napari_ganseg.models.card import CardClass, FieldOfView, Preprocessing
from napari_ganseg.networks import Arch, build_generator
from napari_ganseg.volume import Volume

CLASSES = 3
SEED = 7
BLOCK = 48  # voxels along each axis of the block that is enough to see asymmetry


def lopsided_model(volume: Volume) -> Model:
    """A real U-Net at the volume's own spacing, which gives every class its share of the volume."""
    card = Card(
        name="lopsided", summary="for tests", modality="any", arch=Arch("UNet", (8, 16), ((2, 2, 2),), 0), dims=3,
        classes=tuple(CardClass(v, f"class {v}", "#808080") for v in range(1, CLASSES + 1)), channels=("any",),
        preprocessing=Preprocessing("z_score", {}), spacing=tuple(float(s) for s in volume.spacing_mm),
        patch=(64, 64, 64), licence="BSD-3-Clause",
        field_of_view=FieldOfView("anything", (0.001,) * 3, (10_000.0,) * 3),
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = build_generator(card.arch, dims=3, in_channels=1, out_channels=CLASSES + 1).eval()
    balance(network, prepared(card, volume))
    return Model(card, network, "0" * 64)


def prepared(card: Card, volume: Volume) -> Any:
    """The voxels as the network sees them, cut to even sizes of at most 128."""
    sizes = [min(n, 128) // 2 * 2 for n in volume.shape]
    array = card.preprocessing.intensity().apply(volume).array
    return np.ascontiguousarray(
        array[tuple(slice((n - s) // 2, (n + s) // 2) for n, s in zip(volume.shape, sizes, strict=True))]
    )


def balance(network: torch.nn.Module, array: Any) -> None:
    """Shift the last layer's biases until the classes share the volume evenly."""
    bias = [p for p in network.parameters() if p.shape == (CLASSES + 1,)][-1]
    with torch.inference_mode():
        logits = network(torch.from_numpy(array)[None, None])[0].flatten(1)[:, ::5]
    shift = torch.zeros(CLASSES + 1, 1)
    step = float(logits.std()) / 4
    for _ in range(400):
        share = torch.bincount((logits + shift).argmax(0), minlength=CLASSES + 1) / logits.shape[1]
        shift -= step * (share - 1 / (CLASSES + 1))[:, None]
    with torch.no_grad():
        bias += shift[:, 0]


def least_disagreement(model: Model, volume: Volume) -> float:
    """Over all mirrorings and swaps of axes, the least share of voxels whose label depends on them."""
    array = prepared(model.card, volume)
    size = min(BLOCK, *array.shape)
    block = array[tuple(slice((n - size) // 2, (n + size) // 2) for n in array.shape)]
    upright = labelled(model, block)
    shares = []
    for axes, flips in product(permutations(range(3)), product((1, -1), repeat=3)):
        if axes == (0, 1, 2) and flips == (1, 1, 1):
            continue
        steps = tuple(slice(None, None, f) for f in flips)
        turned = labelled(model, np.ascontiguousarray(block.transpose(axes)[steps]))
        shares.append(float((turned != upright.transpose(axes)[steps]).mean()))
    return min(shares)


def labelled(model: Model, array: Any) -> Any:
    """The class of each voxel, in one pass."""
    with torch.inference_mode():
        return model.network(torch.from_numpy(array)[None, None])[0].argmax(0).numpy()
