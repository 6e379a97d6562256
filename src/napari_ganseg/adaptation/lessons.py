"""What an adaptation learns from: source scans with their labels, most of them restyled to look like the new ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_ganseg import grid
from napari_ganseg.adaptation.appearance import Appearance, seen
from napari_ganseg.adaptation.division import teaching
from napari_ganseg.adaptation.restyle import imitated, restyled
from napari_ganseg.intensity import CTWindow, Intensity, UnitRange
from napari_ganseg.models import Card
from napari_ganseg.training.cases import Case
from napari_ganseg.volume import Annotation, LabelMap, Volume

COPIES = 3  # restyled looks of every source scan, beside its own
MOST_VOXELS = 150_000_000  # of all looks together; where there are many large scans, each has fewer
STRENGTHS = (0.3, 1.0)


def seen_case(case: Case, card: Card) -> Case:
    """A case at the model's spacing, with the values that its network gets."""
    image = seen(case.image, card)
    labels, _ = grid.resample(case.annotation.labels, card.spacing)
    known, _ = grid.resample(
        LabelMap(array=case.annotation.known.astype(np.uint8), affine=case.image.affine), card.spacing
    )
    return replace(case, image=image, annotation=Annotation(labels, known.array > 0, case.annotation.missing))


def readable(volume: Volume, intensity: Intensity) -> Volume:
    """From the values that a network gets back to ones that the model takes: its preprocessing gives the same again."""
    if isinstance(intensity, CTWindow):
        return volume.derive(array=volume.array * np.float32(intensity.std) + np.float32(intensity.mean))
    if isinstance(intensity, UnitRange):
        half = np.float32((intensity.high - intensity.low) / 2)
        return volume.derive(array=(volume.array + np.float32(1)) * half + np.float32(intensity.low))
    return volume


def as_it_is(case: Case, card: Card) -> Case:
    """A case with its own look, ready for the model.

    Args:
        case: as `seen_case` makes it.
        card: of the model.
    """
    return replace(case, image=readable(case.image, card.preprocessing.intensity()))


def with_look(case: Case, other: Appearance, strength: float, rng: np.random.Generator, card: Card) -> Case:
    """A case restyled, ready for the model; what it shows and its labels stay.

    Args:
        case: as `seen_case` makes it.
        other, strength, rng: as for `restyled`.
    """
    image = restyled(case.image, other, strength, rng)
    return replace(case, image=readable(image, card.preprocessing.intensity()))


def imitating(case: Case, own: Appearance, other: Appearance, rng: np.random.Generator, card: Card) -> Case:
    """A case that imitates the new scanner by other means, ready for the model.

    Args:
        case: as `seen_case` makes it.
        own, other, rng: as for `imitated`.
    """
    image = imitated(case.image, own, other, rng)
    return replace(case, image=readable(image, card.preprocessing.intensity()))


def lessons(cases: Sequence[Case], looks: Sequence[Appearance], card: Card, seed: int) -> list[Case]:
    """Every case as it is, and restyled to look like new scans chosen at random, each with a strength of its own.

    Args:
        cases: as `seen_case` makes them.
        looks: of the new scans.
        card: of the model.
        seed: decides looks, strengths and noise.
    """
    rng = np.random.default_rng([seed, 104_729])
    made = [teaching(as_it_is(case, card)) for case in cases]
    for number in range(2, 2 + copies(cases)):
        for case in cases:
            other, strength = looks[int(rng.integers(len(looks)))], rng.uniform(*STRENGTHS)
            made.append(teaching(with_look(case, other, strength, rng, card), number))
    return made


def copies(cases: Sequence[Case]) -> int:
    """How many restyled looks of each case there is room for."""
    voxels = sum(case.image.array.size for case in cases)
    return int(np.clip(MOST_VOXELS // max(voxels, 1), 1, COPIES))
