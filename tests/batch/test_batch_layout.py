"""Which files of a folder are cases, and where their labels go."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from napari_ganseg.batch.layout import find_cases, layout_of
from napari_ganseg.batch.options import BatchOptions
from napari_ganseg.errors import FileError, UsageError

unix = pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")


def fill(folder: Path, *names: str) -> None:
    """Put empty files into a folder."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def outputs(folder: Path, out: Path, pictures: bool = False, **options: Any) -> dict[str, list[str]]:
    """Output and sources of every case, relative to their folders."""
    cases = find_cases(folder, out, BatchOptions(**options), pictures=pictures)
    return {c.output.relative_to(out).as_posix(): [s.relative_to(folder).as_posix() for s in c.sources] for c in cases}


# --- plain ------------------------------------------------------------------------------------------------------------


def test_sub_folders_stay_as_they_are(scans: Path, out: Path) -> None:
    fill(
        scans,
        "b.NII",
        "one/a.nii.gz",
        "one/two/c.hdr",
        "one/two/c.img",
        "notes.txt",
        "d.png",
        ".hidden/e.nii",
        ".f.nii",
    )
    found = outputs(scans, out)
    assert found == {"b.nii.gz": ["b.NII"], "one/a.nii.gz": ["one/a.nii.gz"], "one/two/c.nii.gz": ["one/two/c.hdr"]}


def test_without_recursion_only_the_folder_itself_counts(scans: Path, out: Path) -> None:
    fill(scans, "b.nii", "one/a.nii.gz")
    assert list(outputs(scans, out, recursive=False)) == ["b.nii.gz"]


def test_a_2d_models_pictures_stay_pictures(scans: Path, out: Path) -> None:
    fill(scans, "a.png", "b.tif", "c.nii")
    assert list(outputs(scans, out, pictures=True)) == ["a.png", "b.png", "c.nii.gz"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*_T1.nii*", ["a_T1.nii.gz", "x/a_t1.nii.gz"]),
        ("x/*", ["x/a_t1.nii.gz", "x/b.nii.gz"]),
        ("B.nii", ["x/b.nii.gz"]),
    ],
)
def test_patterns_choose_by_name_or_by_path(scans: Path, out: Path, pattern: str, found: list[str]) -> None:
    fill(scans, "a_T1.nii.gz", "x/a_t1.nii.gz", "x/b.nii")
    assert list(outputs(scans, out, patterns=(pattern,))) == found


def test_labels_beside_images_and_known_masks_are_no_scans(scans: Path, out: Path) -> None:
    fill(
        scans, "images/a.nii", "labels/a.nii", "imagesX/b.nii", "labelsX/b.nii", "c.known.nii.gz", "other/labels/d.nii"
    )
    assert list(outputs(scans, out)) == ["images/a.nii.gz", "imagesX/b.nii.gz", "other/labels/d.nii.gz"]


def test_the_output_folder_inside_the_input_is_not_looked_into(scans: Path) -> None:
    fill(scans, "a.nii", "out/a.nii.gz")
    assert list(outputs(scans, scans / "out")) == ["a.nii.gz"]


def test_an_output_of_ours_is_no_scan_wherever_it_lies(scans: Path, out: Path) -> None:
    fill(scans, "a.nii", "old/a.nii.gz", "old/b.nii")
    record = {"output": {"name": "a.nii.gz"}}
    (scans / "old/a.json").write_text(json.dumps({"software": "napari-ganseg", "record": record}))
    assert outputs(scans, out) == {"a.nii.gz": ["a.nii"], "old/b.nii.gz": ["old/b.nii"]}


@pytest.mark.parametrize(
    "names", [("a.nii", "a.nii.gz"), ("a.hdr", "a.nii"), ("x/a.png", "x/a.nii.gz"), ("a.png", "a.tif")]
)
def test_two_scans_with_one_output_are_named(scans: Path, out: Path, names: tuple[str, str]) -> None:
    fill(scans, *names)
    first, second = sorted(Path(n).name for n in names)
    with pytest.raises(UsageError, match=rf"{first} and {second} would have the same output"):
        outputs(scans, out, pictures=True)


def test_labels_never_go_among_the_scans(scans: Path) -> None:
    fill(scans, "a.nii")
    with pytest.raises(UsageError, match="cannot go into in itself"):
        outputs(scans, scans / "x" / "..")


def test_an_output_that_is_a_scan_is_refused(tmp_path: Path, scans: Path) -> None:
    fill(scans, "in/a.nii.gz", "a.nii.gz")
    with pytest.raises(UsageError, match=r"labels of a.nii.gz would be written over a scan"):
        outputs(scans, tmp_path)


