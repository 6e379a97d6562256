"""The whole configuration before a training: accepted only once it is valid."""

from __future__ import annotations

from typing import Any

from builders import tiny_config
from qtpy.QtWidgets import QDialog

from napari_ganseg.plugin.config_dialog import ConfigDialog
from napari_ganseg.training import config_to_json


def test_a_mistake_is_named_and_keeps_the_dialog_open(qtbot: Any) -> None:
    dialog = ConfigDialog(config_to_json(tiny_config()).decode())
    qtbot.addWidget(dialog)
    dialog.editor.setPlainText(dialog.text.replace('"steps": 6', '"steps": -6'))
    dialog.accept()
    assert dialog.result() != QDialog.DialogCode.Accepted
    assert "steps" in dialog.words.text()


def test_a_valid_configuration_is_accepted(qtbot: Any) -> None:
    dialog = ConfigDialog(config_to_json(tiny_config()).decode())
    qtbot.addWidget(dialog)
    dialog.editor.setPlainText(dialog.text.replace('"steps": 6', '"steps": 7'))
    dialog.accept()
    assert dialog.result() == QDialog.DialogCode.Accepted
    assert '"steps": 7' in dialog.text
