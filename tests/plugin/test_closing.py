"""A viewer closed while it segments leaves no process, no fault and no word about deleted things."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys, time
import napari, numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from napari_ganseg.plugin import segment_widget
from napari_ganseg.run import Progress, Run

TILE_S, LOOP, LEAVE = float(sys.argv[1]), sys.argv[2], sys.argv[3]

def slow(controls):
    for i in range(1000):
        controls.check()
        yield Progress(i, 1000, "segmenting")
        time.sleep(TILE_S)

segment_widget.make_run = lambda task: Run(slow)
viewer = napari.Viewer(show=False)
viewer.open_sample("napari-ganseg", "mri")
_, widget = viewer.window.add_plugin_dock_widget("napari-ganseg", "Segment CT or MRI")
widget.button.native.click()
assert widget.is_busy

def leave():
    assert widget.is_busy
    viewer.close() if LEAVE == "close" else viewer.window._qt_window.close()

def spin():
    end = time.time() + 0.5
    while time.time() < end:
        QApplication.processEvents()
        time.sleep(0.01)

if LOOP == "run":
    QTimer.singleShot(500, leave)
    QTimer.singleShot(900, QApplication.quit)
    napari.run(force=True)
else:
    spin()
    leave()
    if LOOP == "script":
        spin()
print("left")
"""


@pytest.mark.parametrize(
    ("tile_s", "loop", "leave"), [(0.05, "run", "window"), (0.05, "script", "close"), (3.0, "end", "close")]
)
def test_closed_viewer_leaves_nothing_running(tile_s: float, loop: str, leave: str) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tile_s), loop, leave]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1:] == ["left"], done.stderr
    assert done.returncode == 0, done.stderr
    assert "deleted" not in done.stderr
    assert "Traceback" not in done.stderr
