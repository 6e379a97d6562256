"""Dice and volumes, by hand and by law."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_ganseg.errors import FileError, GeometryError
from napari_ganseg.metrics import evaluate
from napari_ganseg.volume import LabelClass, LabelMap, identity_affine


def labels(values: object, *names: str, spacing: tuple[float, ...] = (1.0, 1.0, 1.0)) -> LabelMap:
    classes = tuple(LabelClass(i, name, "#ffffff") for i, name in enumerate(names, start=1))
    return LabelMap(array=np.asarray(values, np.uint8), affine=identity_affine(spacing), classes=classes)


@pytest.fixture
def truth() -> LabelMap:
    return labels(np.random.default_rng(0).integers(0, 3, (6, 7, 8)), "Liver", "Spleen")


def test_dice_by_hand() -> None:
    scores = evaluate(labels([[1, 1, 1, 0, 2]]), labels([[0, 1, 1, 1, 2]]))
    assert scores.per_class[1].dice == pytest.approx(2 * 2 / (3 + 3))
    assert scores.per_class[2].dice == 1
    assert scores.mean_dice == pytest.approx((2 / 3 + 1) / 2)


def test_a_map_agrees_with_itself(truth: LabelMap) -> None:
    assert evaluate(truth, truth).mean_dice == 1


def test_dice_is_symmetric(truth: LabelMap) -> None:
    other = truth.derive(array=np.roll(truth.array, 1, axis=0))
    there, back = evaluate(truth, other), evaluate(other, truth)
    assert 0 < there.mean_dice < 1
    assert there.mean_dice == back.mean_dice


def test_millilitres_come_from_the_affine() -> None:
    ten = labels(np.ones((1, 2, 5)), spacing=(5.0, 10.0, 2.0))
    assert evaluate(ten, ten).per_class[1].volume_ml == pytest.approx(10 * 100 / 1000)


def test_a_class_only_one_side_holds_scores_zero() -> None:
    scores = evaluate(labels([[1, 0]]), labels([[0, 2]]))
    assert [s.dice for s in scores.per_class.values()] == [0, 0]
    assert scores.per_class[1].truth_ml == 0


def test_a_class_neither_side_holds_is_named_and_not_scored() -> None:
    scores = evaluate(labels([[1, 0]], "Liver", "Spleen"), labels([[1, 0]], "Liver", "Spleen"))
    assert scores.per_class[2].dice is None
    assert scores.mean_dice == 1
    assert "Spleen: Dice not present" in str(scores)


def test_two_empty_maps_have_nothing_to_score() -> None:
    scores = evaluate(labels([[0, 0]]), labels([[0, 0]]))
    assert scores.mean_dice is None
    assert str(scores) == "mean Dice not present"


@pytest.mark.parametrize("declared_by", ["prediction", "truth", "both"])
def test_a_name_that_only_one_side_declares_is_used(declared_by: str) -> None:
    bare, named = labels([[1, 2]]), labels([[1, 2]], "Liver", "Spleen")
    pair = {"prediction": (named, bare), "truth": (bare, named), "both": (named, named)}[declared_by]
    assert [s.name for s in evaluate(*pair).per_class.values()] == ["Liver", "Spleen"]


def test_where_both_declare_a_name_the_predictions_is_used() -> None:
    scores = evaluate(labels([[1]], "Liver"), labels([[1]], "liver_seg"))
    assert scores.per_class[1].name == "Liver"


def test_a_class_nobody_names_is_a_number() -> None:
    assert evaluate(labels([[7]]), labels([[7]])).per_class[7].name == "label 7"


def test_the_report_ends_with_the_mean(truth: LabelMap) -> None:
    rows = str(evaluate(truth, truth)).splitlines()
    assert rows[0].startswith("Liver: Dice 1.000, ")
    assert rows[-1] == "mean Dice 1.000"


def test_another_grid_is_refused_with_both_grids_named(truth: LabelMap) -> None:
    other = labels(np.zeros((6, 7, 9)), spacing=(1.0, 1.0, 2.0))
    with pytest.raises(GeometryError, match="6x7x8 at 1 x 1 x 1 mm against 6x7x9 at 1 x 1 x 2 mm; resample"):
        evaluate(truth, other)


def test_a_shifted_grid_is_another_grid(truth: LabelMap) -> None:
    affine = truth.affine.copy()
    affine[0, 3] += 1
    with pytest.raises(GeometryError, match="differ in grid"):
        evaluate(truth, truth.derive(affine=affine))


def test_files_in_different_axis_orders_agree(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.random.default_rng(1).integers(0, 4, (5, 6, 7)).astype(np.uint8), np.diag([1, 2, 3, 1]))
    nib.save(image, tmp_path / "ras.nii")
    for axes in ("LPS", "PIR", "SAL"):
        to = nib.orientations.axcodes2ornt(axes)
        turned = image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(image.affine), to))
        nib.save(turned, tmp_path / f"{axes}.nii.gz")
        assert evaluate(tmp_path / "ras.nii", str(tmp_path / f"{axes}.nii.gz")).mean_dice == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"Cannot open none\.nii"):
        evaluate(tmp_path / "none.nii", tmp_path / "none.nii")
