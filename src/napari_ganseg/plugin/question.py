"""A question with yes and no, for what cannot be taken back; a test hands in its own answer."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QMessageBox

Ask = Callable[[str], bool]


def ask_in_dialog(question: str) -> bool:
    """Ask; the answer that changes nothing is the one that Enter gives."""
    buttons = QMessageBox.StandardButton
    answer = QMessageBox.question(None, "napari-ganseg", question, buttons.Yes | buttons.No, buttons.No)
    return bool(answer == buttons.Yes)
