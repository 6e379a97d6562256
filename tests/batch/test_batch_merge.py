"""Several label maps of one scan become one, by stated rules."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ganseg.batch.merge import merge
from napari_ganseg.errors import GeometryError
from napari_ganseg.volume import LabelClass, LabelMap


def labels(values: list[int], names: dict[int, str], **fields: object) -> LabelMap:
    """A label map of one row."""
    classes = tuple(LabelClass(v, name, f"#00000{v}") for v, name in names.items())
    return LabelMap(array=np.array([values]), classes=classes, **fields)


LUNGS = labels([1, 1, 0, 0], {1: "Lung"}, notes=("a", "b"), provenance={"model": "lungs"})
HEART = labels([0, 1, 2, 0], {1: "Heart", 2: "Aorta"}, notes=("b", "c"), provenance={"model": "heart"})


def test_one_map_stays_as_it_is() -> None:
    assert merge([LUNGS]) is LUNGS


def test_a_taken_value_gets_a_new_one_above_all_others() -> None:
    merged = merge([LUNGS, HEART])
    assert [(c.value, c.name, c.colour) for c in merged.classes] == [
        (1, "Lung", "#000001"), (2, "Aorta", "#000002"), (3, "Heart", "#000001"),
    ]  # fmt: skip


def test_later_models_fill_only_background() -> None:
    assert merge([LUNGS, HEART]).array.tolist() == [[1, 1, 2, 0]]


def test_later_models_cover_when_told_so() -> None:
    assert merge([LUNGS, HEART], "cover").array.tolist() == [[1, 3, 2, 0]]


def test_the_same_name_is_the_same_structure() -> None:
    other = labels([0, 0, 0, 7], {7: "Lung", 1: "Skin"})
    merged = merge([LUNGS, other])
    assert merged.array.tolist() == [[1, 1, 0, 1]]
    assert [(c.value, c.name) for c in merged.classes] == [(1, "Lung"), (8, "Skin")]


def test_two_classes_of_one_name_in_one_map_stay_two() -> None:
    merged = merge([LUNGS, labels([0, 0, 2, 3], {2: "Node", 3: "Node"})])
    assert merged.array.tolist() == [[1, 1, 2, 3]]


def test_values_without_a_name_are_kept() -> None:
    merged = merge([LUNGS, labels([0, 0, 1, 5], {})])
    assert merged.array.tolist() == [[1, 1, 6, 5]]
    assert [c.name for c in merged.classes] == ["Lung", "label 5", "label 1"]


def test_notes_are_said_once_and_the_rules_are_recorded() -> None:
    merged = merge([LUNGS, HEART])
    assert merged.notes == ("a", "b", "c")
    assert merged.provenance["models"] == [{"model": "lungs"}, {"model": "heart"}]
    assert merged.provenance["merge"] == {"later_models": "fill", "values": [{"1": 1}, {"1": 3, "2": 2}]}


def test_different_grids_are_refused() -> None:
    with pytest.raises(GeometryError, match="differ in grid"):
        merge([LUNGS, labels([1, 1], {1: "Lung"})])
