"""Which source scans teach and which judge: by the fold of their patient, and told to the training by their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari_ganseg.training.cases import Case
from napari_ganseg.training.config import Split

LEAST_JUDGED = 4
ORDER = (1, 2, 3, 4, 0)  # of the folds that judge, until there are enough
MARK = "#"
TEACHES, JUDGES = f"a{MARK}", f"b{MARK}"  # by what stands before the mark all of each are in one fold: 4 and 0
SPLIT = Split(held_out=(), validation=(0,), patient_until=MARK)


def divided(cases: Sequence[Case], patient_until: str = "") -> tuple[list[Case], list[Case]]:
    """Teaching and judging cases: one fold judges, or as many as it takes for four cases.

    Args:
        cases: of the source.
        patient_until: what stands before this in a name is the patient, whose cases stay together.
    """
    split = Split(patient_until=patient_until)
    for count in range(1, len(ORDER)):
        judged = [case for case in cases if split.fold_of(case.name) in ORDER[:count]]
        if len(judged) >= min(LEAST_JUDGED, len(cases) // 2):
            break
    return [case for case in cases if case not in judged], judged


def teaching(case: Case, look: int = 1) -> Case:
    """A case, or another look of it, under a name by which the training learns from it."""
    return replace(case, name=f"{TEACHES}{case.name}{MARK}{look}")


def judging(case: Case) -> Case:
    """A case under a name by which the training holds it out."""
    return replace(case, name=f"{JUDGES}{case.name}")
