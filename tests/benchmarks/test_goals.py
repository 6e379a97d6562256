"""Goals: they hold out what the recipes leave out, and name classes that the recipes have."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.goals import GOALS, HELD_OUT, Goal
from benchmarks.models import held_out_names

from napari_ganseg.training import config_from_json
from napari_ganseg.training.config import fold_of

RECIPES = Path(__file__).parents[2] / "benchmarks" / "recipes"


def test_slices_of_one_patient_are_held_out_together() -> None:
    goal = Goal("anywhere", 0.8, patient_until="-IM-")
    slices = [f"P{patient}-IM-{n}.png" for patient in range(20) for n in range(3)]
    assert [n for n in slices if goal.is_held_out(n)] == [n for n in slices if fold_of(n.split("-IM-")[0]) == HELD_OUT]
    assert goal.patients(slices) == 20


@pytest.mark.parametrize("name", GOALS)
def test_a_goal_measures_exactly_what_its_recipe_leaves_out(name: str) -> None:
    split = config_from_json((RECIPES / f"{name}.json").read_bytes()).split
    names = [f"P{n}-IM-{n}.nii.gz" for n in range(200)]
    assert [GOALS[name].is_held_out(n) for n in names] == [split.fold_of(n) in split.held_out for n in names]


@pytest.mark.parametrize("name", GOALS)
def test_a_goal_names_classes_of_its_recipe(name: str) -> None:
    card = config_from_json((RECIPES / f"{name}.json").read_bytes()).card
    assert {*GOALS[name].counted, *(GOALS[name].sides or ())} <= {c.value for c in card.classes}


def test_nine_patients_of_the_heart_are_held_out(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANSEG_DATA", str(data_dir))
    names = held_out_names("heart-lv")
    assert (len(names), GOALS["heart-lv"].patients(names)) == (158, 9)
