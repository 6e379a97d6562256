"""What is not annotated is never background."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_ganseg.errors import UsageError
from napari_ganseg.io import write
from napari_ganseg.models.card import CardClass
from napari_ganseg.training import scan_folder
from napari_ganseg.training.partial import letters, missing_classes
from napari_ganseg.volume import LabelMap, Volume

CLASSES = (CardClass(3, "Right parotid", "#ff0000"), CardClass(5, "Oesophagus", "#00ff00"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    noise = np.random.default_rng(0).normal(size=(8, 9, 10)).astype(np.float32)
    labels = np.zeros((8, 9, 10), dtype=np.uint8)
    labels[2:4, 2:4, 2:4] = 3
    write(tmp_path / "images" / "a.nii.gz", Volume(array=noise))
    write(tmp_path / "labels" / "a.nii.gz", LabelMap(array=labels))
    return tmp_path


def test_the_table_names_classes_by_their_letters(folder: Path) -> None:
    (folder / "cases.csv").write_text("name,RightParotid,Esophagus,Liver\na,8,not contoured,not contoured\n")
    assert missing_classes(folder, CLASSES) == {"a": frozenset({5})}
    case = scan_folder(folder, 1, CLASSES)[0].case
    assert case is not None
    assert case.annotation.missing == {5}


def test_a_number_in_the_table_is_no_missing_class(folder: Path) -> None:
    (folder / "cases.csv").write_text("name,RightParotid,Esophagus\na.nii.gz,0,12\n")
    assert missing_classes(folder, CLASSES) == {"a": frozenset()}


def test_a_folder_without_a_table_misses_nothing(folder: Path) -> None:
    assert missing_classes(folder, CLASSES) == {}


def test_a_table_without_names_is_refused(folder: Path) -> None:
    (folder / "cases.csv").write_text("case,Esophagus\na,12\n")
    with pytest.raises(UsageError, match=r"cases\.csv needs a column called name"):
        missing_classes(folder, CLASSES)


def test_a_known_mask_is_no_case_and_marks_what_is_known(folder: Path) -> None:
    known = np.zeros((8, 9, 10), dtype=np.uint8)
    known[:4] = 1
    write(folder / "labels" / "a.known.nii.gz", LabelMap(array=known))
    (verdict,) = scan_folder(folder)
    assert verdict.case is not None
    np.testing.assert_array_equal(verdict.case.annotation.known, known == 1)


def test_a_known_mask_on_another_grid_is_a_fault(folder: Path) -> None:
    write(folder / "labels" / "a.known.nii.gz", LabelMap(array=np.ones((8, 9, 9), dtype=np.uint8)))
    (verdict,) = scan_folder(folder)
    assert "does not lie on the grid of its labels" in verdict.fault


def test_letters_are_compared_small_and_in_one_spelling() -> None:
    assert letters("Right parotid") == letters("RightParotid")
    assert letters("Oesophagus") == letters("esophagus")
