"""The whole configuration of a training, to be read and changed before it begins: the very one of the command line."""

from __future__ import annotations

from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from napari_ganseg.errors import GansegError


class ConfigDialog(QDialog):
    """Text that is accepted only once it is a valid configuration."""

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Configuration of the training")
        self.editor, self.words = QPlainTextEdit(text), QLabel("What is left out has its default.")
        self.editor.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.words.setWordWrap(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for widget in (self.editor, self.words, buttons):
            layout.addWidget(widget)
        self.resize(640, 720)

    @property
    def text(self) -> str:
        """What stands there now."""
        return self.editor.toPlainText()

    def accept(self) -> None:
        """Close, unless something is wrong, which is said."""
        from napari_ganseg.training.config import config_from_json

        try:
            config_from_json(self.text.encode())
        except GansegError as error:
            self.words.setText(str(error))
            return
        super().accept()


def ask_config(text: str, parent: QWidget | None = None) -> str | None:
    """Let the user change a configuration; None where they cancel."""
    dialog = ConfigDialog(text, parent)
    return dialog.text if dialog.exec() else None
