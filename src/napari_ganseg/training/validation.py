"""Validation: cases segmented as a user would segment them, scored where they are annotated, and shown as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from napari_ganseg.inference.engine import segmentation
from napari_ganseg.inference.settings import Settings
from napari_ganseg.io.atomic import replacing
from napari_ganseg.metrics import evaluate
from napari_ganseg.models import Model
from napari_ganseg.models.card import Card
from napari_ganseg.run import Controls
from napari_ganseg.training import adversary
from napari_ganseg.training.cases import Case
from napari_ganseg.training.config import Augmentation, TrainConfig
from napari_ganseg.training.files import EXAMPLES
from napari_ganseg.training.losses import merge_missing
from napari_ganseg.training.samples import batch, prepare
from napari_ganseg.training.step import State
from napari_ganseg.volume import Annotation, LabelMap

Floats = npt.NDArray[np.float32]
MOST_EXAMPLES, TILE = 4, 192  # cases in the picture, pixels of each


@dataclass(frozen=True, slots=True)
class Validation:
    """What a validation found.

    Attributes:
        dice: mean over the cases of their mean over classes.
        per_class: mean over the cases by class value, of the classes that could be measured in any.
    """

    dice: float
    per_class: Mapping[int, float]


def validate(
    cases: Sequence[Case], card: Card, network: nn.Module, controls: Controls, folder: Path | None = None
) -> Validation:
    """Segment and score cases; the first of them go into the folder as a picture."""
    model, device = Model(card, network.eval(), ""), str(next(network.parameters()).device)
    found: list[dict[int, float]] = []
    rows: list[torch.Tensor] = []
    for case in cases:
        labels = predicted(case, model, device, controls)
        found.append(class_dices(labels, case.annotation))
        if folder is not None and len(rows) < MOST_EXAMPLES:
            rows.append(example(case, labels, card))
    if folder is not None:
        save_examples(folder / EXAMPLES, rows)
    return summed_up(found)


def predicted(case: Case, model: Model, device: str, controls: Controls) -> LabelMap:
    """A case segmented as a user would; ends early where the user cancels."""
    run = segmentation(case.image, model, Settings(device=device))
    for _ in run:
        controls.check()
    return run.result


def summed_up(found: Sequence[Mapping[int, float]]) -> Validation:
    """Means over cases."""
    means = [float(np.mean(list(dices.values()))) for dices in found if dices]
    values = sorted({value for dices in found for value in dices})
    per_class = {v: float(np.mean([dices[v] for dices in found if v in dices])) for v in values}
    return Validation(float(np.mean(means or [0.0])), per_class)


def case_dice(labels: LabelMap, truth: Annotation) -> float | None:
    """Mean Dice over the classes that somebody contoured, inside what is known; None where there are none."""
    dices = class_dices(labels, truth)
    return float(np.mean(list(dices.values()))) if dices else None


def class_dices(labels: LabelMap, truth: Annotation) -> dict[int, float]:
    """Dice of each class that somebody contoured and that is in either map, inside what is known."""
    known = truth.known.astype(np.uint8)
    scores = evaluate(labels.derive(array=labels.array * known), truth.labels.derive(array=truth.labels.array * known))
    return {v: s.dice for v, s in scores.per_class.items() if v not in truth.missing and s.dice is not None}


def example(case: Case, labels: LabelMap, card: Card) -> torch.Tensor:
    """(3, 3, y, x) in 0..1: the slice with the most labels, alone, with the truth, with the prediction."""
    truth, found = case.annotation.labels.array, labels.array
    image = case.image.array[0] if case.image.has_channels else case.image.array
    if case.image.spatial_ndim == 3:
        most = int(np.count_nonzero(truth, axis=(1, 2)).argmax())
        image, truth, found = image[most], truth[most], found[most]
    low, high = np.percentile(image, (1, 99))
    grey = np.clip((image.astype(np.float32) - low) / max(float(high - low), 1e-6), 0, 1)
    pictures = [coloured(grey, map_yx, card) for map_yx in (np.zeros_like(truth), truth, found)]
    stacked = torch.from_numpy(np.stack(pictures)[:, :, ::-1].copy())  # rows grow upwards in a volume
    return torch.nn.functional.interpolate(stacked, size=(TILE, TILE))


def coloured(grey_yx: Floats, labels_yx: npt.NDArray[np.integer], card: Card) -> Floats:
    """(3, y, x): an image with the classes' colours over it."""
    picture = np.repeat(grey_yx[np.newaxis], 3, axis=0)
    for c in card.classes:
        rgb = np.array([int(c.colour[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / 255
        picture[:, labels_yx == c.value] = 0.5 * picture[:, labels_yx == c.value] + 0.5 * rgb[:, np.newaxis]
    return picture


def save_examples(path: Path, rows: Sequence[torch.Tensor]) -> None:
    """A row per case: the image, the truth, the prediction."""
    from torchvision.utils import make_grid, save_image

    with replacing(path) as temporary:
        save_image(make_grid(torch.cat(list(rows)), nrow=3), temporary, format="png")


def held_out_auroc(state: State, validation: Sequence[Case], config: TrainConfig) -> float | None:
    """The discriminator's AUROC on the validation cases' hard maps, against the average's."""
    if state.discriminator is None:
        return None
    device = next(state.average.parameters()).device
    prepared = [prepare(case, config.card) for case in validation]
    still = Augmentation(affine=0.0, noise=0.0, smooth=0.0, contrast=0.0)
    pairs = []
    for step in range(len(prepared)):
        samples = batch(prepared, config.card, still, config.seed, step, 1).to(device)
        with torch.inference_mode():
            logits = merge_missing(state.average(samples.image), samples.missing)
            pairs.append(adversary.judged_pairs(samples.image, logits, samples.target, config))
    return adversary.auroc(state.discriminator, [p for p in pairs if len(p.image)], config.adversary.arch.layers)
