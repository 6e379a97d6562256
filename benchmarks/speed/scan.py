"""Head-and-neck scans at full resolution by the shipped model: times faster, and no worse against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import torch

from benchmarks.models import held_out_names, own_data
from benchmarks.speed.claims import Claim, Finding, at_least
from benchmarks.speed.subjects import SHIPPED, Subject
from benchmarks.speed.timing import Seconds, in_turn, timed
from benchmarks.speed.ways import COMMON, HALF, OURS, OVERLAP, agreement, common, common_tiles, half, ours, own_tiles
from napari_ganseg import grid
from napari_ganseg.inference.components import keep_largest
from napari_ganseg.inference.tiles import Box
from napari_ganseg.io import read, read_labels
from napari_ganseg.io.names import stem
from napari_ganseg.models import Model, find_model
from napari_ganseg.models.card import Postprocessing
from napari_ganseg.training.partial import missing_classes
from napari_ganseg.volume import Array, LabelMap, Volume

FULL = (200, 512, 512)  # voxels (z, y, x)
TIMES, WORSE, SAME = 4.0, 0.001, 0.999


@dataclass(frozen=True, slots=True)
class Patient:
    """Figures of one patient.

    Attributes:
        times: ours over MONAI's, at the model's spacing.
        dice, dice_monai: mean over the contoured classes, on the full grid.
        same: the lowest Dice of a class between both at equal tiles in float32.
        rows: seconds.
    """

    times: Seconds
    dice: float
    dice_monai: float
    same: float
    rows: list[dict[str, Any]]


def scan(device: str = "cpu", cases: int = 3, rounds: int = 3, full: Sequence[int] = FULL) -> Finding:
    """Held-out patients, upsampled; labels come back to the full grid before they meet the truth."""
    data, model = own_data(SHIPPED), find_model(SHIPPED)
    names = held_out_names(SHIPPED)[:cases]
    found = [patient(data, name, model, torch.device(device), rounds, full) for name in names]
    wall, cpu = median(p.times.wall for p in found), median(p.times.cpu for p in found)
    own, theirs = fmean(p.dice for p in found), fmean(p.dice_monai for p in found)
    claims = (
        at_least("times faster than MONAI by the clock", wall, TIMES),
        Claim(f"mean Dice {own:.4f}, MONAI's {theirs:.4f} (at most {WORSE:g} lower)", own >= theirs - WORSE),
        at_least("equal tiles, float32: lowest Dice of a class", min(p.same for p in found), SAME),
        Claim(f"for the record: {cpu:.3g} times fewer processor seconds", holds=True),
    )
    return Finding("scan", claims, [row for p in found for row in p.rows])


def patient(data: Path, name: str, model: Model, device: torch.device, rounds: int, full: Sequence[int]) -> Patient:
    """Times at the model's spacing, then the way there and back, then Dice."""
    volume, truth = upsampled(data, name, full)
    small, _ = grid.resample(volume, model.card.spacing)
    _, undo = grid.resample(truth, model.card.spacing)
    placed = replace(model, network=model.network.to(device))
    subject, whole = Subject(small, placed, device), Subject(volume, placed, device)
    _ = subject.image, ours(subject)
    calls = {COMMON: lambda: common(subject), HALF: lambda: half(subject), OURS: lambda: ours(subject)}
    found = in_turn(calls, rounds, device)
    rows = [row(name, way, found.typical(way), small) for way in found.of]
    there = timed(lambda: grid.resample(volume, model.card.spacing), device)
    rows += [row(name, "resampling to the model's spacing", there, volume)]
    rows += [row(name, "ours, resampling and all", timed(lambda: ours(whole), device), volume)]
    theirs = keep_largest(small_labels(common(subject), small), model.card.postprocessing.largest_component)
    missing = missing_classes(data, model.card.classes).get(stem(name), frozenset())
    counted = [c.value for c in model.card.classes if c.value not in missing]
    dice, dice_monai = (dice_of(labels, truth.array, counted) for labels in (ours(whole), undo(theirs).array))
    return Patient(found.times(COMMON, OURS), dice, dice_monai, equal_tiles(subject), rows)


def upsampled(data: Path, name: str, full: Sequence[int]) -> tuple[Volume, LabelMap]:
    """A scan and its truth on a grid of so many voxels around the same centre."""
    volume, truth = read(data / "images" / name), read_labels(data / "labels" / name)
    finer = [s * n / wanted for s, n, wanted in zip(volume.spacing_mm, volume.shape, full, strict=True)]
    large = grid.resample(volume, finer)[0]
    return large.derive(array=large.array.round().astype(np.int16)), grid.resample(truth, finer)[0]


def small_labels(array: Array, small: Volume) -> LabelMap:
    """MONAI's labels with their place."""
    return LabelMap(array=array, affine=small.affine)


def dice_of(found: Array, truth: Array, counted: Sequence[int]) -> float:
    """Mean over the contoured classes that either map has."""
    dices = agreement(found, truth)
    return fmean(dices[value] for value in counted if value in dices)


def equal_tiles(subject: Subject) -> float:
    """The lowest Dice of a class between both, on a part of the scan for which both choose the same tiles."""
    patch = subject.model.card.patch
    shape = [p + (n - p) // (p // 2) * (p // 2) for n, p in zip(subject.volume.shape, patch, strict=True)]
    middle = [slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(subject.volume.shape, shape, strict=True)]
    plain = replace(subject.model.card, postprocessing=Postprocessing())
    part = Subject(grid.crop(subject.volume, middle)[0], replace(subject.model, card=plain), subject.device)
    if corners(common_tiles(part)) != corners(own_tiles(part, OVERLAP)):
        raise ValueError(f"MONAI and the engine cut {shape} into different tiles of {patch}; choose another part.")
    return min(agreement(ours(part, "float32", OVERLAP), common(part)).values(), default=1.0)


def corners(boxes: Sequence[Box]) -> set[tuple[int, ...]]:
    """Where tiles begin."""
    return {tuple(s.start for s in box) for box in boxes}


def row(name: str, way: str, seconds: Seconds, volume: Volume) -> dict[str, Any]:
    """Figures of one way."""
    return {"patient": name, "way": way, "shape": [*volume.shape]} | {
        key: round(value, 3) for key, value in asdict(seconds).items()
    }
