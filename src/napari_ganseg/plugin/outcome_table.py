"""What a training came to, to be read at a glance: the verdict, a row per class before and after, and the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QFrame, QLabel, QVBoxLayout, QWidget

from napari_ganseg.plugin.figure_table import Figures, FigureTable
from napari_ganseg.plugin.segment_widget import wrap

if TYPE_CHECKING:
    from napari_ganseg.training.outcome import Outcome

COLUMNS = ("class", "before", "after", "change")
NOTABLE = 0.005  # of Dice: a smaller change is none
BETTER, WORSE, SAME = "#2f9e68", "#e5534b", "#8a8f98"  # readable on dark and light
MOST_ROWS = 10  # shown without scrolling
LEAST_COLUMN = 56  # pixels: figures in bold do not touch


class OutcomeTable(QWidget):
    """Words, table, words; empty and hidden rows take no room."""

    def __init__(self) -> None:
        super().__init__()
        self.verdict, self.remarks = words(), words()
        self.table = FigureTable()
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table.setFrameShape(QFrame.Shape.NoFrame)
        self.table.setShowGrid(False)
        rows: Any = self.table.verticalHeader()
        rows.hide()
        header: Any = self.table.horizontalHeader()
        header.setMinimumSectionSize(LEAST_COLUMN)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(9, 2, 9, 2)
        for part in (self.verdict, self.table, self.remarks):
            layout.addWidget(part)
        self.clear()

    def clear(self) -> None:
        """Show nothing."""
        self.verdict.clear()
        self.remarks.clear()
        self.table.show_figures(Figures(COLUMNS, {}))
        self._fit()

    def show_outcome(self, outcome: Outcome, *, is_adapted: bool = False) -> None:
        """Show this in place of what was there; an adaptation measures itself otherwise than a training."""
        self.verdict.setText(outcome.verdict)
        self.remarks.setText("\n".join(remarks_on(outcome, is_adapted=is_adapted)))
        self.table.show_figures(figures_of(outcome))
        if outcome.classes:
            self._paint(outcome)
        self._fit()

    def _paint(self, outcome: Outcome) -> None:
        """Changes in their colours, the last row in bold."""
        for row, change in enumerate(changes_of(outcome)):
            changed: Any = self.table.item(row, len(COLUMNS) - 1)
            changed.setForeground(QColor(colour_of(change)))
        for column in range(len(COLUMNS)):
            item: Any = self.table.item(self.table.rowCount() - 1, column)
            font = item.font()
            font.setBold(True)
            item.setFont(font)

    def _fit(self) -> None:
        """As high as the rows are, up to some."""
        rows, header = self.table.rowCount(), self.table.horizontalHeader()
        self.table.resizeRowsToContents()
        height = sum(self.table.rowHeight(row) for row in range(min(rows, MOST_ROWS)))
        self.table.setFixedHeight(height + (header.sizeHint().height() if header else 0) + 4)
        self.table.setVisible(rows > 0)


def words() -> QLabel:
    """Words that break where the dock ends; names in them are no markup."""
    label = QLabel()
    wrap(label)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def figures_of(outcome: Outcome) -> Figures:
    """A row per class under its number, the mean last; none where nothing was measured."""
    if not outcome.classes:
        return Figures(COLUMNS, {})
    rows = {c.value: cells(c.name, c.before, c.after) for c in outcome.classes}
    return Figures(COLUMNS, {**rows, 0: cells("mean", outcome.before, outcome.after)})


def cells(name: str, before: float | None, after: float | None) -> list[str]:
    """One row; "-" stands for what could not be measured."""
    change = change_of(before, after)
    shares = ["-" if share is None else f"{share:.3f}" for share in (before, after)]
    return [name, *shares, "-" if change is None else f"{change:+.3f}"]


def changes_of(outcome: Outcome) -> list[float | None]:
    """The change in each row."""
    pairs = [*((c.before, c.after) for c in outcome.classes), (outcome.before, outcome.after)]
    return [change_of(*pair) for pair in pairs]


def change_of(before: float | None, after: float | None) -> float | None:
    """After minus before as it is shown, to three decimals and never -0; None where either is missing."""
    return None if before is None or after is None else round(after - before, 3) + 0.0


def colour_of(change: float | None) -> str:
    """Green for better, red for worse, grey for neither."""
    if change is None or abs(change) < NOTABLE:
        return SAME
    return BETTER if change > 0 else WORSE


def remarks_on(outcome: Outcome, *, is_adapted: bool = False) -> list[str]:
    """What stands below the table; of an adaptation what was found before."""
    measured = [f"Dice measured on: {outcome.held_out}"] if outcome.held_out else []
    kept = outcome.kept if is_adapted else f"kept: {outcome.kept}"
    return [*measured, *([kept] if outcome.kept else [])]