def test_nothing_to_do_is_said(scans: Path, out: Path) -> None:
    fill(scans, "a.txt")
    with pytest.raises(UsageError, match=r"no scan that matches \*.nii in in"):
        outputs(scans, out, patterns=("*.nii",))


def test_a_folder_that_is_none_is_named(scans: Path, out: Path) -> None:
    with pytest.raises(FileError, match="Cannot read the folder nowhere: No such file or directory"):
        outputs(scans / "nowhere", out)


# --- links ------------------------------------------------------------------------------------------------------------


@unix
def test_links_are_followed_inside_the_folder_only(
    scans: Path, out: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, "elsewhere/a.nii")
    fill(scans, ".store/b")
    (scans / "a.nii").symlink_to(tmp_path / "elsewhere/a.nii")
    (scans / "b.nii").symlink_to(scans / ".store/b")
    (scans / "folder").symlink_to(tmp_path / "elsewhere")
    assert list(outputs(scans, out)) == ["b.nii.gz"]
    assert "Links that lead out of in were left out: 1" in caplog.text
    assert list(outputs(scans, out, follow=True)) == ["a.nii.gz", "b.nii.gz", "folder/a.nii.gz"]


@unix
def test_a_loop_of_links_ends(scans: Path, out: Path) -> None:
    fill(scans, "x/a.nii")
    (scans / "x/again").symlink_to(scans)
    assert list(outputs(scans, out, follow=True)) == ["x/a.nii.gz"]


# --- nnU-Net ----------------------------------------------------------------------------------------------------------


def test_a_dataset_of_nnunet_keeps_its_layout(scans: Path, out: Path) -> None:
    fill(
        scans,
        "imagesTr/A_0000.nii.gz",
        "imagesTr/A_0001.nii.gz",
        "imagesTs/B_2_0000.nii.gz",
        "labelsTr/A.nii.gz",
        "x.nii",
    )
    assert outputs(scans, out) == {
        "labelsTr/A.nii.gz": ["imagesTr/A_0000.nii.gz", "imagesTr/A_0001.nii.gz"],
        "labelsTs/B_2.nii.gz": ["imagesTs/B_2_0000.nii.gz"],
    }


def test_its_folder_of_images_may_be_given_alone(scans: Path, out: Path) -> None:
    fill(scans, "imagesTs/A_0000.nii.gz")
    assert outputs(scans / "imagesTs", out) == {"A.nii.gz": ["A_0000.nii.gz"]}


def test_numbers_elsewhere_are_no_channels(scans: Path, out: Path) -> None:
    fill(scans, "patient_0001.nii", "patient_0002.nii")
    assert list(outputs(scans, out)) == ["patient_0001.nii.gz", "patient_0002.nii.gz"]


def test_a_missing_channel_is_the_cases_fault(scans: Path, out: Path) -> None:
    fill(scans, "imagesTs/A_0000.nii.gz", "imagesTs/A_0002.nii.gz", "imagesTs/B_0000.nii.gz")
    cases = find_cases(scans, out, BatchOptions())
    assert [c.fault for c in cases] == ["Its channel 0001 is missing (there is 0002); add the file.", ""]


# --- BIDS -------------------------------------------------------------------------------------------------------------


def test_a_bids_dataset_becomes_a_derivative(scans: Path, out: Path) -> None:
    fill(scans, "sub-1/anat/sub-1_T1w.nii.gz", "sub-1/anat/sub-1_T2w.nii.gz", "sub-2/ses-a/ct/sub-2_ses-a_ct.nii")
    fill(
        scans, "sub-1/func/sub-1_bold.nii.gz", "sub-1/anat/sub-1_mask.nii.gz", "derivatives/x/sub-1/anat/sub-1_T1w.nii"
    )
    assert outputs(scans, out) == {
        "sub-1/anat/sub-1_desc-T1w_dseg.nii.gz": ["sub-1/anat/sub-1_T1w.nii.gz"],
        "sub-1/anat/sub-1_desc-T2w_dseg.nii.gz": ["sub-1/anat/sub-1_T2w.nii.gz"],
        "sub-2/ses-a/ct/sub-2_ses-a_desc-ct_dseg.nii.gz": ["sub-2/ses-a/ct/sub-2_ses-a_ct.nii"],
    }


@pytest.mark.parametrize(
    ("file", "layout"),
    [
        ("imagesTr/A_0000.nii.gz", "nnunet"),
        ("sub-1/anat/sub-1_T1w.nii", "bids"),
        ("sub-1/ses-2/ct/sub-1_ct.nii", "bids"),
        ("dataset_description.json", "bids"),
        ("sub-1/a.nii", "plain"),
    ],
)
def test_a_layout_is_recognised_and_may_be_overruled(scans: Path, file: str, layout: str) -> None:
    fill(scans, file)
    assert layout_of(scans, "auto") == layout
    assert layout_of(scans, "plain") == "plain"
