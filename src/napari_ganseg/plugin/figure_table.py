"""A table of figures: a row per class, names to the left, figures to the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem


@dataclass(frozen=True, slots=True)
class Figures:
    """What a table shows: the name of each column, and each row's cells under its number."""

    columns: Sequence[str]
    rows: dict[int, Sequence[str]]


class FigureTable(QTableWidget):
    """The first column takes the room there is, the others what they need."""

    def __init__(self) -> None:
        super().__init__(0, 0)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setWordWrap(False)

    def show_figures(self, figures: Figures) -> None:
        """Show these in place of what was there."""
        self.clear()
        self.setRowCount(len(figures.rows))
        self.setColumnCount(len(figures.columns))
        self.setHorizontalHeaderLabels(list(figures.columns))
        self.setVerticalHeaderLabels(list(map(str, figures.rows)))
        for row, cells in enumerate(figures.rows.values()):
            for column, text in enumerate(cells):
                self.setItem(row, column, cell(text, is_figure=column > 0))
        header: Any = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)

    def texts(self) -> list[list[str]]:
        """Every cell as it is shown, row by row."""
        items: list[list[Any]] = [[self.item(r, c) for c in range(self.columnCount())] for r in range(self.rowCount())]
        return [[item.text() for item in row] for row in items]


def cell(text: str, *, is_figure: bool) -> QTableWidgetItem:
    """One cell; the whole of it shows under the mouse."""
    item = QTableWidgetItem(text)
    item.setToolTip(text)
    side = Qt.AlignmentFlag.AlignRight if is_figure else Qt.AlignmentFlag.AlignLeft
    item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
    return item
