"""The open images, each with a tick: those that count as scans of the new scanner."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakSet

from napari.layers import Image
from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem

MOST_ROWS = 5  # shown without scrolling


class ScanList(QListWidget):
    """All are ticked until somebody takes a tick away, which is remembered as long as the image lives."""

    ticked = Signal()  # the choice is another

    def __init__(self) -> None:
        super().__init__()
        self._images: list[Image] = []
        self._unwanted: WeakSet[Image] = WeakSet()
        self.setSpacing(1)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.itemChanged.connect(self._on_item)
        self.show_images([])

    def show_images(self, images: Sequence[Image]) -> None:
        """Offer these in place of what was there."""
        self._images = list(images)
        self.blockSignals(True)
        self.clear()
        for image in self._images:
            item = QListWidgetItem(image.name)
            item.setToolTip(image.name)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            is_wanted = image not in self._unwanted
            item.setCheckState(Qt.CheckState.Checked if is_wanted else Qt.CheckState.Unchecked)
            self.addItem(item)
        self.blockSignals(False)
        rows, height = min(MOST_ROWS, max(1, len(self._images))), self.fontMetrics().height() + 4
        self.setFixedHeight(rows * height + 2 * self.frameWidth() + 4)

    def chosen(self) -> list[Image]:
        """The images with a tick."""
        return [image for image in self._images if image not in self._unwanted]

    def _on_item(self, item: QListWidgetItem) -> None:
        image = self._images[self.row(item)]
        (self._unwanted.discard if item.checkState() == Qt.CheckState.Checked else self._unwanted.add)(image)
        self.ticked.emit()
