"""Whether a new model replaces the old one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import Z_SCORE, bands_model, blob_cases, make_card, random_model, tiny_config

from napari_ganseg.io import read_labels, write
from napari_ganseg.models.card import CardClass
from napari_ganseg.run import Controls
from napari_ganseg.training.comparison import Parent, Trained, measured_parent, outcome_of, shared_values
from napari_ganseg.training.execution import execute, set_up
from napari_ganseg.training.validation import Validation

OLD = Parent("old", 0.8)


def ended(before: dict[int, float] | None, after: dict[int, float], parent: Parent | None = OLD) -> Trained:
    """A training of two classes that ended so."""
    model = random_model(3, 2)
    first = Validation(0.0, before) if before is not None else None
    return Trained(model, parent, first, Validation(0.0, after), "2 of 6 cases", "all")


@pytest.mark.parametrize(
    ("before", "after", "is_better", "words"),
    [
        ({1: 0.7, 2: 0.7}, {1: 0.75, 2: 0.72}, True, "Better: Dice 0.700 before, 0.735 after, on 2 of 6 cases."),
        ({1: 0.7, 2: 0.7}, {1: 0.7, 2: 0.704}, False, "Not better; old stays. Dice 0.700 before, 0.702 after"),
        ({1: 0.7, 2: 0.7}, {1: 0.95, 2: 0.6}, False, "Not better; old stays. It is worse at organ 2."),
        ({1: 0.1, 2: 0.1}, {1: 0.3, 2: 0.2}, False, "old usually reaches 0.800: look whether these labels are right."),
        ({1: 0.1, 2: 0.1}, {1: 0.6, 2: 0.5}, True, "Better"),
        ({1: 0.7}, {1: 0.72, 2: 0.1}, True, "Better: Dice 0.700 before, 0.720 after"),
        ({}, {1: 0.4, 2: 0.2}, True, "old knows none of these classes. tiny reaches Dice 0.300."),
        (None, {1: 0.4, 2: 0.2}, True, "old knows none of these classes."),
    ],
)
def test_the_old_model_stays_unless_the_new_one_is_better(
    before: dict[int, float] | None, after: dict[int, float], is_better: bool, words: str
) -> None:
    outcome = outcome_of(ended(before, after), "/models/tiny.ganseg.safetensors")
    assert outcome.is_better is is_better
    assert words in outcome.verdict


def test_without_a_parent_there_is_nothing_to_stay() -> None:
    outcome = outcome_of(ended(None, {1: 0.4}, parent=None), "x")
    assert (outcome.is_better, outcome.parent, outcome.before, outcome.after) == (True, "", None, 0.4)
    assert outcome.verdict == "A new model: Dice 0.400 on 2 of 6 cases."


def test_classes_are_the_same_by_name_whatever_their_values() -> None:
    child = replace(make_card(3, 1), classes=(CardClass(7, "Organ 2", "#000000"),))
    assert shared_values(make_card(3, 3), child) == {2: 7}


def test_a_parent_is_measured_only_on_the_classes_it_shares() -> None:
    cases = blob_cases()
    parent = bands_model(3, 3, preprocessing=Z_SCORE)
    found = measured_parent(parent, cases, make_card(3, 1, preprocessing=Z_SCORE), "cpu", Controls())
    assert found is not None
    assert set(found.per_class) == {1}


def test_a_parent_of_other_images_is_not_measured() -> None:
    assert measured_parent(bands_model(2), blob_cases(), make_card(3), "cpu", Controls()) is None


def test_wrong_labels_teach_nothing_and_the_old_model_stays(make_run: Callable[..., Path], tmp_path: Path) -> None:
    """A parent that knows the boxes, and labels that are noise."""
    config = tiny_config(steps=40, validate_every=20, learning_rate=1e-2, ema=0.9)
    taught = execute(set_up(make_run("parent", count=5, config=config))).result
    assert taught.after is not None
    assert taught.after > 0.6
    folder = make_run("further", count=4, config=replace(config, steps=10), start=taught.model, only_better=True)
    for path in (tmp_path / "further-data" / "labels").glob("*.nii.gz"):
        labels = read_labels(path)
        noise = np.random.default_rng(len(path.name)).permutation(labels.array.ravel()).reshape(labels.shape)
        write(path, labels.derive(array=noise))
    outcome = execute(set_up(folder)).result
    assert outcome.verdict.startswith("Not better; parent stays.")
    assert not (tmp_path / "further.ganseg.safetensors").exists()
