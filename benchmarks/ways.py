"""The same folder through the shell, the napari console, the widget and two Dask workers, one killed: the same voxels.

    xvfb-run -a python -m benchmarks.ways --cases 12

Three of the cases are damaged: each way must name them and go on. A screenshot of the widget goes to `--screenshot`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.kill import MODEL, clustered, put, voxels


def main(arguments: Sequence[str] | None = None) -> int:
    """Go each way, compare; 0 when all voxels are the same."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ways", description="One folder, four ways.")
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--screenshot", type=Path, metavar="PNG")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore")
    data = Path(os.environ.get("GANSEG_DATA", "")) / "hippocampus_mri" / "images"
    scans = sorted(data.glob("*.nii.gz"))[: options.cases] or sys.exit("Set GANSEG_DATA to the folder of the data.")
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        damaged = put(scans, place / "in")
        shell(place / "in", place / "shell")
        whole = voxels(place / "shell")
        in_napari(place, options.screenshot)
        same = {way: voxels(place / way) == whole for way in ("console", "widget")}
        same["two workers, one killed"] = clustered(place, place / "shell").holds
    is_complete = len(whole) == len(scans) - len(damaged)
    for way, is_same in same.items():
        print(f"{'ok  ' if is_same else 'FAIL'} {way}: the same voxels as the shell's")
    agreed = f"{sum(same.values())} of {len(same)} other ways agree"
    print(f"{len(whole)} of {len(scans)} cases done, {len(damaged)} damaged; {agreed}")
    return 0 if is_complete and all(same.values()) else 1


def shell(folder: Path, out: Path) -> None:
    """The command, in a process of its own."""
    command = [sys.executable, "-m", "napari_ganseg", "segment", folder, out, "--model", MODEL, "--device", "cpu"]
    subprocess.run([str(word) for word in command], check=False, capture_output=True)


def in_napari(place: Path, picture: Path | None) -> None:
    """The console's function, then the widget's button, in one viewer."""
    import napari

    import napari_ganseg as ganseg
    from napari_ganseg.plugin.worker import job_of

    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1400, 900)
    ganseg.in_background(viewer, ganseg.segment_folder(place / "in", place / "console", MODEL, device="cpu"))
    wait(lambda: job_of(viewer) is None)
    _, widget = viewer.window.add_plugin_dock_widget("napari-ganseg", "Segment a folder")
    widget.folder.value, widget.out.value, widget.model.value = place / "in", place / "widget", MODEL
    widget.device.value = "cpu"
    widget.button.native.click()
    wait(lambda: job_of(viewer) is None)
    if picture:
        viewer.screenshot(str(picture), canvas_only=False, flash=False)
    viewer.close()


def wait(is_over: Any) -> None:
    """Let Qt work until something is over."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + 1
    while time.monotonic() < end or not is_over():
        QApplication.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    raise SystemExit(main())
