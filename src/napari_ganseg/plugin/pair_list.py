"""The images a training learns from, each with its labels and what unpainted means there."""

from __future__ import annotations

from collections.abc import Iterable

from napari.layers import Image, Labels, Layer
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_ganseg.training.meaning import SHORT, Meaning

Pair = tuple[Image, Labels, Meaning, int]  # the last is the axis across which slices were painted


class PairList(QWidget):
    """A line for each pair, with a button that takes it out; hidden while there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[Pair] = []
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(9, 0, 9, 0)
        self._show()

    def add(self, image: Image, labels: Labels, meaning: Meaning, axis: int = 0) -> None:
        """Add a pair; the same image and labels again change what unpainted means there."""
        self.pairs = [pair for pair in self.pairs if pair[0] is not image or pair[1] is not labels]
        self.pairs.append((image, labels, meaning, axis))
        self._show()

    def keep_only(self, layers: Iterable[Layer]) -> None:
        """Forget pairs whose layers have gone."""
        there = list(layers)
        self.pairs = [pair for pair in self.pairs if pair[0] in there and pair[1] in there]
        self._show()

    def _remove(self, index: int) -> None:
        del self.pairs[index]
        self._show()

    def _show(self) -> None:
        while (item := self._rows.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        for index, (image, labels, meaning, _) in enumerate(self.pairs):
            self._rows.addWidget(self._row(index, f"{labels.name} on {image.name} (unpainted: {SHORT[meaning]})"))
        self.setVisible(bool(self.pairs))

    def _row(self, index: int, words: str) -> QWidget:
        row, label, button = QWidget(), QLabel(words), QPushButton("x")
        label.setWordWrap(True)
        button.setFixedWidth(24)
        button.setToolTip("Do not learn from this pair")
        button.clicked.connect(lambda: self._remove(index))
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(label, stretch=1)
        layout.addWidget(button)
        return row
