"""A viewer closed while it segments leaves no process, no fault and no word about deleted things."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import write_scan

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


BATCH = """
import sys, time
import napari
from pathlib import Path
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

viewer = napari.Viewer(show=False)
_, widget = viewer.window.add_plugin_dock_widget("napari-ganseg", "Segment a folder")
widget.folder.value, widget.model.value = Path(sys.argv[1]), "tiny"
widget.button.native.click()

def leave():
    if "segmenting" in widget.words.text():
        viewer.window._qt_window.close()
        QTimer.singleShot(400, QApplication.quit)
    else:
        QTimer.singleShot(50, leave)

QTimer.singleShot(50, leave)
napari.run(force=True)
print("left")
"""


def test_viewer_closed_during_a_batch_leaves_no_lock_and_nothing_half_written(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in "abc":
        write_scan(folder / f"{name}.nii.gz", (70, 70, 70), np.eye(4))
    environment = os.environ | {"GANSEG_MODELS": str(models)}
    command = [sys.executable, "-c", BATCH, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.stdout.splitlines()[-1:] == ["left"], done.stderr
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    left = {path.name for path in tmp_path.joinpath("scans-labels").iterdir()}
    assert not [name for name in left if "lock" in name or "tmp" in name]
    assert "c.nii.gz" not in left
