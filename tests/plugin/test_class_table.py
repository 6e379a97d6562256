"""The class table: what it shows is what the layer has, and every edit is in the layer at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hands import MakeScan, opened
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLineEdit

from napari_ganseg.plugin.class_table import NAME, VALUE, ClassTable
from napari_ganseg.plugin.commands import new_labels_for
from napari_ganseg.plugin.layer_classes import values_in
from napari_ganseg.plugin.layers import classes_of
from napari_ganseg.volume import LabelClass

Complaints = Callable[[], list[str]]


class Answer:
    """Says yes or no, and remembers the questions."""

    def __init__(self, answer: bool) -> None:
        self.answer, self.questions = answer, list[str]()

    def __call__(self, question: str) -> bool:
        self.questions.append(question)
        return self.answer


@pytest.fixture
def widget(qtbot: Any) -> ClassTable:
    """A table that always gets a yes."""
    made = ClassTable(ask=Answer(True), choose_colour=lambda colour: "#010203")
    qtbot.addWidget(made)
    return made


def layer_with(*values: int, **fields: Any) -> Labels:
    """A layer of another plugin with ten voxels of each value."""
    data = np.zeros((4, 20, 20), np.uint8)
    for row, value in enumerate(values):
        data[1, row, :10] = value
    return Labels(data, **fields)


def cells(widget: ClassTable) -> list[tuple[str, str]]:
    return [(widget.table.item(r, VALUE).text(), widget.table.item(r, NAME).text())
            for r in range(widget.table.rowCount())]  # fmt: skip


def names_of(layer: Labels) -> dict[int, str]:
    return dict(zip(layer.features["index"], layer.features["name"], strict=True))


def add(widget: ClassTable, name: str = "") -> None:
    """Press the button and type a name."""
    widget.add_button.click()
    if name:
        widget.table.item(widget.table.currentRow(), NAME).setText(name)


# --- what it shows -------------------------------------------------------------------------------------------------


def test_nothing_can_be_done_without_a_layer(widget: ClassTable) -> None:
    widget.set_layer(layer_with(1))
    widget.set_layer(None)
    assert widget.classes() == ()
    assert cells(widget) == []
    assert not widget.add_button.isEnabled()
    assert not widget.remove_button.isEnabled()


def test_foreign_layer_shows_its_values_and_is_not_changed(widget: ClassTable) -> None:
    layer = layer_with(7, 2)
    before = layer.colormap
    widget.set_layer(layer)
    assert cells(widget) == [("2", "label 2"), ("7", "label 7")]
    assert layer.features.empty
    assert layer.colormap is before


def test_colours_do_not_jump_with_the_first_edit(widget: ClassTable) -> None:
    layer = layer_with(7, 2)
    before = [layer.get_color(v) for v in (2, 7)]
    widget.set_layer(layer)
    widget.table.item(0, NAME).setText("liver")
    np.testing.assert_allclose([layer.get_color(v) for v in (2, 7)], before, atol=3e-3)


def test_named_classes_without_a_voxel_are_shown_with_those_nobody_named(widget: ClassTable) -> None:
    layer = layer_with(3, features=pd.DataFrame({"index": [0, 5], "name": ["background", "tumour"]}))
    widget.set_layer(layer)
    assert cells(widget) == [("3", "label 3"), ("5", "tumour")]


def test_signed_and_wide_values_are_shown(widget: ClassTable) -> None:
    layer = Labels(np.array([[-4, 0], [70_000, 9]], np.int32))
    widget.set_layer(layer)
    assert [c.value for c in widget.classes()] == [-4, 9, 70_000]
    widget.table.item(1, NAME).setText("nine")
    assert names_of(layer) == {0: "background", -4: "label -4", 9: "nine", 70_000: "label 70000"}


def test_a_layer_of_instances_is_left_alone_in_words(widget: ClassTable) -> None:
    widget.set_layer(Labels(np.arange(400, dtype=np.int32).reshape(20, 20)))
    assert widget.words.text() == "This layer holds 399 values; classes are at most 254."
    assert widget.classes() == ()
    assert not widget.add_button.isEnabled()


def test_features_set_by_others_are_shown_at_once(widget: ClassTable) -> None:
    layer = layer_with(1)
    widget.set_layer(layer)
    layer.features = pd.DataFrame({"index": [0, 1], "name": ["background", "spleen"]})
    assert cells(widget) == [("1", "spleen")]
    widget.set_layer(None)
    layer.features = pd.DataFrame({"index": [0, 1], "name": ["background", "liver"]})
    assert cells(widget) == []


# --- adding and painting -------------------------------------------------------------------------------------------


def test_new_classes_take_the_smallest_free_values_and_are_painted_with(viewer: Any, widget: ClassTable) -> None:
    layer = viewer.add_layer(layer_with(2))
    widget.set_layer(layer)
    add(widget)
    add(widget, "tumour")
    assert cells(widget) == [("1", "class 1"), ("2", "label 2"), ("3", "tumour")]
    assert layer.selected_label == 3
    assert names_of(layer) == {0: "background", 1: "class 1", 2: "label 2", 3: "tumour"}
    assert [c.value for c in classes_of(layer)] == [1, 2, 3]
    assert classes_of(layer) == widget.classes()


def test_name_is_typed_right_after_adding(widget: ClassTable, qtbot: Any) -> None:
    widget.set_layer(layer_with())
    widget.show()
    widget.add_button.click()
    editor = widget.table.findChild(QLineEdit)
    editor.setText("Left parotid")
    widget.add_button.click()  # takes what stands there, though nobody pressed Enter
    (second,) = [e for e in widget.table.findChildren(QLineEdit) if e.text() == "class 2"]
    second.setText("Right parotid")
    qtbot.keyClick(second, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: [c.name for c in widget.classes()] == ["Left parotid", "Right parotid"])


def test_selected_row_and_painted_label_are_one(widget: ClassTable) -> None:
    layer = layer_with(1, 4)
    widget.set_layer(layer)
    widget.table.selectRow(1)
    assert layer.selected_label == 4
    layer.selected_label = 1
    assert widget.table.currentRow() == 0
    layer.selected_label = 9
    assert widget.table.selectedItems() == []
    assert not widget.remove_button.isEnabled()


def test_value_chosen_beside_the_table_becomes_a_class_with_the_first_stroke(viewer: Any, widget: ClassTable) -> None:
    layer = viewer.add_layer(layer_with())
    widget.set_layer(layer)
    layer.selected_label, layer.mode = 6, "paint"
    assert cells(widget) == []
    layer.paint((1, 5, 5), 6)
    assert cells(widget) == [("6", "class 6")]
    layer.mode = "erase"
    layer.selected_label = 7
    layer.paint((1, 5, 5), 0)
    assert cells(widget) == [("6", "class 6")]


def test_no_more_classes_than_the_numbers_of_the_layer_hold(widget: ClassTable, complaints: Complaints) -> None:
    widget.set_layer(Labels(np.arange(255, dtype=np.uint8).reshape(15, 17)))
    add(widget)
    assert complaints() == ["There are 254 classes, and no value up to 254 is free."]


# --- names, values, colours ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "why"),
    [("  ", "needs a name"), ("x" * 201, "at most 200"), ("liver", "already"), ("background", "already"),
     ("a\u202eb", "can be seen")],
)  # fmt: skip
def test_wrong_names_are_refused_and_the_old_one_returns(
    widget: ClassTable, complaints: Complaints, name: str, why: str
) -> None:
    layer = layer_with(1, 2)
    widget.set_layer(layer)
    widget.table.item(0, NAME).setText("liver")
    widget.table.item(1, NAME).setText(name)
    assert cells(widget) == [("1", "liver"), ("2", "label 2")]
    assert names_of(layer)[2] == "label 2"
    (said,) = complaints()
    assert why in said


@pytest.mark.parametrize("value", ["0", "255", "-1", "two", "", "1.5", "²"])
def test_wrong_values_are_refused_and_the_old_one_returns(
    widget: ClassTable, complaints: Complaints, value: str
) -> None:
    widget.set_layer(layer_with())
    add(widget)
    widget.table.item(0, VALUE).setText(value)
    assert cells(widget) == [("1", "class 1")]
    assert complaints() == [f'A value is a whole number from 1 to 254, not "{value}".']


def test_value_changes_while_nothing_is_painted_and_only_to_a_free_one(
    widget: ClassTable, complaints: Complaints
) -> None:
    layer = layer_with(3)
    widget.set_layer(layer)
    add(widget, "tumour")
    widget.table.item(0, VALUE).setText("3")
    widget.table.item(0, VALUE).setText("200")
    assert cells(widget) == [("3", "label 3"), ("200", "tumour")]
    assert layer.selected_label == 200
    widget.table.item(0, VALUE).setText("4")
    assert cells(widget) == [("3", "label 3"), ("200", "tumour")]
    assert complaints()[0] == 'The value 3 is taken by "label 3".'
    assert complaints()[1].startswith('"label 3" keeps its value 3: 10 voxels are painted with it.')


def test_colour_is_on_screen_at_once(widget: ClassTable) -> None:
    layer = layer_with(1, 2)
    layer.show_selected_label = True
    widget.set_layer(layer)
    widget._colour_button(0).click()
    assert widget.classes()[0] == LabelClass(1, "label 1", "#010203")
    np.testing.assert_allclose(layer.colormap.map(1)[:3], [1 / 255, 2 / 255, 3 / 255], atol=1e-6)
    assert layer.colormap.use_selection


def test_other_columns_keep_what_they_say(widget: ClassTable) -> None:
    table = pd.DataFrame({"index": [0, 2], "name": ["background", "b"], "voxels": [1590, 10], "mL": [0.0, 0.25],
                          "area": [1.5, 2.5]})  # fmt: skip
    layer = layer_with(2, features=table)
    widget.set_layer(layer)
    add(widget)
    assert list(layer.features.columns) == ["index", "name", "voxels", "mL", "area"]
    assert layer.features["voxels"].tolist() == [1590, 0, 10]
    assert layer.features["mL"].tolist() == [0.0, 0.0, 0.25]
    assert layer.features["area"].tolist()[2] == 2.5


def test_a_table_that_counts_rows_gets_an_index(widget: ClassTable) -> None:
    layer = layer_with(1, features=pd.DataFrame({"area": [0.5, 1.5, 2.5]}))
    widget.set_layer(layer)
    widget.table.item(0, NAME).setText("liver")
    assert names_of(layer) == {0: "background", 1: "liver"}
    assert layer.features["area"].tolist() == [0.5, 1.5]


# --- removing ------------------------------------------------------------------------------------------------------


def test_unpainted_class_goes_without_a_question(widget: ClassTable) -> None:
    widget._ask = ask = Answer(False)
    layer = layer_with(1)
    widget.set_layer(layer)
    add(widget)
    widget.remove_button.click()
    assert cells(widget) == [("1", "label 1")]
    assert layer.selected_label == 1
    assert ask.questions == []


def test_painted_class_goes_with_its_voxels_if_the_user_agrees(viewer: Any, widget: ClassTable) -> None:
    widget._ask = ask = Answer(False)
    layer = viewer.add_layer(layer_with(1, 2))
    before = layer.data.copy()
    widget.set_layer(layer)
    widget.table.selectRow(1)
    widget.remove_button.click()
    assert len(widget.classes()) == 2
    ask.answer = True
    widget.remove_button.click()
    assert ask.questions == ['Remove "label 2" and erase the 10 voxels painted with it?'] * 2
    assert cells(widget) == [("1", "label 1")]
    assert names_of(layer) == {0: "background", 1: "label 1"}
    assert set(np.unique(layer.data)) == {0, 1}
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)


def test_the_last_class_can_go(widget: ClassTable) -> None:
    widget.set_layer(layer_with(1))
    widget.table.selectRow(0)
    widget.remove_button.click()
    assert widget.classes() == ()
    add(widget)
    assert cells(widget) == [("1", "class 1")]


# --- in a viewer ---------------------------------------------------------------------------------------------------


def test_table_in_a_real_viewer_survives_its_end(
    make_napari_viewer: Any, make_scan: MakeScan, qtbot: Any, complaints: Complaints
) -> None:
    viewer = make_napari_viewer()
    widget = ClassTable()
    viewer.window.add_dock_widget(widget)
    (image,) = opened(viewer, make_scan())
    layer = new_labels_for(viewer, image)
    widget.set_layer(layer)
    add(widget, "bone")
    layer.paint((2, 5, 5), 1)
    assert (layer.features["name"] == ["background", "bone"]).all()
    viewer.window.remove_dock_widget("all")
    widget.deleteLater()
    qtbot.wait(1)
    layer.selected_label, layer.mode = 5, "paint"
    layer.paint((2, 5, 5), 5)
    layer.features = {"index": [0], "name": ["background"]}
    assert complaints() == []


def test_values_are_those_of_the_array() -> None:
    random = np.random.default_rng(0)
    for dtype, shape in ((np.uint8, (3, 4, 5)), (np.int32, (6, 1)), (np.uint16, (1, 9)), (np.int64, (2, 2, 2))):
        data = random.integers(0, 200, shape).astype(dtype) * random.integers(0, 2, shape).astype(dtype)
        assert values_in(data) == [v for v in np.unique(data) if v != 0]
