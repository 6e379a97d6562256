"""torch and Mesa in one process: imported with a viewer open, triton would crash in the wrong LLVM."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import napari
from qtpy.QtWidgets import QApplication
viewer = napari.Viewer()
QApplication.processEvents()
viewer.screenshot(canvas_only=True, flash=False)
from napari_ganseg.plugin.beside_mesa import load_triton_apart
load_triton_apart()
from monai.networks import nets
viewer.close()
print(nets.UNet.__name__)
"""


def test_networks_can_be_imported_while_a_viewer_is_open() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "UNet"
