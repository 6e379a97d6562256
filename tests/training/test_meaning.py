"""What unpainted means."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ganseg.errors import UsageError
from napari_ganseg.training.meaning import WORDS, annotated, known_by
from napari_ganseg.volume import LabelMap

SHAPE = (20, 12, 14)


def cord(slices: list[int], axis: int = 0) -> np.ndarray:
    """A thin structure that runs along an axis, painted on some of its slices."""
    array = np.zeros(SHAPE, np.uint8)
    moved = np.moveaxis(array, axis, 0)
    moved[slices, 5:8, 5:8] = 1
    return array


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_painted_slices_are_complete_and_the_others_unknown(axis: int) -> None:
    known = np.moveaxis(known_by(cord([2, 6, 10], axis), "slices", axis), axis, 0)
    assert known[[2, 6, 10]].all()
    assert known.sum() == known[[2, 6, 10]].sum()


def test_above_and_below_there_is_nothing() -> None:
    known = known_by(cord([4, 8, 12]), "range")
    assert np.flatnonzero(known.all(axis=(1, 2))).tolist() == [0, 1, 2, 3, 4, 8, 12, 13, 14, 15, 16, 17, 18, 19]
    assert not known[5].any()


def test_everything_or_only_the_paint() -> None:
    array = cord([4, 8])
    assert known_by(array, "background").all()
    assert np.array_equal(known_by(array, "painted"), array != 0)


def test_a_picture_knows_its_rows() -> None:
    array = np.zeros((9, 9), np.uint8)
    array[4, 2:5] = 1
    assert known_by(array, "slices").sum() == 9


@pytest.mark.parametrize("meaning", list(WORDS))
def test_nothing_painted_is_refused_by_name(meaning: str) -> None:
    with pytest.raises(UsageError, match=r"Nothing is painted in mine\. Paint each structure"):
        annotated(LabelMap(array=np.zeros(SHAPE, np.uint8)), meaning, "mine")  # type: ignore[arg-type]
