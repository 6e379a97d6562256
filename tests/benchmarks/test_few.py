"""Few labels: which patients keep theirs, whose images join without, and that nobody held out comes along."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.few import labelled, linked

from napari_ganseg.training.config import Split

SPLIT = Split((0,), (1,), "-IM-")
NAMES = [f"P{patient:02}-IM-{image}.png" for patient in range(20) for image in range(2)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twenty patients with two images each."""
    for kind in ("images", "labels"):
        (tmp_path / "set" / kind).mkdir(parents=True)
        for name in NAMES:
            (tmp_path / "set" / kind / name).write_text(kind)
    (tmp_path / "set" / "cases.csv").write_text("name\n")
    return tmp_path / "set"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_chosen_and_the_validating_keep_their_labels_and_the_rest_of_the_pool_joins_without(data: Path) -> None:
    (own,), (rest,) = linked([data], data.parent / "run", SPLIT, labels=4, seed=0)
    with_labels, without = names(own / "images"), names(rest)
    assert names(own / "labels") == with_labels
    assert (own / "cases.csv").read_text() == "name\n"
    assert not with_labels & without
    assert {SPLIT.fold_of(name) for name in without} <= {2, 3, 4}
    assert with_labels | without == {name for name in NAMES if SPLIT.fold_of(name) != 0}
    pool = {name.split("-IM-")[0] for name in with_labels if SPLIT.fold_of(name) != 1}
    assert len(pool) == 4
    assert not pool & {name.split("-IM-")[0] for name in without}


def test_another_seed_leaves_nothing_of_the_one_before(data: Path) -> None:
    linked([data], data.parent / "run", SPLIT, labels=4, seed=0)
    (own,), _ = linked([data], data.parent / "run", SPLIT, labels=1, seed=1)
    assert len({n.split("-IM-")[0] for n in names(own / "images") if SPLIT.fold_of(n) != 1}) == 1


def test_the_labelled_are_nested() -> None:
    patients = [f"{n}" for n in range(30)]
    assert labelled(patients, 4, 3) < labelled(patients, 8, 3)
    assert labelled(patients, 8, 3) != labelled(patients, 8, 4)
