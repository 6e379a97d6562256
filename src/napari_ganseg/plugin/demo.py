"""`make demo`: open the sample MRI, dock the Segment widget, click it; without a screen, save what it shows."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import napari
import numpy as np
from napari._qt.dialogs.qt_notification import NapariQtNotification
from qtpy.QtWidgets import QApplication

from napari_ganseg.errors import ComputeError
from napari_ganseg.plugin.layers import MADE
from napari_ganseg.plugin.sample_data import sample_path
from napari_ganseg.plugin.segment_widget import SegmentWidget
from napari_ganseg.plugin.writer import save_layer

LONGEST_S = 600
TO_THE_BACK, UP = (-0.1, -1.0, 0.4), (1.0, 0.0, 0.0)  # along S, A, R: seen from the front, a little from above and left


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the plugin at work; return 0 when it segmented the sample."""
    parser = argparse.ArgumentParser(prog="python -m napari_ganseg.plugin.demo", description=__doc__)
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="save labels and a picture there and end, instead of staying open"
    )
    parser.add_argument("--screenshot", type=Path, metavar="PNG", help="where the picture goes, if not into FOLDER")
    parser.add_argument("--scan", type=Path, help="another scan than the sample MRI")
    parser.add_argument("--model", default="hippocampus-mri")
    options = parser.parse_args(arguments)
    viewer = napari.Viewer(title="napari-ganseg demo")
    viewer.window._qt_window.resize(1400, 900)
    viewer.open(str(options.scan or sample_path("sample_mri.nii.gz")), plugin="napari-ganseg")
    _, widget = viewer.window.add_plugin_dock_widget("napari-ganseg", "Segment CT or MRI")
    widget.model.value = options.model
    if options.out is None:
        widget.button.native.click()
        napari.run()
        return 0
    labels = click_and_wait(viewer, widget)
    picture = options.screenshot or options.out / "screenshot.png"
    save(labels, list(viewer.layers), options.out)
    show_middle(viewer, labels)
    take(viewer, picture)
    show_depth(viewer, labels)
    take(viewer, picture.with_stem(f"{picture.stem}-3d"))
    viewer.close()
    return 0


def click_and_wait(viewer: napari.Viewer, widget: SegmentWidget) -> napari.layers.Labels:
    """Click Segment and wait for the Labels layer.

    Raises:
        ComputeError: none came.
    """
    widget.button.native.click()
    end = time.monotonic() + LONGEST_S
    while widget.is_busy and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)
    results = [layer for layer in viewer.layers if MADE in layer.metadata]
    if not results:
        raise ComputeError("The demo made no labels; its message is above.")
    return results[-1]


def show_middle(viewer: napari.Viewer, labels: napari.layers.Labels) -> None:
    """Move the slider to where most labels are."""
    fullest = (labels.data > 0).sum(axis=(1, 2)).argmax()
    viewer.dims.set_point(0, labels.data_to_world((fullest, 0, 0))[0])


def show_depth(viewer: napari.Viewer, labels: napari.layers.Labels) -> None:
    """Turn to 3D, the labels as surfaces."""
    for layer in viewer.layers:
        layer.visible = layer is labels
    viewer.dims.ndisplay = 3
    labels.opacity, labels.iso_gradient_mode = 1.0, "smooth"
    found = np.argwhere(labels.data > 0)
    low, high = (np.array(labels.data_to_world(corner)) for corner in (found.min(axis=0), found.max(axis=0)))
    viewer.scene.camera.center = tuple((low + high) / 2)
    viewer.scene.camera.set_view_direction(TO_THE_BACK, UP)
    viewer.scene.camera.zoom = 0.8 * min(viewer.canvas.size) / float(np.linalg.norm(high - low))


def take(viewer: napari.Viewer, path: Path) -> None:
    """Put messages away, let the window settle, and photograph it."""
    for widget in QApplication.allWidgets():
        if isinstance(widget, NapariQtNotification):
            widget.close()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.02)
    path.parent.mkdir(parents=True, exist_ok=True)
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    print(f"wrote {path}")


def save(labels: napari.layers.Labels, layers: list[napari.layers.Layer], folder: Path) -> None:
    """Write the labels, print the table."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "labels.nii.gz"
    save_layer(labels, layers, path, lambda question, places: None)
    print(f"{'class':<32} {'voxels':>10} {'mL':>10}")
    for row in labels.features[labels.features["index"] != 0].itertuples():
        print(f"{row.name:<32} {row.voxels:>10} {row.mL:>10.3f}")
    print(f"wrote {path}")


if __name__ == "__main__":
    raise SystemExit(main())
