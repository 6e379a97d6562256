"""Right is right: a paired organ lies on its own side, and is not mistaken for the other."""

from __future__ import annotations

import numpy as np

from napari_ganseg.volume import LabelMap


def side_faults(labels: LabelMap, truth: LabelMap, sides: tuple[int, int]) -> tuple[str, ...]:
    """What is wrong with a pair, in words; nothing where the truth lacks one of the two.

    A class that was not found at all is no swap: its Dice of 0 counts in the mean.

    Args:
        labels, truth: on the same grid, with an orientation.
        sides: values of the right and of the left organ.
    """
    if not all(holds(truth, value) for value in sides):
        return ()
    found = [value for value in sides if holds(labels, value)]
    pairs = zip(sides, reversed(sides), strict=True)
    return (
        *misplaced(labels, sides if len(found) == 2 else None),
        *(fault for own, other in pairs if own in found for fault in mistaken(labels, truth, own, other)),
    )


def misplaced(labels: LabelMap, sides: tuple[int, int] | None) -> tuple[str, ...]:
    """A fault where the right organ's centre does not lie right of the left one's."""
    if sides is None or right_mm(labels, sides[0]) > right_mm(labels, sides[1]):
        return ()
    right, left = map(labels.name_of, sides)
    return (f"{right} does not lie right of {left}",)


def mistaken(labels: LabelMap, truth: LabelMap, own: int, other: int) -> tuple[str, ...]:
    """A fault where an organ does not overlap its own truth more than the other's."""
    predicted = labels.array == own
    if (predicted & (truth.array == own)).sum() > (predicted & (truth.array == other)).sum():
        return ()
    return (f"{labels.name_of(own)} overlaps its truth no more than that of {labels.name_of(other)}",)


def right_mm(labels: LabelMap, value: int) -> float:
    """Millimetres to the patient's right, of a class's centre; RAS+ counts them positive."""
    return float(labels.to_mm(np.argwhere(labels.array == value).mean(axis=0))[0])


def holds(labels: LabelMap, value: int) -> bool:
    """Whether any voxel has this value."""
    return bool((labels.array == value).any())
