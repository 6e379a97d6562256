"""The class table: the classes of a Labels layer, to be named, coloured, added, removed, and chosen to paint with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from napari.layers import Labels
from napari.utils.notifications import show_error
from psygnal import Signal
from qtpy import compat
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemDelegate,
    QAbstractItemView,
    QColorDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_ganseg.errors import GansegError
from napari_ganseg.plugin.layer_classes import (
    classes_in,
    count,
    erase,
    fits,
    named,
    new_class,
    renamed,
    renumbered,
    write_classes,
)
from napari_ganseg.plugin.question import Ask, ask_in_dialog
from napari_ganseg.volume import LabelClass

VALUE, NAME, COLOUR = range(3)
HEADINGS = ("Value", "Name", "Colour")
ROWS_MOST = 254
ROWS_SHOWN = 6  # without a scroll bar
PAINTING = ("paint", "fill", "polygon")
ChooseColour = Callable[[str], "str | None"]


class ClassTable(QWidget):
    """A row per class: value, name and colour. The selected row is what one paints with.

    Args:
        ask: asked before voxels are erased.
        choose_colour: shows a colour and gives another, or None.
    """

    changed = Signal(object)  # the classes, after the user changed them

    def __init__(self, ask: Ask = ask_in_dialog, choose_colour: ChooseColour | None = None) -> None:
        super().__init__()
        self._ask, self._choose_colour = ask, choose_colour or colour_in_dialog
        self._layer: Labels | None = None
        self._classes: tuple[LabelClass, ...] = ()
        self._is_writing = self._is_selecting = False
        self.table = EditableTable(0, len(HEADINGS))
        self.add_button, self.remove_button = QPushButton("Add class"), QPushButton("Remove class")
        self.words = QLabel()
        self._lay_out()
        self.table.itemChanged.connect(self._on_edited)
        self.table.itemSelectionChanged.connect(self._on_row)
        self.add_button.clicked.connect(self._on_add)
        self.remove_button.clicked.connect(self._on_remove)
        self.set_layer(None)

    def _lay_out(self) -> None:
        """The table takes what room there is, the name what the other columns leave."""
        buttons = QHBoxLayout()
        buttons.addWidget(self.add_button)
        buttons.addWidget(self.remove_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table, stretch=1)
        layout.addWidget(self.words)
        layout.addLayout(buttons)
        self.words.setWordWrap(True)
        self.table.setHorizontalHeaderLabels(HEADINGS)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        header: Any = self.table.horizontalHeader()
        for column, mode in enumerate(("ResizeToContents", "Stretch", "ResizeToContents")):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode[mode])
        header.setHighlightSections(False)
        rows: Any = self.table.verticalHeader()
        rows.hide()
        self.table.setMinimumHeight(header.sizeHint().height() + ROWS_SHOWN * rows.defaultSectionSize() + 4)

    # --- what it shows ---

    def classes(self) -> tuple[LabelClass, ...]:
        """The classes of the layer, by value."""
        return self._classes

    def set_layer(self, layer: Labels | None) -> None:
        """Show the classes of another layer; it is changed only once the user changes something."""
        reactions = {"paint": self._on_paint, "features": self._on_features, "selected_label": self._on_selected_label}
        for name, reaction in reactions.items():
            if self._layer is not None:
                getattr(self._layer.events, name).disconnect(reaction)
            if layer is not None:
                getattr(layer.events, name).connect(reaction)
        self._layer = layer
        self._read()

    def _read(self) -> None:
        """Take the classes from the layer."""
        found = classes_in(self._layer) if self._layer is not None else ()
        is_too_much = len(found) > ROWS_MOST
        self._classes = () if is_too_much else found
        self.words.setText(f"This layer holds {len(found)} values; classes are at most {ROWS_MOST}.")
        self.words.setVisible(is_too_much)
        self.table.setEnabled(not is_too_much)
        self.add_button.setEnabled(self._layer is not None and not is_too_much)
        self._show()

    def _show(self) -> None:
        """Bring the rows up to date; a row is kept where it is, since one may be typing in it."""
        self.table.blockSignals(True)
        self.table.setRowCount(len(self._classes))
        for row, entry in enumerate(self._classes):
            self._cell(row, VALUE).setText(str(entry.value))
            self._cell(row, NAME).setText(entry.name)
            self._cell(row, NAME).setToolTip(entry.name)
            paint_button(self._colour_button(row), entry)
        self.table.blockSignals(False)
        self._on_selected_label()

    def _cell(self, row: int, column: int) -> QTableWidgetItem:
        item: QTableWidgetItem | None = self.table.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            if column == VALUE:
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.table.setItem(row, column, item)
        return item

    def _colour_button(self, row: int) -> QPushButton:
        if self.table.cellWidget(row, COLOUR) is None:
            button = QPushButton()
            button.clicked.connect(partial(self._on_colour, row))
            self.table.setCellWidget(row, COLOUR, framed(button))
        found: Any = self.table.cellWidget(row, COLOUR)
        made: QPushButton = found.findChild(QPushButton)
        return made

    # --- what the user does ---

    def _write(self, classes: Sequence[LabelClass]) -> None:
        """Make these the classes, on screen and in the layer."""
        self._classes = tuple(sorted(classes, key=lambda c: c.value))
        self._is_writing = True
        try:
            write_classes(self._layer, self._classes)
        finally:
            self._is_writing = False
        self._show()
        self.changed.emit(self._classes)

    def _on_edited(self, item: QTableWidgetItem) -> None:
        """Take a name or a value, or say what is wrong with it and bring the old one back."""
        old = self._classes[item.row()]
        try:
            if item.column() == NAME:
                new = renamed(old, item.text(), self._classes)
            else:
                new = renumbered(old, item.text(), self._classes, self._layer)
        except GansegError as error:
            self._show()
            show_error(str(error))
            return
        is_painted_with = self._layer is not None and self._layer.selected_label == old.value
        self._write([*[c for c in self._classes if c is not old], new])
        if is_painted_with:
            self._choose(new.value)

    def _on_colour(self, row: int) -> None:
        old = self._classes[row]
        if colour := self._choose_colour(old.colour):
            self._write([*[c for c in self._classes if c is not old], replace(old, colour=colour)])

    def _on_add(self) -> None:
        """Add a class, paint with it from now on, and let the user type its name."""
        self.table.end_editing()
        try:
            made = new_class(self._layer, self._classes)
        except GansegError as error:
            show_error(str(error))
            return
        self._write([*self._classes, made])
        self._choose(made.value)
        row = self._classes.index(made)
        self.table.scrollToItem(self._cell(row, NAME))
        self.table.editItem(self._cell(row, NAME))

    def _on_remove(self) -> None:
        """Remove the selected class, and its voxels if the user agrees."""
        self.table.end_editing()
        old = self._classes[self.table.currentRow()]
        painted = count(self._layer, old.value)
        if painted and not self._ask(f'Remove "{old.name}" and erase the {painted:,} voxels painted with it?'):
            return
        if painted and self._layer is not None:
            erase(self._layer, old.value)
        left = [c for c in self._classes if c is not old]
        self._write(left)
        if left:
            self._choose(min(left, key=lambda c: abs(c.value - old.value)).value)

    def _choose(self, value: int) -> None:
        """Paint with a value, where the layer's numbers can hold it."""
        if self._layer is not None and fits(self._layer, value):
            self._layer.selected_label = value
        self._on_selected_label()

    def _on_row(self) -> None:
        if self.table.selectedItems() and not self._is_selecting:
            self._choose(self._classes[self.table.currentRow()].value)

    # --- what the layer says ---

    def _on_selected_label(self, _: Any = None) -> None:
        """Select the row of what one paints with."""
        if not compat.isalive(self):  # type: ignore[no-untyped-call]
            return
        chosen = self._layer.selected_label if self._layer is not None else None
        row = next((row for row, entry in enumerate(self._classes) if entry.value == chosen), None)
        self._is_selecting = True
        if row is None:
            self.table.clearSelection()
        elif row != self.table.currentRow() or not self.table.selectedItems():
            self.table.selectRow(row)
        self._is_selecting = False
        self.remove_button.setEnabled(row is not None)

    def _on_features(self, _: Any = None) -> None:
        """Somebody else changed the classes, or the labels altogether."""
        if not self._is_writing and compat.isalive(self):  # type: ignore[no-untyped-call]
            self._read()

    def _on_paint(self, _: Any = None) -> None:
        """A value that was chosen beside the table and painted with is a class from then on."""
        layer = self._layer
        if layer is None or not compat.isalive(self) or layer.mode not in PAINTING:  # type: ignore[no-untyped-call]
            return
        value = int(layer.selected_label)
        if value != 0 and all(c.value != value for c in self._classes) and self.table.isEnabled():
            self._write([*self._classes, named(value, self._classes)])


