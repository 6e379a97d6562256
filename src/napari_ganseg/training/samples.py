"""From cases to training tensors: prepared once, then cropped and varied anew for every step, each by its own seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from monai import transforms as mt
from torch import Tensor

from napari_ganseg import grid
from napari_ganseg.intensity import CTWindow
from napari_ganseg.models import Card
from napari_ganseg.training.cases import Case
from napari_ganseg.training.config import Augmentation
from napari_ganseg.training.couch import RandCouchd
from napari_ganseg.training.losses import UNKNOWN
from napari_ganseg.volume import LabelMap


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A case at the model's spacing.

    Attributes:
        image: (c, ...) in float32, prepared as inference does.
        target: (1, ...) class indices, 255 where unknown.
        missing: (classes,) which classes, by index, nobody contoured: they hide in the background.
    """

    image: npt.NDArray[np.float32]
    target: npt.NDArray[np.uint8]
    missing: npt.NDArray[np.bool_]


class Batch(NamedTuple):
    """What one step learns from: image (batch, c, ...), target (batch, 1, ...), missing (batch, classes)."""

    image: Tensor
    target: Tensor
    missing: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        return Batch(self.image.to(device), self.target.to(device), self.missing.to(device))


def prepare(case: Case, card: Card) -> Prepared:
    """Resample, normalise and number a case exactly as inference will, with unknown voxels marked."""
    image, _ = grid.resample(case.image, card.spacing)
    labels, _ = grid.resample(case.annotation.labels, card.spacing)
    known, _ = grid.resample(LabelMap(array=case.annotation.known, affine=case.image.affine), card.spacing)
    image, _ = grid.pad(card.preprocessing.intensity().apply(image), card.patch, None)
    target, _ = grid.pad(labels.derive(array=indices(labels, known, card)), card.patch, UNKNOWN)
    array = image.array if image.has_channels else image.array[np.newaxis]
    missing = np.array([False, *[c.value in case.annotation.missing for c in card.classes]])
    return Prepared(
        np.ascontiguousarray(array, np.float32), np.ascontiguousarray(target.array[np.newaxis], np.uint8), missing
    )


def indices(labels: LabelMap, known: LabelMap, card: Card) -> npt.NDArray[np.uint8]:
    """Class indices 0..C of a label map, 255 where nothing is known."""
    numbered = np.zeros(labels.shape, dtype=np.uint8)
    for index, c in enumerate(card.classes, start=1):
        numbered[labels.array == c.value] = index
    numbered[known.array == 0] = UNKNOWN
    return numbered


def batch(
    prepared: Sequence[Prepared], card: Card, augmentation: Augmentation, seed: int, step: int, size: int,
    part: slice = slice(None),
) -> Batch:  # fmt: skip
    """The batch of one step, or a part: a function of seed and step alone, so that a resumed training sees the same."""
    made = []
    for k in range(size)[part]:
        index = which(len(prepared), seed, step * size + k)
        seeds = np.random.SeedSequence([seed, step, k]).generate_state(2)
        image, target = sample(prepared[index], card, augmentation, seeds[0])
        one = image, target, torch.from_numpy(prepared[index].missing)
        if augmentation.sides and seeds[1] % 2:
            one = mirrored(*one, other_side(card, augmentation))
        made.append(one)
    images, targets, missing = zip(*made, strict=True)
    return Batch(torch.stack(images), torch.stack(targets), torch.stack(missing))


def which(count: int, seed: int, position: int) -> int:
    """Case at a position of an endless sequence in which every pass visits every case once, newly shuffled."""
    turn, place = divmod(position, count)
    return int(np.random.default_rng([seed, 7919, turn]).permutation(count)[place])


def sample(prepared: Prepared, card: Card, augmentation: Augmentation, seed: int) -> tuple[Tensor, Tensor]:
    """One crop of the patch's size, varied."""
    pipeline = pipeline_for(card, augmentation)
    pipeline.set_random_state(seed=int(seed) % 2**32)
    made: Any = pipeline({"image": torch.from_numpy(prepared.image), "target": torch.from_numpy(prepared.target)})
    crop = made[0]  # RandCropByLabelClassesd makes a list, even of one
    return crop["image"].as_tensor().float(), crop["target"].as_tensor().to(torch.uint8)


