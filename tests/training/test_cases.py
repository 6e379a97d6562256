"""Every pair is judged before the first step, and every fault has a name."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from builders import blob_case, make_card, noise

from napari_ganseg.errors import UsageError
from napari_ganseg.training import Case, good_cases, scan_folder
from napari_ganseg.training.cases import case_sha256, check_cases
from napari_ganseg.volume import Annotation, LabelClass, Volume


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    return tmp_path


@pytest.fixture
def put(folder: Path) -> Callable[..., None]:
    """Write a pair; either half may be replaced or left out."""

    def put(name: str, image: object = "noise", labels: object = "box", spacing: float = 1.0) -> None:
        seed = sum(name.encode())
        if isinstance(image, str):
            image = np.random.default_rng(seed).normal(size=(9, 10, 11)).astype(np.float32)
        if isinstance(labels, str):
            labels = np.zeros((9, 10, 11), np.uint8)
            labels[2:5, 2:5, 2:5] = 1
        for array, place, size in ((image, "images", 1.0), (labels, "labels", spacing)):
            if array is not None:
                nib.save(nib.Nifti1Image(array, np.diag([size, 1, 1, 1])), folder / place / name)

    return put


def fault_of(folder: Path) -> str:
    (verdict,) = scan_folder(folder)
    assert verdict.case is None
    return verdict.fault


def test_a_good_pair_becomes_a_case(folder: Path, put: Callable[..., None]) -> None:
    put("a.nii.gz")
    (verdict,) = scan_folder(folder)
    assert verdict.fault == ""
    assert verdict.case is not None
    assert verdict.case.name == "a.nii.gz"
    assert verdict.case.image.shape == (11, 10, 9)
    assert verdict.case.annotation.known.all()
    assert verdict.case.annotation.labels.counts() == {1: 27}


def test_cases_come_in_the_order_of_their_names(folder: Path, put: Callable[..., None]) -> None:
    for name in ("b.nii", "c.nii.gz", "a.nii"):
        put(name)
    assert [v.name for v in scan_folder(folder)] == ["a.nii", "b.nii", "c.nii.gz"]


@pytest.mark.parametrize("missing", ["image", "label"])
def test_a_missing_partner(folder: Path, put: Callable[..., None], missing: str) -> None:
    put("a.nii", **{"image" if missing == "image" else "labels": None})
    assert fault_of(folder) == f"its {missing} is missing"


def test_another_shape(folder: Path, put: Callable[..., None]) -> None:
    put("a.nii", labels=np.ones((9, 10, 12), np.uint8))
    assert fault_of(folder).startswith("image and labels differ in grid ((11, 10, 9) at 1 x 1 x 1 mm, (12, 10, 9) at")


def test_another_spacing(folder: Path, put: Callable[..., None]) -> None:
    put("a.nii", spacing=1.5)
    assert "(11, 10, 9) at 1 x 1 x 1.5 mm" in fault_of(folder)


def test_a_shifted_label_map(folder: Path, put: Callable[..., None]) -> None:
    put("a.nii")
    affine = np.eye(4)
    affine[0, 3] = 2
    nib.save(nib.Nifti1Image(np.ones((9, 10, 11), np.uint8), affine), folder / "labels" / "a.nii")
    assert "or shifted" in fault_of(folder)


def test_image_and_labels_swapped(folder: Path, put: Callable[..., None]) -> None:
    put("a.nii", image=np.ones((9, 10, 11), np.uint8), labels=np.random.default_rng(0).normal(size=(9, 10, 11)))
    assert "labels are whole numbers" in fault_of(folder)


def test_a_label_of_one_and_a_half(folder: Path, put: Callable[..., None]) -> None:
    put("a.nii", labels=np.full((9, 10, 11), 1.5, np.float32))
    assert fault_of(folder) == "Cannot open a.nii: it holds the value 1.5; labels are whole numbers."


def test_a_negative_label(folder: Path, put: Callable[..., None]) -> None:
    put("a.nii", labels=np.full((9, 10, 11), -1, np.int16))
    assert fault_of(folder) == "its labels hold the value -1; classes are positive"


def test_whole_numbers_stored_as_floats_are_labels(folder: Path, put: Callable[..., None]) -> None:
    put("a.nii", labels=np.full((9, 10, 11), 2.0, np.float64))
    assert scan_folder(folder)[0].case is not None


def test_a_file_that_cannot_be_read(folder: Path, put: Callable[..., None]) -> None:
    put("a.nii.gz")
    path = folder / "images" / "a.nii.gz"
    path.write_bytes(path.read_bytes()[:-20])
    assert fault_of(folder).startswith("Cannot open a.nii.gz: ")


def test_a_file_that_is_no_image(folder: Path, put: Callable[..., None]) -> None:
    put("a.nii")
    (folder / "images" / "a.nii").write_bytes(gzip.compress(b"<html>"))
    assert fault_of(folder).startswith("Cannot open a.nii: ")


def test_the_same_image_under_two_names(folder: Path, put: Callable[..., None]) -> None:
    image = noise((9, 10, 11)).array
    put("a.nii", image=image)
    put("b.nii", image=image)
    first, second = scan_folder(folder)
    assert first.case is not None
    assert second.fault == "it is the same image as a.nii"


def test_a_header_with_its_voxels_is_one_case(folder: Path) -> None:
    for place in ("images", "labels"):
        array = np.random.default_rng(0).integers(0, 2, (9, 10, 11)).astype(np.int16)
        nib.save(nib.Nifti1Pair(array, np.eye(4)), folder / place / "a.hdr")
    (verdict,) = scan_folder(folder)
    assert verdict.name == "a.hdr"
    assert verdict.case is not None


def test_a_fourth_axis_is_channels_when_the_model_has_them(folder: Path, put: Callable[..., None]) -> None:
    put("a.nii", image=np.random.default_rng(0).normal(size=(9, 10, 11, 2)))
    assert scan_folder(folder, channels=2)[0].case.image.channels == 2
    assert "it holds 2 images along NIfTI axis 4" in fault_of(folder)


@pytest.mark.parametrize("what", ["folders", "files"])
def test_a_folder_without_pairs(tmp_path: Path, what: str) -> None:
    if what == "files":
        (tmp_path / "images").mkdir()
        (tmp_path / "labels").mkdir()
        (tmp_path / "images" / "readme.txt").write_text("nothing here")
    with pytest.raises(
        UsageError, match="needs the folders images and labels" if what == "folders" else "no NIfTI files"
    ):
        scan_folder(tmp_path)


@pytest.mark.parametrize(("bad", "is_enough"), [(1, True), (2, False)])
def test_four_in_five_pairs_must_be_good(folder: Path, put: Callable[..., None], bad: int, is_enough: bool) -> None:
    for name in "abcde":
        put(f"{name}.nii", labels=None if name in "abcde"[:bad] else "box")
    verdicts = scan_folder(folder)
    if is_enough:
        assert [c.name for c in good_cases(verdicts)] == ["b.nii", "c.nii", "d.nii", "e.nii"]
    else:
        with pytest.raises(
            UsageError,
            match=r"Only 3 of 5 pairs can be used; four in five are needed\. a\.nii: its label is missing; b",
        ):
            good_cases(verdicts)


def test_no_good_pair_at_all(folder: Path, put: Callable[..., None]) -> None:
    put("a.nii", labels=None)
    with pytest.raises(UsageError, match="Only 0 of 1 pairs can be used"):
        good_cases(scan_folder(folder))


def test_a_label_value_without_a_class_is_a_fault(folder: Path, put: Callable[..., None]) -> None:
    for name in "abcdef":
        put(f"{name}.nii", labels=np.full((9, 10, 11), 7 if name == "a" else 2, np.uint8))
    assert [c.name for c in good_cases(scan_folder(folder), [1, 2, 3])] == [f"{n}.nii" for n in "bcdef"]
    with pytest.raises(UsageError, match=r"a\.nii: its labels hold the value 7, which has no class"):
        good_cases(scan_folder(folder)[:1], [1, 2, 3])


def test_a_class_that_is_declared_but_not_there_is_no_fault() -> None:
    case = blob_case()
    labels = case.annotation.labels.derive(classes=(LabelClass(1, "Box", "#ffffff"), LabelClass(9, "None", "#ffffff")))
    check_cases([replace(case, annotation=replace(case.annotation, labels=labels))], make_card())


def test_a_case_of_background_alone_is_good(folder: Path, put: Callable[..., None]) -> None:
    put("a.nii", labels=np.zeros((9, 10, 11), np.uint8))
    assert len(good_cases(scan_folder(folder), [1])) == 1


def unknown_case() -> Case:
    case = blob_case()
    return replace(case, annotation=Annotation(case.annotation.labels, np.zeros(case.image.shape, bool)))


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ([blob_case(shape=(20, 20))], r"a\.nii cannot train tiny: it is 2D, the model 3D"),
        ([replace(blob_case(), image=Volume(array=np.zeros((2, 20, 22, 24)), has_channels=True))],
         r"it has 2 channel\(s\), the model 1"),
        ([unknown_case()], "nothing in it is annotated"),
        ([blob_case(), blob_case(seed=1)], r"Two cases are called a\.nii"),
    ],
)  # fmt: skip
def test_cases_that_do_not_fit_the_model_are_refused_by_name(cases: list[Case], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_cases(cases, make_card())


def test_the_hash_of_a_case_sees_every_part_of_it() -> None:
    case = blob_case()
    known = case.annotation.known.copy()
    known[0, 0, 0] = False
    image, labels = case.image, case.annotation.labels
    others = [
        replace(case, image=image.derive(array=image.array + 1)),
        replace(case, image=image.derive(affine=image.affine * [[2], [1], [1], [1]])),
        replace(case, annotation=Annotation(labels.derive(array=1 - labels.array), case.annotation.known)),
        replace(case, annotation=Annotation(labels, known)),
        replace(case, annotation=Annotation(labels, case.annotation.known, frozenset({2}))),
    ]
    assert len({case_sha256(c) for c in (case, *others)}) == 6
    assert case_sha256(case) == case_sha256(blob_case())