class EditableTable(QTableWidget):
    """A table that can be told to take what one is typing."""

    def end_editing(self) -> None:
        """As if the user had pressed Enter; a button does not take the focus on every system."""
        viewport: Any = self.viewport()
        for editor in viewport.findChildren(QLineEdit):
            if not editor.isHidden():  # a closed one is there until Qt gets round to it
                self.commitData(editor)
                self.closeEditor(editor, QAbstractItemDelegate.EndEditHint.NoHint)


def framed(button: QPushButton) -> QWidget:
    """A button in the middle of its cell."""
    frame = QWidget()
    layout = QHBoxLayout(frame)
    layout.setContentsMargins(4, 2, 4, 2)
    layout.addWidget(button, alignment=Qt.AlignmentFlag.AlignCenter)
    button.setFixedSize(36, 18)
    return frame


def paint_button(button: QPushButton, entry: LabelClass) -> None:
    """Give a button the colour of its class."""
    button.setStyleSheet(f"background-color: {entry.colour}; border: 1px solid #808080; border-radius: 3px;")
    button.setToolTip(f"Colour of {entry.name}: {entry.colour}. Click to change it.")


def colour_in_dialog(colour: str) -> str | None:
    """Ask for a colour; None where the user cancelled."""
    chosen = QColorDialog.getColor(QColor(colour), None, "Colour of the class")
    return str(chosen.name()) if chosen.isValid() else None
