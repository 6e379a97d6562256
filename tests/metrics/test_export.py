"""Scores as CSV, and means over cases."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from napari_ganseg.errors import FileError, UsageError
from napari_ganseg.metrics import ClassScore, Lesions, Scores, class_means, mean_over_cases, summary, write_csv

FULL = ClassScore("Liver", 0.5, 1.0, 2.0, 0.25, 3.0, 4.0, 1.5, Lesions(1, 2, 3))
NOWHERE = ClassScore("Spleen", None, 0.0, 0.0)


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def dice(*values: float | None) -> Scores:
    return Scores({i: ClassScore(f"organ {i}", v, 1.0, 1.0) for i, v in enumerate(values, start=1)})


def test_a_row_per_case_and_class_comes_back(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", {"one": Scores({1: FULL, 2: NOWHERE}, 1.5), "two": Scores({1: FULL})})
    rows = read(tmp_path / "a.csv")
    assert [(row["case"], row["name"]) for row in rows] == [("one", "Liver"), ("one", "Spleen"), ("two", "Liver")]
    assert float(rows[0]["difference_ml"]) == -1
    assert (rows[0]["tolerance_mm"], rows[0]["lesions_false"], rows[1]["dice"]) == ("1.5", "3", "")


@pytest.mark.parametrize("text", ["=1+1", "+a", "-a", "@SUM(A1)", "\t=1", "\r=1", "  =1"])
def test_text_that_would_be_a_formula_is_not(tmp_path: Path, text: str) -> None:
    write_csv(tmp_path / "a.csv", {text: Scores({1: ClassScore(text, 1.0, 1.0, 2.0)})})
    row = read(tmp_path / "a.csv")[0]
    assert (row["case"], row["name"]) == ("'" + text, "'" + text)
    assert row["difference_ml"] == "-1.0"


def test_names_with_commas_quotes_and_umlauts_come_back(tmp_path: Path) -> None:
    name = 'Ohrspeicheldrüse, "links"\nzweite Zeile'
    write_csv(tmp_path / "a.csv", {"a": Scores({1: ClassScore(name, 1.0, 1.0, 1.0)})})
    assert read(tmp_path / "a.csv")[0]["name"] == name


def test_no_case_is_a_table_without_rows(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", {})
    assert read(tmp_path / "a.csv") == []
    assert (tmp_path / "a.csv").read_text("utf-8-sig").startswith("case,class,name,dice,jaccard,nsd,tolerance_mm,")


def test_a_file_that_cannot_be_written_is_said_and_the_folder_stays_clean(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(FileError, match=r"Cannot write a\.csv"):
        write_csv(tmp_path / "a.csv", {"one": dice(1.0)})
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


# --- means over cases -------------------------------------------------------------------------------------------------


def test_every_case_counts_the_same_whatever_its_classes() -> None:
    cases = [dice(1.0, None), dice(0.2, 0.6), dice(None, None)]
    assert mean_over_cases(cases) == pytest.approx((1.0 + 0.4) / 2)
    assert class_means(cases) == pytest.approx({"organ 1": 0.6, "organ 2": 0.6})


def test_an_empty_prediction_counts_in_both_means() -> None:
    cases = [dice(1.0), dice(0.0)]
    assert mean_over_cases(cases) == class_means(cases)["organ 1"] == 0.5


def test_classes_are_matched_by_name() -> None:
    cases = [Scores({1: ClassScore("Liver", 1.0, 1, 1)}), Scores({2: ClassScore("Liver", 0.5, 1, 1)})]
    assert class_means(cases) == {"Liver": 0.75}


def test_nothing_to_score_has_no_mean() -> None:
    assert mean_over_cases([]) is None
    assert mean_over_cases([dice(None)]) is None
    assert class_means([dice(None)]) == {"organ 1": None}


def test_surface_dice_at_two_tolerances_has_no_mean() -> None:
    cases = [Scores({1: FULL}, 1.0), Scores({1: FULL}, 2.0)]
    with pytest.raises(UsageError, match="surface Dice at 1 and 2 mm"):
        mean_over_cases(cases, "nsd")
    assert mean_over_cases(cases, "hd95_mm") == 3


def test_the_summary_shows_the_figures_there_are() -> None:
    lines = summary([Scores({1: FULL, 2: NOWHERE}, 1.0)]).splitlines()
    assert lines[0].split() == ["class", "dice", "jaccard", "nsd", "hd95_mm", "hd_mm", "assd_mm"]
    assert lines[2].split() == ["Spleen", "-", "-", "-", "-", "-", "-"]
    assert lines[-1].split()[:4] == ["mean", "over", "cases", "0.500"]
    assert summary([dice(1.0)]).splitlines()[0].split() == ["class", "dice", "jaccard"]
