"""Which cases learn and which decide: by the fold of their name; of a few, one in four; of a single one, slices."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_ganseg.errors import UsageError
from napari_ganseg.io.names import shown
from napari_ganseg.training.cases import Case
from napari_ganseg.training.config import Split

LEAST_SLICES = 8  # that a 3D model can be validated on, where all are annotated
LEAST_PAINTED = 3  # slices, where not all are
MOSTLY = 0.75  # of the slices between the first and the last painted one
FEW = 8  # cases, below which folds by name could leave nearly none to learn from


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
    if len(validation) > max(1, len(kept) // 4) and len(kept) < FEW:
        chosen = sorted(validation, key=lambda c: hashlib.sha256(c.name.encode()).digest())[: max(1, len(kept) // 4)]
        return [c for c in kept if c not in chosen], chosen
    if not validation:
        return training[:-1], training[-1:]
    if not training:
        return validation[:-1], validation[-1:]
    return training, validation


def divide_slices(case: Case) -> tuple[list[Case], list[Case]]:
    """Hold slices (rows in 2D) of a case out: they are unknown to the training, and alone known to the validation.

    Raises:
        UsageError: there are too few.
    """
    chosen = held_out_slices(case)
    known = case.annotation.known
    learnt, judged = known.copy(), np.zeros_like(known)
    learnt[chosen] = False
    judged[chosen] = known[chosen]
    return [with_known(case, learnt)], [with_known(case, judged)]


def held_out_slices(case: Case) -> npt.NDArray[np.intp]:
    """The end that holds a quarter of the labels; where slices with gaps between them are painted, every fourth.

    Raises:
        UsageError: there are too few.
    """
    painted, inner = known_slices(case), painted_slices(case)
    if len(inner) >= LEAST_PAINTED and has_gaps(inner):
        return inner[2::4]
    if len(painted) == len(case.annotation.known):
        return np.arange(first_of_the_end(case), len(painted))
    if len(painted) < LEAST_PAINTED:
        raise UsageError(
            f"{shown(case.name)} has {len(painted)} painted slice(s), and one must be held out to judge the result; "
            f"paint {LEAST_PAINTED} or more, or add another image."
        )
    return painted[-max(1, len(painted) // 4) :]


def has_gaps(painted: npt.NDArray[np.intp]) -> bool:
    """Whether slices lie apart from each other, rather than in one block."""
    return bool(len(painted) <= MOSTLY * (painted[-1] - painted[0] + 1))


def is_by_planes(cases: Sequence[Case]) -> bool:
    """Whether of most cases, all 3D, only single slices are annotated: with gaps between them, or fewer than half."""
    if any(case.image.spatial_ndim != 3 for case in cases):
        return False
    return 2 * sum(is_sparse(case) for case in cases) > len(cases)


def is_sparse(case: Case) -> bool:
    """Whether only some slices of a case are annotated, apart from each other or fewer than half."""
    known, painted = known_slices(case), painted_slices(case)
    return len(painted) > 0 and (has_gaps(painted) or 2 * len(known) < len(case.annotation.known))


def known_slices(case: Case) -> npt.NDArray[np.intp]:
    """Indices of the slices in which anything is known."""
    known = case.annotation.known
    return np.flatnonzero(known.any(axis=tuple(range(1, known.ndim))))


def painted_slices(case: Case) -> npt.NDArray[np.intp]:
    """Known slices from the first with a label to the last: that nothing lies above and below may be known too."""
    known, labels = known_slices(case), case.annotation.labels.array != 0
    labelled = np.flatnonzero(labels.any(axis=tuple(range(1, labels.ndim))))
    return known[(known >= labelled[0]) & (known <= labelled[-1])] if labelled.size else known


def first_of_the_end(case: Case) -> int:
    """Where the end of a case begins that holds a quarter of what is labelled in it.

    Raises:
        UsageError: too little is left on a side.
    """
    labels = case.annotation.labels
    count, least = labels.shape[0], min(LEAST_SLICES, labels.shape[0])
    labelled = np.nonzero(labels.array * case.annotation.known)[0]
    first = int(np.quantile(labelled, 0.75)) if labelled.size else count * 3 // 4
    first = min(first, count - least)
    if first < least:
        raise UsageError(f"{case.name} alone is too small to hold slices out for validation; two cases are needed.")
    return first


def with_known(case: Case, known: npt.NDArray[np.bool_]) -> Case:
    """A case of which something else is known."""
    return replace(case, annotation=replace(case.annotation, known=known))


def is_by_slices(training: Sequence[Case], validation: Sequence[Case]) -> bool:
    """Whether slices of the training's own case validate."""
    return training[0].name == validation[0].name


def held_out_in_words(training: Sequence[Case], validation: Sequence[Case]) -> str:
    """What a training is judged by: cases by number, or slices by their numbers, from 0 as the viewer counts."""
    if not is_by_slices(training, validation):
        return f"{len(validation)} of {len(training) + len(validation)} cases"
    slices = known_slices(validation[0])
    if len(slices) > 1 and np.all(np.diff(slices) == 1):
        return f"slices {slices[0]} to {slices[-1]} of {shown(validation[0].name)}"
    return f"slices {', '.join(map(str, slices))} of {shown(validation[0].name)}"
