"""Labelled cases in nnU-Net's layout."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_ganseg.errors import UsageError
from napari_ganseg.training import scan_folder
from napari_ganseg.training.nnunet import names_in

SHAPE = (10, 11, 12)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two cases of two channels with two classes and voxels nobody judged."""
    for place in ("imagesTr", "labelsTr"):
        (tmp_path / place).mkdir()
    for case in ("a", "b_1"):
        for channel in range(2):
            array = np.random.default_rng([channel, len(case)]).normal(size=SHAPE).astype(np.float32)
            nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "imagesTr" / f"{case}_{channel:04}.nii.gz")
        labels = np.zeros(SHAPE, np.uint8)
        labels[2:5], labels[6], labels[8] = 1, 2, 3
        nib.save(nib.Nifti1Image(labels, np.eye(4)), tmp_path / "labelsTr" / f"{case}.nii.gz")
    names = {"background": 0, "liver": 1, "tumour": 2, "ignore": 3}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": names}))
    return tmp_path


def test_channels_are_stacked_and_classes_named(folder: Path) -> None:
    first, second = scan_folder(folder)
    assert (first.name, second.name) == ("a.nii.gz", "b_1.nii.gz")
    assert first.case is not None
    assert first.case.image.channels == 2
    assert [(c.value, c.name) for c in first.case.annotation.labels.classes] == [(1, "liver"), (2, "tumour")]


def test_what_nobody_judged_is_unknown(folder: Path) -> None:
    case = scan_folder(folder)[0].case
    assert case is not None
    assert (~case.annotation.known).sum() == SHAPE[1] * SHAPE[2]
    assert set(case.annotation.labels.counts()) == {1, 2}


def test_missing_partners_are_named(folder: Path) -> None:
    (folder / "labelsTr" / "a.nii.gz").unlink()
    for path in (folder / "imagesTr").glob("b_1_*"):
        path.unlink()
    assert {v.name: v.fault for v in scan_folder(folder)} == {
        "a.nii.gz": "its label is missing", "b_1.nii.gz": "its image is missing",
    }  # fmt: skip


def test_channels_on_different_grids_are_a_fault(folder: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4)), folder / "imagesTr" / "a_0001.nii.gz")
    assert scan_folder(folder)[0].fault == "a_0001.nii.gz does not lie on the grid of a_0000.nii.gz"


def test_old_data_sets_name_classes_by_value(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"0": "background", "1": "spleen"}}))
    assert names_in(tmp_path) == {0: "background", 1: "spleen"}


def test_regions_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "whole": [1, 2]}}))
    with pytest.raises(UsageError, match=r"Cannot understand the labels in dataset\.json"):
        names_in(tmp_path)
