"""What a user has: scans, a viewer with the Segment widget, a hand to click; and an engine that a test lets go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Layer
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from napari_ganseg.plugin.reader import open_files
from napari_ganseg.plugin.segment_widget import SegmentWidget
from napari_ganseg.plugin.task import Task
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.volume import LabelClass, LabelMap

AFFINE = np.array([[1.5, 0, 0, -40], [0, 2.0, 0, 10], [0, 0, 3.0, -7], [0, 0, 0, 1.0]])
OBLIQUE = np.array([[1.45, 0.3, 0.2, -40], [-0.35, 1.96, 0.3, 10], [-0.2, -0.2, 2.97, -7], [0, 0, 0, 1.0]])
SHAPE = (14, 12, 10)  # x, y, z
MakeScan = Callable[..., Path]


def reoriented(image: Any, codes: str) -> Any:
    """An image with the same voxels in the same places, stored in another axis order."""
    return image.as_reoriented(ornt_transform(io_orientation(image.affine), axcodes2ornt(codes)))


def opened(viewer: Any, path: Path) -> list[Any]:
    """Open a file with our reader, as napari does."""
    layers = [Layer.create(data, {**fields}, kind) for data, fields, kind in open_files(str(path))]
    for layer in layers:
        viewer.add_layer(layer)
    return layers


class Engine:
    """Stands in for the engine: labels what is above the mean, once a test lets it go; fails as it is told."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.fault: Exception | None = None
        self.tasks: list[Task] = []

    def __call__(self, task: Task) -> Run[LabelMap]:
        """Stands in for `make_run`."""
        self.tasks.append(task)
        return Run(lambda controls: self.steps(task, controls))

    def steps(self, task: Task, controls: Controls) -> Generator[Progress, None, LabelMap]:
        """Wait between tiles, then label or fail."""
        for done in range(6000):
            if self.go.wait(0.01):
                break
            controls.check()
            yield Progress(min(done, 9), 10, "segmenting")
        if self.fault is not None:
            raise self.fault
        volume = task.placement.volume(task.array)
        return LabelMap(
            array=(volume.array > volume.array.mean()).astype(np.uint8), affine=volume.affine, stored=volume.stored,
            classes=(LabelClass(1, "Bright", "#ff8000"),), notes=volume.notes, provenance={"model": task.model},
        )  # fmt: skip


class Desk:
    """A real viewer with the Segment widget docked, and the hands of a user."""

    def __init__(self, viewer: Any, qtbot: Any) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        self.widget = self.dock()

    def dock(self) -> SegmentWidget:
        """Open the widget from the plugin menu."""
        _, widget = self.viewer.window.add_plugin_dock_widget("napari-ganseg", "Segment CT or MRI")
        assert isinstance(widget, SegmentWidget)
        if "tiny" in widget.model.choices:
            widget.model.value = "tiny"
        self.widget = widget
        return widget

    def click(self) -> None:
        """Press the one button."""
        self.widget.button.native.click()

    def wait(self) -> None:
        """Until nothing runs and Qt has caught up."""
        self.qtbot.waitUntil(lambda: not self.widget.is_busy, timeout=60_000)
        self.qtbot.wait(20)

    def run(self) -> None:
        """Segment to the end."""
        self.click()
        self.wait()

    @property
    def is_idle(self) -> bool:
        """The button is ready and no bar is left."""
        from napari.utils import progress

        window = self.viewer.window
        return (
            self.widget.button.text == "Segment" and self.widget.button.native.isEnabled()
            and not progress._all_instances and not window._task_status_manager.is_busy()
        )  # fmt: skip
