"""A configuration for data nobody described: spacing, patch, classes and intensities read off the cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

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
from napari_ganseg.networks import Arch
from napari_ganseg.training.cases import Case
from napari_ganseg.training.config import TrainConfig

MOST_PATCH = {2: 192, 3: 64}  # voxels along an axis that a CPU can still train with
FINE_STEPS, FINE_RATE = 600, 1e-4  # of a training that starts from another model
AIR = -500  # Hounsfield units: whatever goes below is a CT


def plan(cases: Sequence[Case], name: str, parent: Card | None = None) -> TrainConfig:
    """Plan a training as nnU-Net would in miniature: median spacing, patch no larger than the median image.

    Args:
        cases: labelled cases of one kind.
        name: of the model.
        parent: the card of a model to start from, whose network, spacing and intensities are kept.
    """
    check_alike(cases)
    if parent is not None:
        return plan_from(cases, name, parent)
    dims = cases[0].image.spatial_ndim
    spacing = floats(list(np.median([c.image.spacing_mm for c in cases], axis=0)))
    extents = np.array([np.multiply(c.image.shape, c.image.spacing_mm) for c in cases])
    shape = np.median(extents, axis=0) / spacing
    levels = 4 if dims == 2 else 3
    strides = strides_for(shape, spacing, levels)
    step = np.prod(strides, axis=0)
    patch = tuple(int(max(2, np.ceil(min(n, MOST_PATCH[dims]) / d)) * d) for n, d in zip(shape, step, strict=True))
    card = Card(
        name=name,
        summary=f"{', '.join(c.name for c in classes_in(cases))}; trained on your own data.",
        modality="CT" if is_ct(cases) else "any",
        arch=Arch("DynUNet", tuple(16 * 2**i for i in range(levels + 1)), strides),
        dims=2 if dims == 2 else 3,
        classes=classes_in(cases),
        channels=tuple(f"channel {i + 1}" for i in range(cases[0].image.channels)),
        preprocessing=preprocessing(cases),
        spacing=spacing,
        patch=patch,
        field_of_view=FieldOfView(
            "images like those it was trained on", floats(extents.min(axis=0)), floats(extents.max(axis=0))
        ),
        licence="LicenseRef-yours",
    )
    return TrainConfig(card=card)


def plan_from(cases: Sequence[Case], name: str, parent: Card) -> TrainConfig:
    """Fine-tune a parent: fewer steps, a tenth of the learning rate, the data's classes under the parent's names."""
    names = {c.value: c for c in parent.classes}
    classes = tuple(c if is_named(cases, c.value) else names.get(c.value, c) for c in classes_in(cases))
    kept = tuple(v for v in parent.postprocessing.largest_component if v in {c.value for c in classes})
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
    return TrainConfig(card=card, steps=FINE_STEPS, learning_rate=FINE_RATE)


def is_named(cases: Sequence[Case], value: int) -> bool:
    """Whether the labels themselves name a value."""
    return any(c.value == value for case in cases for c in case.annotation.labels.classes)


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


def classes_in(cases: Sequence[Case]) -> tuple[CardClass, ...]:
    """Every value that any case declares or holds, with the first name given for it."""
    names: dict[int, str] = {}
    for case in cases:
        labels = case.annotation.labels
        for value in labels.counts():
            names.setdefault(value, labels.name_of(value))
    return tuple(CardClass(value, names[value], colour_for(value)) for value in sorted(names))


def is_ct(cases: Sequence[Case]) -> bool:
    """Whether most images reach down to air in Hounsfield units."""
    return float(np.mean([c.image.array.min() < AIR for c in cases])) > 0.5


def preprocessing(cases: Sequence[Case]) -> Preprocessing:
    """For CT the window and statistics of the labelled voxels (nnU-Net's scheme), for anything else a z-score."""
    if not is_ct(cases):
        return Preprocessing("z_score", {})
    inside = [c.image.array[c.annotation.labels.array > 0].astype(np.float32)[::7] for c in cases]
    values = np.concatenate(inside) if any(v.size for v in inside) else np.array([-200.0, 300.0])
    low, high = np.percentile(values, (0.5, 99.5))
    if high - low < 1:
        low, high = low - 100, high + 100
    return Preprocessing("ct_window", {
        "low": float(low), "high": float(high), "mean": float(values.mean()), "std": float(max(values.std(), 1.0)),
    })  # fmt: skip


def floats(numbers: Sequence[float]) -> tuple[float, ...]:
    """Plain floats of four digits, enough for spacings and extents of any size."""
    return tuple(float(f"{n:.4g}") for n in numbers)
