"""The table of a training's outcome: rows, signs, colours, and words that fit a dock."""

from __future__ import annotations

from typing import Any

import pytest

from napari_ganseg.plugin.outcome_table import BETTER, SAME, WORSE, OutcomeTable, change_of, colour_of
from napari_ganseg.plugin.segment_widget import LEAST_WIDTH
from napari_ganseg.training.outcome import ClassDice, Outcome

CLASSES = (
    ClassDice(1, "Liver", 0.9, 0.94),
    ClassDice(2, "Spleen", 0.88, 0.8798),
    ClassDice(7, "A kidney with a name that is longer than its column", 0.9, 0.87),
    ClassDice(9, "<b>Tumour</b>", None, 0.65),
)
OUTCOME = Outcome(
    "new.ganseg.safetensors", "old", "2 of 6 cases", CLASSES, 0.8933, 0.8966, True, "It is better. " * 9, "Liver"
)
SCRATCH = Outcome("new", "", "2 of 6 cases", (ClassDice(1, "Liver", None, 0.5),), None, 0.5, True, "It is new.")


@pytest.fixture
def table(qtbot: Any) -> OutcomeTable:
    widget = OutcomeTable()
    qtbot.addWidget(widget)
    return widget


def colours(widget: OutcomeTable) -> list[str]:
    items: list[Any] = [widget.table.item(row, 3) for row in range(widget.table.rowCount())]
    return [item.foreground().color().name() for item in items]


def test_every_class_has_a_row_and_the_mean_is_last(table: OutcomeTable) -> None:
    table.show_outcome(OUTCOME)
    assert table.table.texts() == [
        ["Liver", "0.900", "0.940", "+0.040"],
        ["Spleen", "0.880", "0.880", "+0.000"],
        ["A kidney with a name that is longer than its column", "0.900", "0.870", "-0.030"],
        ["<b>Tumour</b>", "-", "0.650", "-"],
        ["mean", "0.893", "0.897", "+0.003"],
    ]
    assert colours(table) == [BETTER, SAME, WORSE, SAME, SAME]
    assert table.verdict.text() == OUTCOME.verdict
    assert table.remarks.text() == "Dice measured on: 2 of 6 cases\nkept: Liver"


def test_training_from_scratch_has_no_before(table: OutcomeTable) -> None:
    table.show_outcome(OUTCOME)
    table.show_outcome(SCRATCH)
    assert table.table.texts() == [["Liver", "-", "0.500", "-"], ["mean", "-", "0.500", "-"]]
    assert table.remarks.text() == "Dice measured on: 2 of 6 cases"


def test_cleared_table_shows_nothing(table: OutcomeTable) -> None:
    table.show_outcome(OUTCOME)
    table.clear()
    assert table.table.texts() == []
    assert table.table.isHidden()
    assert (table.verdict.text(), table.remarks.text()) == ("", "")


def test_whole_table_fits_the_narrowest_dock(table: OutcomeTable, qtbot: Any) -> None:
    table.show_outcome(OUTCOME)
    table.resize(LEAST_WIDTH, 500)
    with qtbot.waitExposed(table):
        table.show()
    assert table.minimumSizeHint().width() <= LEAST_WIDTH
    for bar in (table.table.horizontalScrollBar(), table.table.verticalScrollBar()):
        assert bar.maximum() == 0
    assert table.table.columnWidth(0) >= 80


@pytest.mark.parametrize(
    ("before", "after", "change", "colour"),
    [
        (0.8, 0.805, 0.005, BETTER), (0.6, 0.604, 0.004, SAME), (0.905, 0.9, -0.005, WORSE), (0.5, 0.5, 0.0, SAME),
        (None, 0.5, None, SAME), (0.5, None, None, SAME), (0.0, 1.0, 1.0, BETTER),
    ],
)  # fmt: skip
def test_change_is_coloured_as_it_is_shown(before: Any, after: Any, change: Any, colour: str) -> None:
    assert change_of(before, after) == change
    assert colour_of(change_of(before, after)) == colour


def test_no_change_has_no_minus() -> None:
    assert f"{change_of(0.5, 0.49999):+.3f}" == "+0.000"
