"""Dice by seed and patient: differences of two tables, their mean over scanners, and the interval around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from benchmarks.accuracy.bootstrap import Interval, paired

Key = TypeVar("Key", int, str)
Table = dict[int, dict[str, float]]  # of every seed the figures of its patients


def less(one: Table, other: Table) -> Table:
    """One table less another, where both have the seed and the patient."""
    return {
        seed: {patient: one[seed][patient] - other[seed][patient] for patient in shared((one[seed], other[seed]))}
        for seed in shared((one, other))
    }


def averaged(tables: Sequence[Table]) -> Table:
    """The mean of several tables, where all have the seed and the patient."""
    return {
        seed: {
            patient: float(np.mean([table[seed][patient] for table in tables]))
            for patient in shared([table[seed] for table in tables])
        }
        for seed in shared(tables)
    }


def interval(table: Table) -> Interval | None:
    """The mean and its 95 % interval; None of an empty table."""
    known = grid(table)
    return paired(known) if known.size else None


def mean(table: Table) -> float | None:
    """Over patients and seeds; None of an empty table."""
    known = grid(table)
    return float(known.mean()) if known.size else None


def worst(table: Table) -> float | None:
    """The lowest mean that a seed has; None of an empty table."""
    known = grid(table)
    return float(known.mean(axis=1).min()) if known.size else None


def grid(table: Table) -> npt.NDArray[np.float64]:
    """(seeds, patients) of the patients that every seed has."""
    patients = shared(list(table.values()))
    return np.array([[row[patient] for patient in patients] for row in table.values()], np.float64)


def shared(groups: Iterable[Iterable[Key]]) -> list[Key]:
    """What is in all of them, in order."""
    sets = [set(group) for group in groups]
    return sorted(set.intersection(*sets)) if sets else []
