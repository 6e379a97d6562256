"""The recovery bar: a line that offers back what was painted and not saved, one after the other."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from napari.utils.notifications import show_error
from psygnal import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_ganseg.errors import GansegError
from napari_ganseg.plugin.autosave import Autosave
from napari_ganseg.plugin.layers import bare
from napari_ganseg.plugin.question import Ask, ask_in_dialog
from napari_ganseg.plugin.recovery import Painted, forget, recoverable, restore
from napari_ganseg.plugin.registry import placement_of


class RecoveryBar(QWidget):
    """Hidden while there is nothing to offer.

    Args:
        viewer: where labels are restored to.
        autosave: watches what is restored, and knows the folder.
        ask: asked before labels are forgotten.
    """

    restored = Signal(object)  # the Labels layer

    def __init__(self, viewer: Any, autosave: Autosave, ask: Ask = ask_in_dialog) -> None:
        super().__init__()
        self._viewer, self._autosave, self._ask = bare(viewer), autosave, ask
        self._left: list[Painted] = []
        self.words = QLabel()
        self.restore_button, self.forget_button = QPushButton("Restore"), QPushButton("Forget")
        self._lay_out()
        self.restore_button.clicked.connect(self._on_restore)
        self.forget_button.clicked.connect(self._on_forget)
        self.refresh()

    def _lay_out(self) -> None:
        """The words above, as wide as the dock; the buttons below."""
        buttons = QHBoxLayout()
        buttons.addWidget(self.restore_button)
        buttons.addWidget(self.forget_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.words)
        layout.addLayout(buttons)
        self.words.setWordWrap(True)

    def refresh(self) -> None:
        """Look again at what there is."""
        self._left = recoverable(self._autosave.folder)
        self.setVisible(bool(self._left))
        if self._left:
            self.words.setText(in_words(self._left[0], datetime.now().astimezone(), len(self._left) - 1))
            self.words.setToolTip(f"{self._left[0].name}: {self._left[0].path}")

    def _on_restore(self) -> None:
        try:
            layer = restore(self._viewer, self._left[0])
            self._autosave.watch(layer, placement_of(layer))
        except GansegError as error:
            show_error(str(error))
        else:
            self.restored.emit(layer)
        self.refresh()

    def _on_forget(self) -> None:
        painted = self._left[0]
        if not self._ask(f'Remove the labels "{painted.name}" painted on {painted.source} for good?'):
            return
        try:
            forget(painted)
        except GansegError as error:
            show_error(str(error))
        self.refresh()


def in_words(painted: Painted, now: datetime, more: int) -> str:
    """What is offered, and how many others are."""
    at = f"{painted.when:%H:%M}" if painted.when.date() == now.date() else f"{painted.when:%d %b, %H:%M}"
    others = f" ({more} more)" if more else ""
    return f"Labels painted on {painted.source}, {at}, were not saved.{others}"
