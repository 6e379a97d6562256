"""The benchmark of models: which classes and cases count, and when it fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks import models, record
from benchmarks.figures import Figures, Measured
from benchmarks.goals import GOALS, Goal
from benchmarks.models import main, measure, report
from builders import bands_model, saved
from PIL import Image

from napari_ganseg.models import Model

LEVELS = np.array([0, 150, 250], np.uint8)  # what `bands_model` labels 0, 1 and 2


@pytest.fixture
def model() -> Model:
    """Labels grey above 100 as organ 1, above 200 as organ 2."""
    return bands_model(2, 2)


def save_case(folder: Path, name: str, seen: list[int], true: list[int]) -> None:
    """A picture that the model labels as `seen`, stripe by stripe, and its truth."""
    for place, values in (("images", LEVELS[seen]), ("labels", np.array(true, np.uint8))):
        (folder / place).mkdir(exist_ok=True)
        Image.fromarray(np.repeat(np.repeat(values[None], 32, 0), 8, 1)).save(folder / place / f"{name}.png")


def goal(monkeypatch: pytest.MonkeyPatch, bar: float = 0.5, **changes: object) -> None:
    monkeypatch.setitem(GOALS, "tiny", Goal("mine", bar, **changes))  # type: ignore[arg-type]


def test_only_the_counted_classes_make_the_mean() -> None:
    figures = Figures((Measured("a", {1: 0.8, 5: 0.2}), Measured("b", {1: 0.6, 3: 1.0})), counted=(1, 3))
    assert figures.per_case == pytest.approx([0.8, 0.8])
    assert figures.of_class(5) == [0.2]


def test_a_case_without_any_counted_class_is_left_out_of_the_mean() -> None:
    assert Figures((Measured("a", {1: 0.8}), Measured("b", {5: 0.1})), counted=(1,)).mean == pytest.approx(0.8)


def test_pictures_are_cases_too(tmp_path: Path, model: Model) -> None:
    save_case(tmp_path, "a", [0, 1, 2, 0], [0, 1, 2, 2])
    (case,) = measure(tmp_path, ["a.png"], model).cases
    assert case.dices == {1: 1.0, 2: pytest.approx(2 / 3)}


def test_a_class_in_neither_map_does_not_count_and_one_in_either_does(tmp_path: Path, model: Model) -> None:
    save_case(tmp_path, "a", [0, 1, 0, 0], [0, 1, 0, 0])
    save_case(tmp_path, "b", [0, 1, 2, 0], [0, 1, 0, 0])
    assert measure(tmp_path, ["a.png", "b.png"], model).per_case == [1.0, 0.5]


def test_a_class_that_nobody_contoured_does_not_count(tmp_path: Path, model: Model) -> None:
    save_case(tmp_path, "a", [0, 1, 2, 0], [0, 1, 0, 0])
    (tmp_path / "cases.csv").write_text("name,Organ 1,Organ 2\na,9,not contoured\n")
    assert measure(tmp_path, ["a.png"], model).cases[0].dices == {1: 1.0}


def test_a_class_that_was_not_found_is_said(tmp_path: Path, model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    save_case(tmp_path, "a", [0, 1, 0, 0], [0, 1, 2, 0])
    report(model, measure(tmp_path, ["a.png"], model), has_bar=False)
    assert "not found in a.png: organ 2\n" in capsys.readouterr().out


@pytest.mark.parametrize(("bar", "code"), [(0.5, 0), (0.51, 1)])
def test_the_bar_is_the_least_that_passes(monkeypatch: pytest.MonkeyPatch, model: Model, bar: float, code: int) -> None:
    goal(monkeypatch, bar)
    figures = Figures((Measured("a", {1: 0.5}),), (1,))
    assert report(model, figures, has_bar=True) == code
    assert report(model, figures, has_bar=False) == 0


def test_swapped_sides_fail_however_good_the_mean(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    goal(monkeypatch, bar=0.0, sides=(1, 2))
    save_case(tmp_path, "a", [0, 1, 2, 0], [0, 2, 1, 0])
    assert report(model, measure(tmp_path, ["a.png"], model), has_bar=True) == 1
    assert capsys.readouterr().out.endswith("over 1 cases; right and left SWAPPED in 1\n")


def test_the_last_line_gives_the_figures(
    monkeypatch: pytest.MonkeyPatch, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    goal(monkeypatch, counted=(1,), sides=(1, 2), patient_until="-")
    report(model, Figures((Measured("a-1", {1: 0.75, 2: 0.1}), Measured("a-2", {1: 0.85})), (1,)), has_bar=True)
    *_, apart, bar, last = capsys.readouterr().out.splitlines()
    assert "organ 2" in apart
    assert "not in the mean" in apart
    assert bar == "bar 0.500: reached"
    assert last == "tiny: mean Dice 0.800 over 2 cases of 1 patients, 1 classes; right and left never swapped"


def test_a_model_file_is_measured_by_the_goal_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    goal(monkeypatch, bar=0.0)
    monkeypatch.setenv("GANSEG_DATA", str(tmp_path))
    (tmp_path / "mine").mkdir()
    for name in "abcdefgh":  # of these, b.png alone falls into fold 0
        save_case(tmp_path / "mine", name, [0, 1, 1, 0], [0, 1, 1, 0])
    seen: list[Figures] = []
    monkeypatch.setattr(record, "RUNS", tmp_path / "runs.jsonl")
    monkeypatch.setattr(models, "report", lambda model, figures, has_bar: seen.append(figures) or 0)
    main(["--model", str(saved(tmp_path, dims=2))])
    assert [case.name for case in seen[0].cases] == ["b.png"]


@pytest.mark.parametrize(("model", "message"), [("nothing", "no model"), ("no.ganseg.safetensors", "Cannot")])
def test_a_model_that_is_not_there_is_said(model: str, message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        main(["--model", model])


def test_a_model_below_its_plain_twin_on_record_fails(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(record, "RUNS", tmp_path / "runs.jsonl")
    trained = replace(model.card.provenance, metrics={"steps": 10.0, "test_dice": 0.7}, split="1 case", seed=1)
    twin = Model(replace(model.card, provenance=trained), model.network, "")
    figures = Figures((Measured("a", {1: 0.69}),), (1,))
    assert models.compare_recorded(twin, figures) == 0
    record.add_line(record.described(twin.card) | {"adversary": {"lambda_share": 0.9}})
    assert models.compare_recorded(twin, figures) == 0
    record.add_line(record.described(twin.card) | {"adversary": {"lambda_share": 0.0}})
    assert models.compare_recorded(twin, figures) == 1
    assert "on record: 0.7000, here 0.6900" in capsys.readouterr().out
    assert models.compare_recorded(twin, Figures((Measured("a", {1: 0.7}),), (1,))) == 0


def test_without_a_name_every_shipped_model_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(models, "measure_one", lambda name, data, against: seen.append(name) or len(seen) - 1)
    assert main([]) == 2  # the third one failed, the worst
    assert seen == ["headneck-ct", "heart-lv", "hippocampus-mri"]
