"""nnU-Net beside ours: what it is given, how long it may take, and what happens where it cannot run."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from benchmarks import nnunet
from benchmarks.goals import Goal

GOAL = Goal("set", 0.5, counted=(3, 7))


def test_its_labels_are_numbered_one_after_the_other_and_others_are_background(tmp_path: Path) -> None:
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        array = np.array([[[0, 3, 7, 5]]], np.uint8)
        nibabel.Nifti1Image(array, np.diag([1, 2, 3, 1])).to_filename(tmp_path / kind / "a.nii.gz")
    nnunet.write_data_set(tmp_path, ["a.nii.gz"], (3, 7), tmp_path / "raw")
    made = nibabel.load(tmp_path / "raw" / "labelsTr" / "a.nii.gz")
    assert np.asarray(made.dataobj).tolist() == [[[0, 1, 2, 0]]]
    assert made.header.get_zooms() == (1, 2, 3)
    assert (tmp_path / "raw" / "imagesTr" / "a_0000.nii.gz").exists()
    about = json.loads((tmp_path / "raw" / "dataset.json").read_text())
    assert about["labels"] == {"background": 0, "class 3": 1, "class 7": 2}


def test_nobody_held_out_teaches_or_validates() -> None:
    names = [f"{n:03}.nii.gz" for n in range(60)]
    split = nnunet.division(GOAL, names)
    assert not {f"{s}.nii.gz" for s in (*split["train"], *split["val"])} & {n for n in names if GOAL.is_held_out(n)}
    assert split["train"]
    assert split["val"]
    assert not set(split["train"]) & set(split["val"])


@pytest.mark.parametrize(("seconds", "minutes", "epochs"), [(10, 45, 250), (10, 1000, 1000), (100, 1, 10)])
def test_the_longest_schedule_that_fits_is_taken(seconds: float, minutes: float, epochs: int) -> None:
    assert nnunet.schedule([100 * seconds, *[seconds] * 4], minutes) == epochs


def test_its_numbers_are_turned_back_before_the_comparison(tmp_path: Path) -> None:
    for name, values in (("found", [0, 1, 2, 2]), ("truth", [0, 3, 7, 5])):
        array = np.array([[values]], np.uint8).repeat(3, 0).repeat(3, 1)
        nibabel.Nifti1Image(array, np.eye(4)).to_filename(tmp_path / f"{name}.nii.gz")
    assert nnunet.dice(tmp_path / "found.nii.gz", tmp_path / "truth.nii.gz", (3, 7)) == pytest.approx((1 + 2 / 3) / 2)


def test_where_it_is_not_installed_it_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(nnunet, "tool", lambda command: tmp_path / command)
    assert nnunet.main(["hippocampus-mri", "--prepare"]) == 2
    assert "pip install nnunetv2" in capsys.readouterr().err
