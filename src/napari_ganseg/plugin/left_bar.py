"""The line that offers trainings which an earlier session left: still running, or interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from psygnal import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_ganseg.plugin.question import Ask, ask_in_dialog
from napari_ganseg.training.control import steer
from napari_ganseg.training.follow import Left, forget, left_runs


class LeftBar(QWidget):
    """Hidden while nothing was left; one training after the other.

    Args:
        find: what was left.
        ask: asked before one is thrown away.
    """

    wanted = Signal(Path)  # the run folder to go on with, or to follow

    def __init__(self, find: Callable[[], list[Left]] = left_runs, ask: Ask = ask_in_dialog) -> None:
        super().__init__()
        self._find, self._ask = find, ask
        self._left: list[Left] = []
        self._passed: set[Path] = set()
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.go_button, self.forget_button = QPushButton("Go on"), QPushButton("Throw away")
        self._lay_out()
        self.go_button.clicked.connect(self._on_go)
        self.forget_button.clicked.connect(self._on_forget)
        self.refresh()

    def _lay_out(self) -> None:
        """The words above, the buttons below."""
        buttons = QHBoxLayout()
        buttons.addWidget(self.go_button)
        buttons.addWidget(self.forget_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.words)
        layout.addLayout(buttons)

    def refresh(self) -> None:
        """Look again at what there is."""
        self._left = [left for left in self._find() if left.folder not in self._passed]
        self.setVisible(bool(self._left))
        if self._left:
            self.words.setText(in_words(self._left[0], len(self._left) - 1))
            self.go_button.setText("Show it" if self._left[0].state == "running" else "Go on")

    def _on_go(self) -> None:
        left = self._left[0]
        self._passed.add(left.folder)
        self.refresh()
        self.wanted.emit(left.folder)

    def _on_forget(self) -> None:
        left = self._left[0]
        if not self._ask(f"Throw the training of {left.name} away? What it has learnt is lost."):
            return
        if left.state == "running":
            steer(left.folder, "cancel")
            self._passed.add(left.folder)
        else:
            forget(left.folder)
        self.refresh()


def in_words(left: Left, more: int) -> str:
    """A training that was left, and how many more there are."""
    done = f" at step {left.step} of {left.total}" if left.total else ""
    state = f"is still running{done}" if left.state == "running" else f"was interrupted{done}"
    return f"The training of {left.name} {state}." + (f" ({more} more)" if more else "")
