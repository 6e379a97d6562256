"""Results and options: what a shell is told, and which words are understood."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_ganseg.batch import BatchOptions, CaseResult, exit_code
from napari_ganseg.errors import UsageError


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        (["done", "skipped"], 0),
        (["done", "failed"], 3),
        (["skipped", "cancelled"], 3),
        (["failed", "cancelled"], 4),
        ([], 4),
    ],
)
def test_the_exit_code_says_all_some_or_none(statuses: list[Any], code: int) -> None:
    assert exit_code(CaseResult("a", Path("a.nii"), Path("a.nii.gz"), status) for status in statuses) == code


def test_one_pattern_may_be_given_without_a_tuple() -> None:
    assert BatchOptions(patterns="*.nii").patterns == ("*.nii",)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"layout": "dicom"}, 'layout is one of auto, plain, nnunet, bids, not "dicom"'),
        ({"later_models": "win"}, 'later_models is one of fill, cover, not "win"'),
        ({"overlap": 1.0}, "from 0 to below 1, not 1"),
    ],
)
def test_an_option_that_means_nothing_is_refused(option: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        BatchOptions(**option)


def test_the_device_does_not_decide_about_the_voxels() -> None:
    assert BatchOptions(device="cpu").parameters(1) == BatchOptions(device="cuda").parameters(1)
    assert BatchOptions(cpu_fallback=True).parameters(1) == BatchOptions().parameters(1)
    assert BatchOptions(precision="float32").parameters(1) != BatchOptions().parameters(1)


def test_the_rule_of_merging_counts_only_where_there_is_something_to_merge() -> None:
    fill, cover = BatchOptions(), BatchOptions(later_models="cover")
    assert fill.parameters(1) == cover.parameters(1)
    assert fill.parameters(2) != cover.parameters(2)
