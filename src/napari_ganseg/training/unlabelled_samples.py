"""From images without labels to training tensors: a weak view for the teacher and a strong one of the same crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from monai import transforms as mt
from torch import Tensor

from napari_ganseg import grid
from napari_ganseg.errors import UsageError
from napari_ganseg.inference.domain import finite
from napari_ganseg.models import Card
from napari_ganseg.training.config import Augmentation
from napari_ganseg.training.samples import intensities, spatial, which
from napari_ganseg.volume import Volume

Floats = npt.NDArray[np.float32]
APART = 32_452_843  # keeps these random numbers apart from those of the labelled samples


class UnlabelledBatch(NamedTuple):
    """Two views of the same crops, (batch, c, ...) both: turned alike, the strong one with changed intensities."""

    weak: Tensor
    strong: Tensor

    def to(self, device: torch.device) -> UnlabelledBatch:
        """The batch on a device."""
        return UnlabelledBatch(self.weak.to(device), self.strong.to(device))


def prepare_image(volume: Volume, card: Card) -> Floats:
    """(c, ...) at the model's spacing, prepared exactly as inference does, at least as large as the patch.

    Raises:
        UsageError: it has other dimensions or channels than the model.
    """
    if (volume.spatial_ndim, volume.channels) != (card.dims, len(card.channels)):
        raise UsageError(
            f"An image without labels is {volume.spatial_ndim}D with {volume.channels} channel(s); {card.name} takes "
            f"{card.dims}D with {len(card.channels)}."
        )
    image, _ = grid.resample(finite(volume), card.spacing)
    image, _ = grid.pad(card.preprocessing.intensity().apply(image), card.patch, None)
    return np.ascontiguousarray(image.array if image.has_channels else image.array[np.newaxis], np.float32)


def unlabelled_batch(
    images: Sequence[Floats], card: Card, augmentation: Augmentation, seed: int, step: int, size: int,
    part: slice = slice(None), strong: float = 0.6,
) -> UnlabelledBatch:  # fmt: skip
    """The batch of one step, a function of seed and step alone; the labelled samples stay what they are without it.

    Args:
        images: at least one, as `prepare_image` makes them.
        card, augmentation: of the training.
        seed, step, size, part: as for the labelled batch; every pass visits every image once.
        strong: share of the strong views that have each change of intensity, at the least.
    """
    made = []
    for k in range(size)[part]:
        image = images[which(len(images), seed + 1, step * size + k)]
        own = np.random.SeedSequence([seed, step, k, APART]).generate_state(1)[0]
        made.append(views(image, card, augmentation, int(own), strong))
    weak, changed = zip(*made, strict=True)
    return UnlabelledBatch(torch.stack(weak), torch.stack(changed))


def views(image: Floats, card: Card, augmentation: Augmentation, seed: int, strong: float) -> tuple[Tensor, Tensor]:
    """A weak and a strong view of one crop, (c, ...) both."""
    pipeline = pipeline_for(card, augmentation, strong)
    pipeline.set_random_state(seed=seed % 2**32)
    made: Any = pipeline({"image": torch.from_numpy(image)})
    return made["weak"].as_tensor().float(), made["image"].as_tensor().float()


_PIPELINES: dict[tuple[Any, ...], mt.Compose] = {}


def pipeline_for(card: Card, a: Augmentation, strong: float) -> mt.Compose:
    """A crop anywhere, turned; kept as the weak view; then the intensities. Made once, as `samples` does."""
    key = (card.patch, card.dims, a, strong)
    if key not in _PIPELINES:
        crop = mt.RandSpatialCropd("image", roi_size=card.patch, random_size=False)
        sides = [mt.RandFlipd("image", prob=0.5, spatial_axis=card.dims - 1)] if a.sides else []
        weak = [crop, *spatial(card, a, ["image"]), *sides, mt.CopyItemsd("image", names="weak")]
        _PIPELINES[key] = mt.Compose([*weak, *intensities(card, stronger(a, strong))])
    return _PIPELINES[key]


def stronger(a: Augmentation, share: float) -> Augmentation:
    """Every change of intensity that the labelled samples know, at least so often."""
    known = [name for name in ("noise", "smooth", "contrast", "bias", "low_resolution") if getattr(a, name)]
    return replace(a, **{name: max(share, getattr(a, name)) for name in known})
