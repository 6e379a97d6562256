"""Ask which frame of a long series to open."""

from __future__ import annotations

from qtpy.QtWidgets import QApplication, QInputDialog

from napari_ganseg.errors import FileError


def choose_frames(name: str, count: int) -> int:
    """Ask for one of `count` frames.

    Raises:
        FileError: nobody can be asked, or the user declined.
    """
    text = f"{name} holds {count} images along its fourth axis. Which one shall be opened?"
    if QApplication.instance() is None or not QApplication.topLevelWidgets():
        raise FileError(f"{text} From Python: napari_ganseg.read(path, frame=0).")
    frame, is_chosen = QInputDialog.getInt(None, "Open one frame", text, 0, 0, count - 1)
    if not is_chosen:
        raise FileError(f"{name} was not opened: no frame was chosen.")
    return int(frame)
