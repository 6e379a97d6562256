"""Which source scans teach and which judge, and that the training does as it is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import blob_case

from napari_ganseg.adaptation.division import JUDGES, LEAST_JUDGED, SPLIT, TEACHES, divided, judging, teaching
from napari_ganseg.errors import UsageError
from napari_ganseg.training import Case
from napari_ganseg.training.config import fold_of
from napari_ganseg.training.split import divide

NAMES = ["a.nii", "a#1.nii", "#.nii", "##", "b#x.nii"]


def named(names: list[str]) -> list[Case]:
    blank = blob_case(shape=(12, 12))
    return [replace(blank, name=name) for name in names]


def test_names_that_teach_and_names_that_judge_are_in_folds_of_their_own() -> None:
    assert SPLIT.fold_of(TEACHES) not in SPLIT.validation
    assert SPLIT.fold_of(JUDGES) in SPLIT.validation


@pytest.mark.parametrize("count", [8, 9, 12, 20, 60])
def test_enough_judge_and_no_fewer_teach(count: int) -> None:
    learnt, judged = divided(named([f"{i}.nii" for i in range(count)]))
    assert len(judged) >= LEAST_JUDGED
    assert len(learnt) >= 1
    assert len(learnt) + len(judged) == count


@pytest.mark.parametrize("fold", range(5))
@pytest.mark.parametrize("count", [2, 3, 4, 8])
def test_some_teach_and_some_judge_even_where_all_patients_fall_into_one_fold(fold: int, count: int) -> None:
    names = [name for i in range(400) if fold_of(name := f"{i}.nii") == fold][:count]
    learnt, judged = divided(named(names))
    assert min(len(learnt), len(judged)) >= min(LEAST_JUDGED, count // 2)


def test_one_patient_cannot_both_teach_and_judge() -> None:
    with pytest.raises(UsageError, match="one patient"):
        divided(named(["p_1.nii", "p_2.nii"]), "_")


def test_of_many_one_fold_judges() -> None:
    learnt, judged = divided(named([f"{i}.nii" for i in range(60)]))
    assert {fold_of(case.name) for case in judged} == {1}
    assert 1 not in {fold_of(case.name) for case in learnt}


def test_cases_of_one_patient_stay_together() -> None:
    learnt, judged = divided(named([f"{patient}_{i}.nii" for patient in range(9) for i in range(4)]), "_")
    patients = [{case.name.split("_")[0] for case in side} for side in (learnt, judged)]
    assert not patients[0] & patients[1]


@pytest.mark.parametrize("looks", [1, 2, 4])
@pytest.mark.parametrize("teachers", [1, 5])
def test_the_training_holds_out_exactly_those_that_judge(teachers: int, looks: int) -> None:
    cases = named(NAMES)
    taught = [teaching(case, look) for look in range(1, looks + 1) for case in cases[:teachers]]
    held = [judging(case) for case in named([f"{i}.nii" for i in range(4)])]
    if len(taught) + len(held) >= 8:
        learnt, judged = divide([*taught, *held], SPLIT)
        assert [case.name for case in judged] == [case.name for case in held]
        assert len({case.name for case in learnt}) == len(taught)