def mirrored(image: Tensor, target: Tensor, missing: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Left for right: what was the right parotid is now a left one, and so is what nobody contoured.

    Args:
        image, target: (c, ...), (1, ...) with left-right last.
        missing: (classes,).
        other: (256,) of each class index the one on the other side.
    """
    return image.flip(-1), other[target.flip(-1).long()], missing[other[: len(missing)].long()]


def other_side(card: Card, augmentation: Augmentation) -> Tensor:
    """(256,) of each class index the one on the other side, itself where it has none."""
    index = {c.value: i for i, c in enumerate(card.classes, start=1)}
    other = torch.arange(256, dtype=torch.uint8)
    for right, left in augmentation.sides:
        other[index[right]], other[index[left]] = index[left], index[right]
    return other


_PIPELINES: dict[tuple[Any, ...], mt.Compose] = {}


def pipeline_for(card: Card, augmentation: Augmentation) -> mt.Compose:
    """The transforms for a model; made once, since MONAI's take long to build. One training uses one thread."""
    key = (card.patch, card.dims, card.out_channels, card.preprocessing.intensity(), augmentation)
    if key not in _PIPELINES:
        _PIPELINES[key] = mt.Compose(
            [*crops(card), *couch(card, augmentation), *spatial(card, augmentation), *intensities(card, augmentation)]
        )
    return _PIPELINES[key]


def crops(card: Card) -> list[Any]:
    """A crop of the patch's size, its centre on each class equally often; 255 is not a class."""
    return [
        mt.RandCropByLabelClassesd(
            keys=["image", "target"], label_key="target", spatial_size=card.patch, num_classes=card.out_channels,
            num_samples=1, warn=False,
        ),
    ]  # fmt: skip


def couch(card: Card, a: Augmentation) -> list[Any]:
    """A couch behind the body, where the configuration asks for one."""
    window = card.preprocessing.intensity()
    if not a.couch or not isinstance(window, CTWindow):
        return []
    air, bone = ((edge - window.mean) / window.std for edge in (window.low, window.high))
    return [RandCouchd("image", air=air, bone=bone, prob=a.couch)]


def spatial(card: Card, a: Augmentation, keys: Sequence[str] = ("image", "target")) -> list[Any]:
    """Rotation and scaling in one interpolation, linear for images, nearest for targets; then mirroring.

    In plane, a 3D image turns about its first axis and keeps its scale there: an annotated plane stays a whole one.
    """
    modes = tuple("nearest" if key == "target" else "bilinear" for key in keys)
    angle = float(np.deg2rad(a.rotate))
    angles, scales = [angle] * (3 if card.dims == 3 else 1), [a.scale] * card.dims
    if a.in_plane and card.dims == 3:
        angles, scales = [angle, 0.0, 0.0], [0.0, a.scale, a.scale]
    affine = mt.RandAffined(
        keys=keys, prob=a.affine, rotate_range=angles, scale_range=scales, mode=modes, padding_mode="border"
    )
    return [affine, *[mt.RandFlipd(keys=keys, prob=0.5, spatial_axis=axis) for axis in a.flip_axes]]


def intensities(card: Card, a: Augmentation) -> list[Any]:
    """Changes of intensity; those that are never drawn are left out."""
    linear = "trilinear" if card.dims == 3 else "bilinear"
    choices: list[tuple[float, Callable[[], Any]]] = [
        (a.smooth, lambda: mt.RandGaussianSmoothd("image", (0.5, 1.0), (0.5, 1.0), (0.5, 1.0), prob=a.smooth)),
        (
            a.low_resolution,
            lambda: mt.RandSimulateLowResolutiond(
                "image", prob=a.low_resolution, zoom_range=(0.5, 1.0), upsample_mode=linear
            ),
        ),
        (a.contrast, lambda: mt.RandAdjustContrastd("image", prob=a.contrast, gamma=(0.7, 1.5), retain_stats=True)),
        (a.contrast, lambda: mt.RandScaleIntensityd("image", factors=0.25, prob=a.contrast)),
        (a.bias, lambda: mt.RandBiasFieldd("image", prob=a.bias, coeff_range=(0.0, 0.15))),
        (a.noise, lambda: mt.RandGaussianNoised("image", prob=a.noise, std=0.1)),
    ]
    return [make() for probability, make in choices if probability > 0]
