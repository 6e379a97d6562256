"""Which cases learn and which decide: by the fold of their name; of a single case, slices are held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_ganseg import grid
from napari_ganseg.errors import UsageError
from napari_ganseg.training.cases import Case
from napari_ganseg.training.config import Split
from napari_ganseg.volume import Annotation

LEAST_SLICES = 8  # that a 3D model can be validated on


def divide(cases: Sequence[Case], split: Split) -> tuple[list[Case], list[Case]]:
    """Training and validation cases; where one side is empty a case is moved over, or slices of the only case.

    Raises:
        UsageError: nothing is left to train on.
    """
    kept = [c for c in cases if split.fold_of(c.name) not in split.held_out]
    if not kept:
        raise UsageError(f"{len(cases)} case(s) leave nothing to train on: folds {list(split.held_out)} are held out.")
    if len(kept) == 1:
        return divide_slices(kept[0])
    validation = [c for c in kept if split.fold_of(c.name) in split.validation]
    training = [c for c in kept if split.fold_of(c.name) not in split.validation]
    if not validation:
        return training[:-1], training[-1:]
    if not training:
        return validation[:-1], validation[-1:]
    return training, validation


def divide_slices(case: Case) -> tuple[list[Case], list[Case]]:
    """Hold out the slices (rows in 2D) that end a case and hold a quarter of what is labelled in it.

    Raises:
        UsageError: there are too few.
    """
    labels = case.annotation.labels
    count, least = labels.shape[0], min(LEAST_SLICES, labels.shape[0])
    labelled = np.nonzero(labels.array * case.annotation.known)[0]
    first = int(np.quantile(labelled, 0.75)) if labelled.size else count * 3 // 4
    first = min(first, count - least)
    if first < least:
        raise UsageError(f"{case.name} alone is too small to hold slices out for validation; two cases are needed.")
    known = case.annotation.known.copy()
    known[first:] = False
    return [replace(case, annotation=replace(case.annotation, known=known))], [cut(case, first)]


def cut(case: Case, first: int) -> Case:
    """A case from one slice on."""
    box = [slice(first, None), *[slice(None)] * (case.image.spatial_ndim - 1)]
    image, _ = grid.crop(case.image, box)
    labels, _ = grid.crop(case.annotation.labels, box)
    return Case(case.name, image, Annotation(labels, case.annotation.known[first:], case.annotation.missing))
