"""A table of a batch's cases that fills while they end; what went wrong stands first at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_ganseg.batch import CaseResult
from napari_ganseg.io.names import shown

COLUMNS = ("Case", "Status", "Volumes or cause", "s")
ORDER = ("failed", "cancelled", "done", "skipped")  # of rows at the end, and of numbers in words
COLOURS = {"failed": "#ff7b54", "cancelled": "#e6b450"}  # readable on dark and light
LARGEST_SHARE = 0.4  # of the table's width that names may take by themselves
CASE = Qt.ItemDataRole.UserRole


class CaseTable(QTableWidget):
    """A row per case: its name, its status, what was found or why not, and seconds."""

    opened = Signal(object)  # the case whose row was double-clicked

    def __init__(self) -> None:
        super().__init__(0, len(COLUMNS))
        self.setHorizontalHeaderLabels(COLUMNS)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setMinimumHeight(120)
        self._size_columns()
        self.cellDoubleClicked.connect(lambda row, _: self.opened.emit(self.case_at(row)))

    def _size_columns(self) -> None:
        """Names can be pulled wider, words take the room there is."""
        header: Any = self.horizontalHeader()
        for column, mode in enumerate(("Interactive", "ResizeToContents", "Stretch", "ResizeToContents")):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode[mode])
        header.setMinimumSectionSize(24)
        self.setColumnWidth(0, 110)
        rows: Any = self.verticalHeader()
        rows.hide()

    def case_at(self, row: int) -> CaseResult:
        """The case of a row."""
        item: Any = self.item(row, 0)
        case: CaseResult = item.data(CASE)
        return case

    def clear_cases(self) -> None:
        """Remove every row."""
        self.setRowCount(0)

    def set_cases(self, cases: Iterable[CaseResult]) -> None:
        """Show these, what went wrong first."""
        self.clear_cases()
        for case in sorted(cases, key=lambda case: ORDER.index(case.status)):
            self.add_case(case)
        self.scrollToTop()

    def add_case(self, case: CaseResult) -> None:
        """Add a row below and show it; a cause is shown in full."""
        row = self.rowCount()
        self.insertRow(row)
        for column, text in enumerate((shown_name(case), case.status, in_words(case), f"{case.seconds:.1f}")):
            self.setItem(row, column, cell(text, case, is_number=column == len(COLUMNS) - 1))
        self.setColumnWidth(0, min(self.sizeHintForColumn(0) + 8, int(LARGEST_SHARE * self.width())))
        if case.cause:
            self.resizeRowToContents(row)
        self.scrollToBottom()


def cell(text: str, case: CaseResult, *, is_number: bool) -> Any:
    """One cell; the whole of it shows under the mouse."""
    item = QTableWidgetItem(text)
    item.setData(CASE, case)
    item.setToolTip("\n".join([shown_name(case), in_words(case), *case.notes]))
    if is_number:
        item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    if case.status in COLOURS:
        item.setForeground(QColor(COLOURS[case.status]))
    return item


def shown_name(case: CaseResult) -> str:
    """Name of a case with its sub-folders."""
    return "/".join(map(shown, case.name.split("/")))


def in_words(case: CaseResult) -> str:
    """What was found in a case, or why not."""
    volumes = ", ".join(f"{name}: {ml:.4g} mL" for name, ml in case.volumes_ml.items() if ml)
    return case.cause or volumes or ("nothing found" if case.is_good else "")


def in_numbers(cases: Iterable[CaseResult]) -> str:
    """How many of each: "3 failed, 57 done"."""
    counts: Counter[str] = Counter(case.status for case in cases)
    return ", ".join(f"{counts[status]} {status}" for status in ORDER if counts[status])
