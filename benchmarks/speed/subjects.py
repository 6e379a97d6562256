"""What is segmented: a scan at its model's spacing, and a network with any number of classes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from napari_ganseg.io import read
from napari_ganseg.models import Card, Model, find_model
from napari_ganseg.models.card import CardClass, FieldOfView, Postprocessing, Preprocessing
from napari_ganseg.networks import Arch, build_generator
from napari_ganseg.volume import Array, Volume, identity_affine

Network = Literal["shipped", "unet", "one convolution"]
SHIPPED, SAMPLE = "headneck-ct", Path("sample_volumes/sample_ct.nii.gz")
ARCH = Arch("DynUNet", (16, 32, 64, 128), ((2, 2, 2),) * 3)
PATCH = (96, 96, 96)
HU = Preprocessing("ct_window", {"low": -1000.0, "high": 1000.0, "mean": 0.0, "std": 200.0})
PERIOD, SMOOTH, SPREAD_HU = 160, 6.0, 200.0  # voxels after which the scan repeats, and of its Gaussian; its deviation
NEVER = -100.0  # logit of a class that only costs time


@dataclass(frozen=True, eq=False)
class Subject:
    """A scan at its model's spacing and the model: what all ways are given."""

    volume: Volume
    model: Model
    device: torch.device

    @cached_property
    def image(self) -> Tensor:
        """(1, channels, z, y, x) scaled as the card says, on the device: what MONAI's call is given."""
        prepared = self.model.card.preprocessing.intensity().apply(self.volume).array
        return torch.from_numpy(prepared)[(None,) * (5 - prepared.ndim)].to(self.device)


def subject_of(
    shape: Sequence[int], classes: int, network: Network = "unet", patch: Sequence[int] = PATCH, device: str = "cpu"
) -> Subject:
    """A scan of some shape (z, y, x) and a network for it, both the same every time.

    Args:
        shape: voxels (z, y, x).
        classes: without background.
        network: "shipped" is trained, sees the sample scan, and brings its own patch; the others have random weights.
        patch: voxels of MONAI's windows, and what the engine is told.
        device: where the network computes.
    """
    place = torch.device(device)
    if network == "shipped":
        model = widened(find_model(SHIPPED), classes)
        scanned = sample(shape, model.card.spacing)
    else:
        card = card_of(classes, patch)
        model = Model(card, random_network(card, network), "")
        scanned = Volume(array=smooth_noise(shape))
    return Subject(scanned, replace(model, network=model.network.to(place)), place)


def smooth_noise(shape: Sequence[int], seed: int = 0) -> Array:
    """(z, y, x) int16 in which classes have regions, as cheap for a billion voxels as for a million."""
    lengths = [min(PERIOD, n) for n in shape]
    noise = np.random.default_rng(seed).normal(size=lengths).astype(np.float32)
    smooth = ndimage.gaussian_filter(noise, SMOOTH, mode="wrap")
    made = (smooth * (SPREAD_HU / smooth.std())).astype(np.int16)
    for axis, (n, length) in enumerate(zip(shape, lengths, strict=True)):
        copies = [made] * ceil(n / length)
        made = np.concatenate(copies, axis)[(slice(None),) * axis + (slice(n),)]
    return np.ascontiguousarray(made)


def sample(shape: Sequence[int], spacing_mm: Sequence[float]) -> Volume:
    """The scan that comes with the project, stretched to a shape, as if its voxels were as large as the model's."""
    array = read(SAMPLE).array
    zoom = [wanted / n for wanted, n in zip(shape, array.shape, strict=True)]
    stretched = ndimage.zoom(array.astype(np.float32), zoom, order=1)
    z, y, x = spacing_mm
    return Volume(array=stretched.astype(np.int16), affine=identity_affine((z, y, x)))


def card_of(classes: int, patch: Sequence[int]) -> Card:
    """A card for 1 mm voxels with values around those of soft tissue."""
    return Card(
        name="speed", summary="random weights", modality="CT", arch=ARCH, dims=3, classes=named(classes),
        channels=("CT",), preprocessing=HU, spacing=(1.0,) * 3, patch=tuple(patch),
        field_of_view=FieldOfView("anything", (1.0,) * 3, (5000.0,) * 3), licence="BSD-3-Clause",
    )  # fmt: skip


def named(classes: int) -> tuple[CardClass, ...]:
    """So many classes."""
    return tuple(CardClass(value, f"class {value}", "#3182bd") for value in range(1, classes + 1))


def random_network(card: Card, network: Network) -> nn.Module:
    """The card's own, or a single convolution where only what surrounds it is of interest."""
    if network == "unet":
        return build_generator(card.arch, dims=3, in_channels=1, out_channels=card.out_channels).eval()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return nn.Conv3d(1, card.out_channels, 3, padding=1).eval()


def widened(model: Model, classes: int) -> Model:
    """A trained model with more classes, which cost what classes cost and never win, or with fewer."""
    network = copy.deepcopy(model.network).eval()
    holder = network.get_submodule("output_block.conv")
    old, kept = holder.conv, min(classes, len(model.card.classes)) + 1
    assert isinstance(old, nn.Conv3d)
    assert old.bias is not None
    new = nn.Conv3d(old.in_channels, classes + 1, 1)
    with torch.no_grad():
        new.weight.zero_()[:kept] = old.weight[:kept]
        assert new.bias is not None
        new.bias.fill_(NEVER)[:kept] = old.bias[:kept]
    holder.conv = new
    view = FieldOfView("anything", (1.0,) * 3, (5000.0,) * 3)
    card = replace(model.card, classes=named(classes), postprocessing=Postprocessing(), field_of_view=view)
    return Model(card, network, "")
