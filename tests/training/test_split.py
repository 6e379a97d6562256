"""Who learns, who decides, who is never touched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import blob_case

from napari_ganseg.errors import UsageError
from napari_ganseg.training import Case
from napari_ganseg.training.config import Split, fold_of
from napari_ganseg.training.split import divide, held_out_in_words, is_by_planes, known_slices, with_known


@pytest.fixture(scope="module")
def many() -> list[Case]:
    case = blob_case(shape=(9, 9, 9))
    return [replace(case, name=f"case_{i}.nii") for i in range(30)]


def named(cases: list[Case]) -> set[str]:
    return {case.name for case in cases}


@pytest.mark.parametrize("split", [Split(), Split((0,), (1,)), Split((0, 3), (1, 2))])
def test_the_folds_decide(many: list[Case], split: Split) -> None:
    training, validation = divide(many, split)
    assert {fold_of(name) for name in named(validation)} <= set(split.validation)
    assert not {fold_of(name) for name in named(training)} & {*split.held_out, *split.validation}
    held_out = {c.name for c in many if fold_of(c.name) in split.held_out}
    assert named(training) | named(validation) | held_out == named(many)
    assert not named(training) & named(validation)


def test_no_order_and_no_company_changes_a_cases_side(many: list[Case]) -> None:
    training, _ = divide(many, Split())
    assert named(divide(many[::-1], Split())[0]) == named(training)
    assert named(divide(many[:20], Split())[0]) <= named(training)


def test_where_no_case_falls_into_validation_one_is_moved_over(many: list[Case]) -> None:
    few = [c for c in many if fold_of(c.name) == 2]
    training, validation = divide(few, Split())
    assert len(validation) == 1
    assert len(training) == len(few) - 1


def test_where_all_cases_fall_into_validation_one_is_left_there(many: list[Case]) -> None:
    few = [c for c in many if fold_of(c.name) == 1]
    training, validation = divide(few, Split())
    assert len(validation) == 1
    assert len(training) == len(few) - 1


def test_held_out_cases_are_never_moved_over(many: list[Case]) -> None:
    held_out = [c for c in many if fold_of(c.name) == 0]
    with pytest.raises(UsageError, match=r"leave nothing to train on: folds \[0\] are held out"):
        divide(held_out, Split(held_out=(0,)))


@pytest.mark.parametrize("name", ["a.nii", "b.nii", "c.nii", "d.nii", "e.nii", "f.nii"])
@pytest.mark.parametrize("shape", [(40, 12, 12), (40, 12)])
def test_of_a_single_case_slices_are_held_out(name: str, shape: tuple[int, ...]) -> None:
    case = blob_case(name, shape)
    (training,), (validation,) = divide([case], Split())
    first = int(known_slices(validation)[0])
    assert training.annotation.known[:first].all()
    assert not training.annotation.known[first:].any()
    assert validation.annotation.known[first:].all()
    assert not validation.annotation.known[:first].any()
    assert (case.annotation.labels.array[first:] > 0).any()
    assert (case.annotation.labels.array[:first] > 0).any()
    assert held_out_in_words([training], [validation]) == f"slices {first} to 39 of {name}"


def painted(slices: list[int], count: int = 60) -> Case:
    """A case of which only some slices are known."""
    case = blob_case("scan.nii", (count, 12, 12))
    known = np.zeros(case.annotation.known.shape, np.bool_)
    known[slices] = True
    labels = case.annotation.labels.derive(array=known.astype(np.uint8))
    return with_known(replace(case, annotation=replace(case.annotation, labels=labels)), known)


def test_of_painted_slices_every_fourth_is_held_out() -> None:
    (training,), (validation,) = divide([painted(list(range(5, 55, 5)))], Split())
    assert known_slices(validation).tolist() == [15, 35]
    assert known_slices(training).tolist() == [5, 10, 20, 25, 30, 40, 45, 50]
    assert held_out_in_words([training], [validation]) == "slices 15, 35 of scan.nii"


def test_that_nothing_lies_above_and_below_changes_nothing() -> None:
    case = painted(list(range(15, 45, 5)))
    known = case.annotation.known.copy()
    known[:15] = known[41:] = True
    _, (validation,) = divide([with_known(case, known)], Split())
    assert known_slices(validation).tolist() == [25]


def test_of_a_painted_block_its_end_is_held_out_since_neighbours_are_alike() -> None:
    _, (validation,) = divide([painted(list(range(20, 32)))], Split())
    assert known_slices(validation).tolist() == [29, 30, 31]


def test_two_painted_slices_are_too_few() -> None:
    with pytest.raises(UsageError, match=r"has 2 painted slice.*paint 3 or more, or add another image"):
        divide([painted([3, 9])], Split())


def test_of_a_few_cases_one_in_four_decides_whatever_their_names(many: list[Case]) -> None:
    names = [c for c in many if fold_of(c.name) == 1][:4] + [c for c in many if fold_of(c.name) == 2][:1]
    training, validation = divide(names, Split())
    assert (len(training), len(validation)) == (4, 1)
    assert named(divide(names[::-1], Split())[1]) == named(validation)
    assert held_out_in_words(training, validation) == "1 of 5 cases"


def test_a_single_case_without_any_label_still_divides() -> None:
    case = blob_case(shape=(40, 12, 12))
    labels = case.annotation.labels
    empty = replace(case, annotation=replace(case.annotation, labels=labels.derive(array=np.zeros_like(labels.array))))
    assert len(known_slices(divide([empty], Split())[1][0])) == 10


def test_a_single_case_with_too_few_slices_is_refused() -> None:
    with pytest.raises(UsageError, match="too small to hold slices out for validation; two cases are needed"):
        divide([blob_case(shape=(14, 12, 12))], Split())


def known_at(slices: slice | list[int], shape: tuple[int, ...] = (20, 9, 9)) -> Case:
    case = blob_case(shape=shape)
    known = np.zeros(shape, bool)
    known[slices] = True
    return with_known(case, known)


@pytest.mark.parametrize(
    ("slices", "is_sparse"),
    [([2, 6, 10], True), ([4], True), (slice(5, 12), True), (slice(0, 20, 2), True), (slice(4, 16), False),
     (slice(None), False), ([], False)],
)  # fmt: skip
def test_slices_with_gaps_or_fewer_than_half_are_planes(slices: slice | list[int], is_sparse: bool) -> None:
    assert is_by_planes([known_at(slices)]) == is_sparse


def test_most_cases_decide_whether_planes_are_judged() -> None:
    some, whole = known_at([2, 6, 10]), known_at(slice(None))
    assert is_by_planes([some, some, whole])
    assert not is_by_planes([some, whole])
    assert not is_by_planes([known_at([2, 6], (20, 20))])  # a picture has no planes
