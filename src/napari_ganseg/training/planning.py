"""A configuration for data nobody described: spacing, patch, classes and intensities read off the cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import label

from napari_ganseg.errors import UsageError
from napari_ganseg.io.labels import colour_for
from napari_ganseg.io.names import shown
from napari_ganseg.models.card import (
    Adversary,
    Card,
    CardClass,
    FieldOfView,
    Postprocessing,
    Preprocessing,
    Provenance,
)
from napari_ganseg.networks import Arch, divisor
from napari_ganseg.training.cases import Case
from napari_ganseg.training.config import TrainConfig
from napari_ganseg.training.filling import filled
from napari_ganseg.training.partial import letters
from napari_ganseg.training.split import FEW, is_by_planes
from napari_ganseg.volume import Array

MOST_PATCH = {2: 192, 3: 64}  # voxels along an axis that a CPU can still train with
MOST_VOXELS = 150_000  # of a patch, for the same reason
STEPS, FINE_STEPS = 2000, 600  # of a training from scratch, and of one that starts from another model
FINE_RATE = 3e-4  # learning rate of the latter
MOST_SPACING_RATIO = 2.5  # between images and a parent, either way, within which they are taken at its spacing
LITTLE = 0.02  # Dice that a validation on one case or a few slices may be off
VALIDATIONS, PATIENCE = 10, 4
AIR = -500  # Hounsfield units: whatever goes below is a CT
ONE_PIECE = 0.95  # of a class's voxels
SOFT_TISSUE = (
    -200.0,
    300.0,
)  # Hounsfield units that a window shows in any case: an organ is found by what is around it


def plan(cases: Sequence[Case], name: str, parent: Card | None = None, steps: int = 0) -> TrainConfig:
    """Plan a training as nnU-Net would in miniature: median spacing, patch no larger than the median image.

    Args:
        cases: labelled cases of one kind.
        name: of the model.
        parent: the card of a model to start from, whose network, spacing and intensities are kept.
        steps: the budget; 0 for the usual one.
    """
    check_alike(cases)
    if parent is not None:
        return plan_from(cases, name, parent, steps or FINE_STEPS)
    dims = cases[0].image.spatial_ndim
    spacing = floats(list(np.median([c.image.spacing_mm for c in cases], axis=0)))
    extents = np.array([np.multiply(c.image.shape, c.image.spacing_mm) for c in cases])
    shape = np.median(extents, axis=0) / spacing
    levels = 4 if dims == 2 else 3
    strides = strides_for(shape, spacing, levels)
    card = Card(
        name=name,
        summary=f"{', '.join(c.name for c in classes_in(cases))}; trained on your own data.",
        modality="CT" if is_ct(cases) else "any",
        arch=Arch("DynUNet", tuple(16 * 2**i for i in range(levels + 1)), strides),
        dims=2 if dims == 2 else 3,
        classes=classes_in(cases),
        channels=tuple(f"channel {i + 1}" for i in range(cases[0].image.channels)),
        preprocessing=preprocessing(cases),
        postprocessing=Postprocessing(tuple(c.value for c in classes_in(cases) if is_in_one_piece(cases, c.value))),
        spacing=spacing,
        patch=patch_for(shape, np.prod(strides, axis=0)),
        field_of_view=FieldOfView(
            "images like those it was trained on", floats(extents.min(axis=0)), floats(extents.max(axis=0))
        ),
        licence="LicenseRef-yours",
    )
    return scheduled(TrainConfig(card=card), cases, steps or STEPS)


def scheduled(config: TrainConfig, cases: Sequence[Case], steps: int) -> TrainConfig:
    """The configuration for a budget of steps, with what the classes' names and the annotation suggest."""
    names = config.card.classes
    return replace(
        config,
        steps=steps,
        validate_every=max(1, steps // VALIDATIONS),
        patience=PATIENCE,
        tolerance=LITTLE if len(cases) < FEW else 0.0,
        fill=is_by_planes(cases),
        augmentation=replace(config.augmentation, sides=sides_in(names) if config.card.dims == 3 else ()),
        adversary=replace(config.adversary, planes=is_by_planes(cases)),
    )


def sides_in(classes: Sequence[CardClass]) -> tuple[tuple[int, int], ...]:
    """Pairs of values that are a right and a left organ of one name: a mirrored image teaches both."""
    values = {c.name.lower(): c.value for c in classes}
    lefts = {name: name.replace("right", "left") for name in values if "right" in name}
    return tuple((values[right], values[left]) for right, left in lefts.items() if left in values)


def patch_for(shape: npt.NDArray[np.float64], step: npt.NDArray[np.int_]) -> tuple[int, ...]:
    """Multiples of the network's strides up to the image's size; in 3D fewer slices where that would be too large."""
    most = MOST_PATCH[len(shape)]
    patch = [int(max(2, np.ceil(min(n, most) / d)) * d) for n, d in zip(shape, step, strict=True)]
    while np.prod(patch) > MOST_VOXELS and len(patch) == 3 and patch[0] > 4 * step[0]:
        patch[0] -= int(step[0])
    return tuple(patch)


def card_for_pace(dims: int) -> Card:
    """A card like those planned for large images, to measure how long their steps take."""
    levels = 4 if dims == 2 else 3
    shape = np.full(dims, 500.0)
    strides = strides_for([500.0] * dims, (1.0,) * dims, levels)
    return Card(
        name="pace", summary="to measure a step", modality="any",
        arch=Arch("DynUNet", tuple(16 * 2**i for i in range(levels + 1)), strides), dims=2 if dims == 2 else 3,
        classes=(CardClass(1, "one", "#ff0000"),), channels=("image",), preprocessing=Preprocessing("z_score", {}),
        spacing=(1.0,) * dims, patch=patch_for(shape, np.prod(strides, axis=0)),
        field_of_view=FieldOfView("any", (1.0,) * dims, (1000.0,) * dims), licence="LicenseRef-yours",
    )  # fmt: skip


def plan_from(cases: Sequence[Case], name: str, parent: Card, steps: int) -> TrainConfig:
    """Fine-tune a parent: fewer steps, a lower learning rate, the data's classes under the parent's names."""
    names = {c.value: c for c in parent.classes}
    classes = tuple(c if is_named(cases, c.value) else names.get(c.value, c) for c in classes_in(cases, parent))
    kept = tuple(v for v in parent.postprocessing.largest_component if v in {c.value for c in classes})
    if is_foreign(cases, parent):
        fresh = plan(cases, name, steps=steps).card
        step = np.array(divisor(parent.arch))
        shape = np.median([np.multiply(c.image.shape, c.image.spacing_mm) for c in cases], axis=0) / fresh.spacing
        parent = replace(
            parent, modality=fresh.modality, preprocessing=fresh.preprocessing, spacing=fresh.spacing,
            patch=patch_for(shape, step), field_of_view=fresh.field_of_view,
        )  # fmt: skip
    card = replace(
        parent,
        name=name,
        summary=f"{', '.join(c.name for c in classes)}; {parent.name} trained further on your own data.",
        classes=classes,
        channels=tuple(f"channel {i + 1}" for i in range(cases[0].image.channels))
        if cases[0].image.channels != len(parent.channels)
        else parent.channels,
        postprocessing=Postprocessing(kept),
        provenance=Provenance(),
        adversary=Adversary(),
        probe=None,
    )
    return replace(scheduled(TrainConfig(card=card, learning_rate=FINE_RATE), cases, steps), tolerance=0.0)


def is_foreign(cases: Sequence[Case], parent: Card) -> bool:
    """Whether the images are so much coarser or finer than a parent's that only its network's features are of use."""
    spacing = np.median([c.image.spacing_mm for c in cases], axis=0)
    ratio = float(np.prod(spacing / np.array(parent.spacing)[-len(spacing) :]) ** (1 / len(spacing)))
    return not 1 / MOST_SPACING_RATIO <= ratio <= MOST_SPACING_RATIO


def is_named(cases: Sequence[Case], value: int) -> bool:
    """Whether the labels themselves name a value; "label 7" and "class 7" are no names."""
    classes = (c for case in cases for c in case.annotation.labels.classes)
    return any(c.value == value and letters(c.name) not in (f"label{value}", f"class{value}") for c in classes)


def check_alike(cases: Sequence[Case]) -> None:
    """Raise UsageError unless all cases have the same kind of image, and some have labels."""
    first = cases[0].image
    for case in cases:
        if (case.image.spatial_ndim, case.image.channels) != (first.spatial_ndim, first.channels):
            raise UsageError(
                f"{shown(case.name)} is {case.image.spatial_ndim}D with {case.image.channels} channel(s), "
                f"{shown(cases[0].name)} {first.spatial_ndim}D with {first.channels}; train on images of one kind."
            )
    if not classes_in(cases):
        raise UsageError("Nothing is labelled in any case; there is nothing to learn.")


def strides_for(shape: Sequence[float], spacing: Sequence[float], levels: int) -> tuple[tuple[int, ...], ...]:
    """Halve each axis per level, but thick axes only once the others are as coarse, and short ones never."""
    strides, size, step = [], np.array(shape), np.array(spacing)
    for _ in range(levels):
        halve = (step <= 1.5 * step.min()) & (size >= 8)
        strides.append(tuple(2 if h else 1 for h in halve))
        size, step = np.where(halve, size / 2, size), np.where(halve, step * 2, step)
    return tuple(strides)


def classes_in(cases: Sequence[Case], parent: Card | None = None) -> tuple[CardClass, ...]:
    """Every value that any case declares or holds, with the first name given for it.

    A class that nobody contoured in any case stays only where the parent knows it.
    """
    names: dict[int, str] = {}
    known = {letters(c.name) for c in parent.classes} if parent else set()
    for case in cases:
        labels, missing = case.annotation.labels, case.annotation.missing
        for value in labels.counts():
            if value not in missing or letters(labels.name_of(value)) in known:
                names.setdefault(value, labels.name_of(value))
    return tuple(CardClass(value, names[value], colour_for(value)) for value in sorted(names))


def is_in_one_piece(cases: Sequence[Case], value: int) -> bool:
    """Whether a class, in 3D, is in one piece wherever it is annotated: then what a network finds elsewhere is wrong.

    Shapes between slices that alone are annotated are filled in first. nnU-Net decides the same by trying.
    """
    shares = [s for case in cases if case.image.spatial_ndim == 3 and (s := largest_share(case, value)) is not None]
    return bool(shares) and min(shares) >= ONE_PIECE


def largest_share(case: Case, value: int) -> float | None:
    """Share of a class's voxels that are in its largest piece; None where it has none."""
    mask = filled(case).annotation.labels.array == value
    if not mask.any():
        return None
    pieces, _ = label(mask, np.ones((3, 3, 3)))
    return float(np.bincount(pieces[mask]).max() / mask.sum())


def is_ct(cases: Sequence[Case]) -> bool:
    """Whether most images reach down to air in Hounsfield units."""
    return float(np.mean([c.image.array.min() < AIR for c in cases])) > 0.5


def preprocessing(cases: Sequence[Case]) -> Preprocessing:
    """For CT a window that shows soft tissue and all that is labelled (nnU-Net looks at the latter alone, which for a
    few soft organs clips everything around them away); for anything else a z-score.
    """
    if not is_ct(cases):
        return Preprocessing("z_score", {})
    inside = [c.image.array[c.annotation.labels.array > 0].astype(np.float32)[::7] for c in cases]
    values = np.concatenate([*inside, np.array(SOFT_TISSUE, np.float32)])
    low, high = (float(f(v, edge)) for f, v, edge in
                 zip((min, max), np.percentile(values, (0.5, 99.5)), SOFT_TISSUE, strict=True))  # fmt: skip
    shown = np.concatenate([within(c.image.array.ravel()[::29], low, high) for c in cases] + [[low, high]])
    return Preprocessing(
        "ct_window", {"low": low, "high": high, "mean": float(shown.mean()), "std": float(shown.std())}
    )


def within(values: Array, low: float, high: float) -> npt.NDArray[np.float32]:
    """Those of an image's values that a window shows unclipped."""
    return values[(values > low) & (values < high)].astype(np.float32)


def floats(numbers: Sequence[float]) -> tuple[float, ...]:
    """Plain floats of four digits, enough for spacings and extents of any size."""
    return tuple(float(f"{n:.4g}") for n in numbers)
