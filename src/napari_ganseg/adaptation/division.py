"""Which source scans teach and which judge: by the fold of their patient, and told to the training by their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari_ganseg.errors import UsageError
from napari_ganseg.training.cases import Case
from napari_ganseg.training.config import Split, fold_of

LEAST_JUDGED = 3  # patients: slices of one go up and down together
ORDER = (1, 2, 3, 4, 0)  # of the folds that judge, until there are enough
MARK = "#"
TEACHES, JUDGES = f"a{MARK}", f"b{MARK}"  # by what stands before the mark all of each are in one fold: 4 and 0
SPLIT = Split(held_out=(), validation=(0,), patient_until=MARK)


def divided(cases: Sequence[Case], patient_until: str = "") -> tuple[list[Case], list[Case]]:
    """Teaching and judging cases: one fold judges, or as many as it takes for three patients.

    Args:
        cases: of the source.
        patient_until: what stands before this in a name is the patient, whose cases stay together.

    Raises:
        UsageError: there is one patient only.
    """
    of = {case.name: case.name.split(patient_until)[0] if patient_until else case.name for case in cases}
    patients = sorted(set(of.values()), key=lambda patient: (ORDER.index(fold_of(patient)), patient))
    if len(patients) < 2:
        raise UsageError("The labelled scans are of one patient: some have to teach and others to judge. Add patients.")
    least = min(LEAST_JUDGED, len(patients) // 2)
    for count in range(1, len(ORDER)):
        judges = {p for p in patients if fold_of(p) in ORDER[:count]}
        if len(judges) >= least:
            break
    if not least <= len(judges) <= len(patients) - least:
        judges = set(patients[:least])
    return [case for case in cases if of[case.name] not in judges], [case for case in cases if of[case.name] in judges]


def teaching(case: Case, look: int = 1) -> Case:
    """A case, or another look of it, under a name by which the training learns from it."""
    return replace(case, name=f"{TEACHES}{case.name}{MARK}{look}")


def judging(case: Case) -> Case:
    """A case under a name by which the training holds it out."""
    return replace(case, name=f"{JUDGES}{case.name}")
