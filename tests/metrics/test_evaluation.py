"""Overlap and volumes, by hand and by law; what an empty class counts; names."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_ganseg.errors import FileError, GeometryError, UsageError
from napari_ganseg.metrics import ClassScore, Lesions, Scores, evaluate
from napari_ganseg.volume import LabelClass, LabelMap, identity_affine


def labels(values: object, *names: str, spacing: tuple[float, ...] = (1.0, 1.0, 1.0)) -> LabelMap:
    classes = tuple(LabelClass(i, name, "#ffffff") for i, name in enumerate(names, start=1))
    return LabelMap(array=np.asarray(values), affine=identity_affine(spacing), classes=classes)


@pytest.fixture
def truth() -> LabelMap:
    return labels(np.random.default_rng(0).integers(0, 3, (6, 7, 8)), "Liver", "Spleen")


def one(predicted: LabelMap, true: LabelMap, tolerance_mm: float | None = 1.0) -> ClassScore:
    return evaluate(predicted, true, tolerance_mm=tolerance_mm).per_class[1]


# --- overlap and volume -----------------------------------------------------------------------------------------------


def test_dice_and_jaccard_by_hand() -> None:
    scores = evaluate(labels([[1, 1, 1, 0, 2]]), labels([[0, 1, 1, 1, 2]]))
    assert scores.per_class[1].dice == pytest.approx(2 * 2 / (3 + 3))
    assert scores.per_class[1].jaccard == pytest.approx(2 / 4)
    assert scores.per_class[2].dice == 1
    assert scores.mean_dice == pytest.approx((2 / 3 + 1) / 2)


def test_a_map_agrees_with_itself(truth: LabelMap) -> None:
    for score in evaluate(truth, truth, tolerance_mm=0).per_class.values():
        assert (score.dice, score.jaccard, score.nsd) == (1, 1, 1)
        assert (score.hd95_mm, score.hd_mm, score.assd_mm, score.difference_ml) == (0, 0, 0, 0)
        assert (score.lesions.missed, score.lesions.false) == (0, 0)


@pytest.mark.parametrize("figure", ["dice", "jaccard", "nsd", "hd95_mm", "hd_mm", "assd_mm"])
def test_every_figure_is_symmetric(truth: LabelMap, figure: str) -> None:
    other = truth.derive(array=np.roll(truth.array, 1, axis=0))
    there, back = (evaluate(*pair, tolerance_mm=0).mean(figure) for pair in ((truth, other), (other, truth)))
    assert there > 0
    assert there == pytest.approx(back)


def test_mirrored_pairs_score_the_same(truth: LabelMap) -> None:
    other = truth.derive(array=np.roll(truth.array, 1, axis=0))
    mirrored = [m.derive(array=m.array[::-1, :, ::-1]) for m in (other, truth)]
    expected = evaluate(other, truth, tolerance_mm=1)
    found = evaluate(*mirrored, tolerance_mm=1)
    assert found.per_class[1].hd95_mm == pytest.approx(expected.per_class[1].hd95_mm)
    assert found.per_class[2].assd_mm == pytest.approx(expected.per_class[2].assd_mm)
    assert found.mean("nsd") == pytest.approx(expected.mean("nsd"))


def test_millilitres_come_from_the_affine() -> None:
    ten = labels(np.ones((1, 2, 5), int), spacing=(5.0, 10.0, 2.0))
    assert evaluate(ten, ten).per_class[1].volume_ml == pytest.approx(10 * 100 / 1000)


def test_a_volume_too_small_is_a_negative_difference() -> None:
    score = one(labels([[1, 0, 0, 0]]), labels([[1, 1, 0, 0]]), None)
    assert score.difference_ml == pytest.approx(-0.001)
    assert score.difference_percent == pytest.approx(-50)


def test_overlap_alone_asks_for_no_surface(truth: LabelMap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_ganseg.metrics.evaluation.with_surfaces", None)
    score = evaluate(truth, truth).per_class[1]
    assert (score.nsd, score.hd95_mm, score.hd_mm, score.assd_mm, score.lesions) == (None,) * 5


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_that_is_none_is_refused(truth: LabelMap, tolerance: float) -> None:
    with pytest.raises(UsageError, match="tolerance of the surface Dice is 0 mm or more, not"):
        evaluate(truth, truth, tolerance_mm=tolerance)


@pytest.mark.parametrize("value", [-3, 300, 70_000, 2_000_000_000])
def test_any_whole_number_is_a_class(value: int) -> None:
    scores = evaluate(labels([[value, 0, 0]]), labels([[value, value, 0]]), tolerance_mm=1)
    assert scores.per_class.keys() == {value}
    assert scores.mean_dice == pytest.approx(2 / 3)


# --- empty classes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", [([[1, 0, 0]], [[0, 0, 0]]), ([[0, 0, 0]], [[1, 0, 0]])])
def test_a_class_only_one_side_holds_scores_the_worst(pair: tuple[object, object]) -> None:
    score = one(*(labels(p, "Liver", spacing=(1.0, 3.0, 4.0)) for p in pair))
    assert (score.dice, score.jaccard, score.nsd) == (0, 0, 0)
    assert (score.hd95_mm, score.hd_mm, score.assd_mm) == pytest.approx((np.hypot(3, 12),) * 3)
    assert score.is_one_sided


def test_an_empty_prediction_has_lost_everything_and_an_empty_truth_has_no_percent() -> None:
    held, empty = labels([[1, 0, 1]]), labels([[0, 0, 0]], "Liver")
    missed, false = one(empty, held), one(held, empty)
    assert (missed.difference_percent, missed.lesions) == (-100, Lesions(0, 2, 0))
    assert (false.difference_percent, false.lesions) == (None, Lesions(0, 0, 2))


def test_an_empty_prediction_stays_in_the_means() -> None:
    scores = evaluate(labels([[1, 1, 0]]), labels([[1, 1, 2]]), tolerance_mm=1)
    assert (scores.mean_dice, scores.mean("nsd")) == (0.5, 0.5)
    assert scores.mean("hd95_mm") == pytest.approx(np.hypot(1, 3) / 2)


def test_a_class_neither_side_holds_is_named_and_not_scored() -> None:
    pair = labels([[1, 0]], "Liver", "Spleen"), labels([[1, 0]], "Liver", "Spleen")
    scores = evaluate(*pair, tolerance_mm=1)
    assert scores.per_class[2] == ClassScore("Spleen", None, 0, 0)
    assert scores.per_class[2].jaccard is None
    assert (scores.mean_dice, scores.mean("hd95_mm")) == (1, 0)


@pytest.mark.parametrize("tolerance", [None, 1.0])
def test_two_empty_maps_have_nothing_to_score(tolerance: float | None) -> None:
    scores = evaluate(labels([[0, 0]]), labels([[0, 0]]), tolerance_mm=tolerance)
    assert scores.mean_dice is None
    assert str(scores) == "mean Dice not present"


# --- names and grids --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared_by", ["prediction", "truth", "both"])
def test_a_name_that_only_one_side_declares_is_used(declared_by: str) -> None:
    bare, named = labels([[1, 2]]), labels([[1, 2]], "Liver", "Spleen")
    pair = {"prediction": (named, bare), "truth": (bare, named), "both": (named, named)}[declared_by]
    assert [s.name for s in evaluate(*pair).per_class.values()] == ["Liver", "Spleen"]


def test_where_both_declare_a_name_the_predictions_is_used() -> None:
    scores = evaluate(labels([[1]], "Liver"), labels([[1]], "liver_seg"))
    assert scores.per_class[1].name == "Liver"
    assert scores.notes == ()


def test_a_name_with_two_numbers_is_said() -> None:
    scores = evaluate(labels([[1, 2]], "Liver", "Spleen"), labels([[1, 2]], "Spleen", "Liver"))
    assert scores.notes[0] == "Liver is 1 in the prediction and 2 in the truth; classes were matched by number."
    assert scores.notes[1] in str(scores)


def test_a_class_nobody_names_is_a_number() -> None:
    assert evaluate(labels([[7]]), labels([[7]])).per_class[7].name == "label 7"


def test_another_grid_is_refused_with_both_grids_named(truth: LabelMap) -> None:
    other = labels(np.zeros((6, 7, 9), int), spacing=(1.0, 1.0, 2.0))
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


# --- the table --------------------------------------------------------------------------------------------------------


def test_the_table_is_aligned_and_ends_with_the_mean(truth: LabelMap) -> None:
    lines = str(evaluate(truth, truth, tolerance_mm=1.5)).splitlines()
    surfaces, volumes = "NSD 1.5 mm  HD95 mm  HD mm  ASSD mm", "mL truth mL diff mL diff % found missed false"
    assert lines[0].split() == f"class Dice Jaccard {surfaces} {volumes}".split()
    assert lines[1].split()[:3] == ["Liver", "1.000", "1.000"]
    assert len({len(line) for line in lines[:3]}) == 1
    assert lines[-1] == "mean Dice 1.000, NSD 1.000, HD95 0.00 mm, ASSD 0.00 mm"


def test_the_cheap_table_shows_what_was_asked(truth: LabelMap) -> None:
    lines = str(evaluate(truth, truth)).splitlines()
    assert lines[0].split() == ["class", "Dice", "Jaccard", "mL", "truth", "mL", "diff", "mL", "diff", "%"]
    assert lines[-1] == "mean Dice 1.000"


def test_the_table_marks_a_distance_that_stands_for_an_empty_side() -> None:
    text = str(evaluate(labels([[1, 0, 0]], "Liver", "Spleen"), labels([[0, 0, 0]]), tolerance_mm=1))
    assert "3.16*" in text
    assert "* one side is empty: the image's diagonal stands for the distance" in text
    assert "Spleen  not present" in text


def test_rows_are_flat_and_say_none_where_there_is_nothing() -> None:
    score = ClassScore("Liver", 0.5, 1.0, 2.0, 0.25, 3.0, 4.0, 1.5, Lesions(1, 2, 3))
    liver, spleen = Scores({1: score, 2: ClassScore("Spleen", None, 0.0, 0.0)}, 1.0).rows()
    assert liver["difference_percent"] == -50
    assert (liver["lesions_found"], liver["lesions_missed"], liver["lesions_false"]) == (1, 2, 3)
    assert liver.keys() == spleen.keys()
    assert spleen["hd95_mm"] is None
