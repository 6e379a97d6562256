"""Live: labels of the slice under the slider while the user scrolls, and nothing left once it is off."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import noise
from hands import Desk, Engine, MakeScan, opened
from napari.layers import Labels

from napari_ganseg.errors import ModelError
from napari_ganseg.inference import segment
from napari_ganseg.models import find_model
from napari_ganseg.plugin.live_scan import LiveScan, Slab
from napari_ganseg.plugin.placement import Placement, assumed
from napari_ganseg.plugin.preview import as_slice, slice_box
from napari_ganseg.plugin.registry import placement_of
from napari_ganseg.plugin.worker import job_of
from napari_ganseg.run import Controls, Progress, Run

Complaints = Callable[[], list[str]]
Z = 10  # slices of the scan that `make_scan` writes


class Stand:
    """Stands in for `LiveScan.ask`: labels a slice with its number, once a test lets it go; fails as it is told."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.fault: Exception | None = None
        self.asked: list[int] = []
        self.cancelled: list[int] = []

    def ask(self, scan: Any, index: int) -> Run[Slab]:
        self.asked.append(index)
        shape = scan._placement.shape[-2:]
        return Run(lambda controls: self._steps(index, shape, controls))

    def _steps(self, index: int, shape: tuple[int, ...], controls: Controls) -> Generator[Progress, None, Slab]:
        for _ in range(6000):
            if self.go.wait(0.01):
                break
            if controls.is_cancelling:
                self.cancelled.append(index)
            controls.check()
            yield Progress(0, 0, "looking")
        if self.fault is not None:
            raise self.fault
        return Slab(slice(index, index + 1), np.full((1, *shape), index % 2 + 1, np.uint8))


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    stand = Stand()
    monkeypatch.setattr(LiveScan, "ask", lambda scan, index: stand.ask(scan, index))
    yield stand
    stand.go.set()


def layer_of(desk: Desk) -> Labels | None:
    return next((layer for layer in desk.viewer.layers if layer.name.endswith(" live")), None)


def switch_on(desk: Desk) -> None:
    desk.widget.live.value = True


def scroll_to(desk: Desk, z: int) -> None:
    desk.viewer.dims.set_current_step(0, z)


def settle(desk: Desk) -> None:
    """Until Live has nothing to do."""
    live = desk.widget._live
    desk.qtbot.waitUntil(lambda: live._errand is None and not live._timer.isActive(), timeout=60_000)


def wait_for(desk: Desk, is_so: Callable[[], bool]) -> None:
    desk.qtbot.waitUntil(is_so, timeout=60_000)


@pytest.mark.parametrize("name", ["tiny", "flat"])
def test_slices_get_the_labels_that_the_whole_gets(models: Path, name: str) -> None:
    volume = noise((70, 20, 20))
    whole = segment(volume, name, device="cpu").array
    scan = LiveScan(volume.array, Placement.of(volume, "noise"), name, "cpu")
    for index in (0, 33, 69):
        slab = scan.ask(index).result
        assert slab.planes.start <= index < slab.planes.stop
        np.testing.assert_array_equal(slab.labels, whole[slab.planes])


def test_slab_of_a_3d_model_is_thin_and_that_of_a_2d_model_one_slice(models: Path) -> None:
    volume = noise((70, 20, 20))
    depths = {}
    for name in ("tiny", "flat"):
        planes = LiveScan(volume.array, Placement.of(volume, "noise"), name, "cpu").ask(35).result.planes
        depths[name] = planes.stop - planes.start
    assert depths["flat"] == 1
    assert 1 < depths["tiny"] < find_model("tiny").card.patch[0]


def test_picture_gets_the_labels_that_segment_gives(models: Path) -> None:
    picture = noise((40, 50))
    slab = LiveScan(picture.array, Placement.of(picture, "noise"), "flat", "cpu").ask(0).result
    np.testing.assert_array_equal(slab.labels, segment(picture, "flat", device="cpu").array)


@pytest.mark.parametrize("codes", ["SPL", "IAR", "RAS", "LIP"])
def test_labels_land_on_their_slice_however_the_layer_lies(desk: Desk, codes: str) -> None:
    array = noise((12, 14, 16)).array
    image = desk.viewer.add_image(array, name="scan")
    desk.widget.letters.value, desk.widget.model.value = codes, "flat"
    placement = assumed(array.shape, (1.0, 1.0, 1.0), "scan", codes)
    axis = placement.axes[0]
    desk.viewer.dims.order = (axis, *[a for a in range(3) if a != axis])
    desk.viewer.dims.set_current_step(axis, 3)
    switch_on(desk)
    wait_for(desk, lambda: layer_of(desk) is not None)
    settle(desk)
    z = placement.shape[0] - 1 - 3 if placement.flips[0] else 3
    whole = segment(placement_of(image).volume(array), "flat", device="cpu").array
    layer = layer_of(desk)
    assert layer is not None
    np.testing.assert_array_equal(layer.data[slice_box(z, placement)], as_slice(whole[z], placement))
    assert set(np.unique(np.nonzero(layer.data)[axis])) <= {3}


def test_slices_done_are_kept(desk: Desk, stand: Stand, make_scan: MakeScan) -> None:
    opened(desk.viewer, make_scan())
    stand.go.set()
    switch_on(desk)
    for z in (2, 3, 2, 3, 2):
        scroll_to(desk, z)
        desk.qtbot.wait(60)
        settle(desk)
    assert stand.asked.count(2) <= 1
    assert stand.asked.count(3) == 1
    layer = layer_of(desk)
    assert layer is not None
    assert (layer.data[2] == 1).all()
    assert (layer.data[3] == 2).all()


def test_scrolling_on_cancels_the_older_slice_and_the_newest_is_labelled(
    desk: Desk, stand: Stand, make_scan: MakeScan, complaints: Complaints
) -> None:
    opened(desk.viewer, make_scan())
    scroll_to(desk, 1)
    switch_on(desk)
    wait_for(desk, lambda: stand.asked == [1])
    for z in (2, 3, 4):
        scroll_to(desk, z)
    wait_for(desk, lambda: stand.asked == [1, 4])
    assert stand.cancelled == [1]
    stand.go.set()
    settle(desk)
    layer = layer_of(desk)
    assert layer is not None
    assert list(np.unique(np.nonzero(layer.data)[0])) == [4]
    assert complaints() == []


def test_fault_is_told_once_and_turns_it_off(
    desk: Desk, stand: Stand, make_scan: MakeScan, complaints: Complaints
) -> None:
    opened(desk.viewer, make_scan())
    stand.fault = ModelError("Cannot load tiny: it is damaged.")
    stand.go.set()
    switch_on(desk)
    wait_for(desk, lambda: not desk.widget.live.value)
    for z in range(Z):
        scroll_to(desk, z)
    desk.qtbot.wait(100)
    assert complaints() == ["Cannot load tiny: it is damaged."]


def test_without_a_scan_it_says_what_to_do(desk: Desk, complaints: Complaints) -> None:
    switch_on(desk)
    wait_for(desk, lambda: not desk.widget.live.value)
    assert complaints() == ["Open a scan first, then switch Live on."]


@pytest.mark.parametrize("what", ["image", "layer"])
def test_removing_the_image_or_the_layer_turns_it_off(
    desk: Desk, stand: Stand, make_scan: MakeScan, complaints: Complaints, what: str
) -> None:
    (image,) = opened(desk.viewer, make_scan())
    opened(desk.viewer, make_scan("other.nii.gz"))
    desk.widget.image.value = image
    stand.go.set()
    switch_on(desk)
    wait_for(desk, lambda: layer_of(desk) is not None)
    desk.viewer.layers.remove(image if what == "image" else layer_of(desk))
    wait_for(desk, lambda: not desk.widget.live.value)
    asked = len(stand.asked)
    scroll_to(desk, 7)
    desk.qtbot.wait(100)
    assert len(stand.asked) == asked
    assert complaints() == []


def test_image_that_goes_before_its_labels_come_gets_none(desk: Desk, stand: Stand, make_scan: MakeScan) -> None:
    (image,) = opened(desk.viewer, make_scan())
    switch_on(desk)
    wait_for(desk, lambda: len(stand.asked) == 1)
    desk.viewer.layers.remove(image)
    stand.go.set()
    wait_for(desk, lambda: desk.widget._live._errand is None)
    assert layer_of(desk) is None


def test_click_on_segment_goes_first_and_live_goes_on_after_it(
    desk: Desk, stand: Stand, engine: Engine, make_scan: MakeScan, complaints: Complaints
) -> None:
    opened(desk.viewer, make_scan())
    switch_on(desk)
    wait_for(desk, lambda: len(stand.asked) == 1)
    desk.click()
    wait_for(desk, lambda: len(stand.cancelled) == 1 and desk.widget._live._errand is None)
    scroll_to(desk, 3)
    desk.qtbot.wait(100)
    assert len(stand.asked) == 1
    assert desk.widget.live_words.value.startswith("Waits for: Segment")
    stand.go.set()
    engine.go.set()
    desk.wait()
    wait_for(desk, lambda: layer_of(desk) is not None)
    assert stand.asked[-1] == 3
    assert complaints() == []


def test_live_does_not_keep_segment_from_starting(desk: Desk, stand: Stand, make_scan: MakeScan) -> None:
    opened(desk.viewer, make_scan())
    switch_on(desk)
    wait_for(desk, lambda: len(stand.asked) == 1)
    assert job_of(desk.viewer) is None
    assert desk.widget.button.text == "Segment"


def replace_data(desk: Desk, image: Any) -> None:
    image.data = image.data[::-1].copy()


def move(desk: Desk, image: Any) -> None:
    image.translate = np.asarray(image.translate) + 5


def other_model(desk: Desk, image: Any) -> None:
    desk.widget.model.value = "flat"


@pytest.mark.parametrize("change", [replace_data, move, other_model])
def test_change_of_image_or_model_forgets_what_was_found(
    desk: Desk, stand: Stand, make_scan: MakeScan, change: Callable[[Desk, Any], None]
) -> None:
    (image,) = opened(desk.viewer, make_scan())
    scroll_to(desk, 2)
    stand.go.set()
    switch_on(desk)
    wait_for(desk, lambda: layer_of(desk) is not None)
    older = layer_of(desk)
    change(desk, image)
    wait_for(desk, lambda: len(stand.asked) > 1 and layer_of(desk) not in (older, None))
    assert older not in desk.viewer.layers
    np.testing.assert_allclose(layer_of(desk).translate, image.translate)  # type: ignore[union-attr]


def test_switched_off_it_leaves_the_layer_and_asks_for_no_more(desk: Desk, stand: Stand, make_scan: MakeScan) -> None:
    opened(desk.viewer, make_scan())
    stand.go.set()
    switch_on(desk)
    wait_for(desk, lambda: layer_of(desk) is not None)
    settle(desk)
    desk.widget.live.value = False
    asked = len(stand.asked)
    scroll_to(desk, 8)
    desk.qtbot.wait(100)
    layer = layer_of(desk)
    assert layer is not None
    assert layer.editable
    assert len(stand.asked) == asked
    assert not desk.widget.live_words.visible


@pytest.mark.parametrize("is_painted", [True, False])
def test_next_live_layer_replaces_the_last_unless_somebody_painted_in_it(
    desk: Desk, stand: Stand, make_scan: MakeScan, is_painted: bool
) -> None:
    opened(desk.viewer, make_scan())
    stand.go.set()
    switch_on(desk)
    wait_for(desk, lambda: layer_of(desk) is not None)
    desk.widget.live.value = False
    older = layer_of(desk)
    assert older is not None
    if is_painted:
        older.data_setitem(tuple(np.array([i]) for i in (0, 0, 0)), 3)
    switch_on(desk)
    wait_for(desk, lambda: sum("live" in layer.name for layer in desk.viewer.layers if layer is not older) == 1)
    assert (older in desk.viewer.layers) == is_painted


@pytest.mark.parametrize("change", [{"order": (1, 0, 2)}, {"ndisplay": 3}])
def test_other_planes_make_it_wait(
    desk: Desk, stand: Stand, make_scan: MakeScan, complaints: Complaints, change: dict[str, Any]
) -> None:
    opened(desk.viewer, make_scan())
    stand.go.set()
    for name, value in change.items():
        setattr(desk.viewer.dims, name, value)
    switch_on(desk)
    wait_for(desk, lambda: desk.widget.live_words.value.startswith("Waits: show the axial plane in 2D"))
    assert stand.asked == []
    desk.viewer.dims.ndisplay, desk.viewer.dims.order = 2, (0, 1, 2)
    wait_for(desk, lambda: len(stand.asked) == 1)
    assert complaints() == []


def test_what_was_selected_stays_selected(desk: Desk, stand: Stand, make_scan: MakeScan) -> None:
    (image,) = opened(desk.viewer, make_scan())
    desk.viewer.layers.selection.active = image
    stand.go.set()
    switch_on(desk)
    wait_for(desk, lambda: layer_of(desk) is not None)
    assert desk.viewer.layers.selection.active is image


def test_closed_dock_ends_it(desk: Desk, stand: Stand, make_scan: MakeScan) -> None:
    opened(desk.viewer, make_scan())
    switch_on(desk)
    wait_for(desk, lambda: len(stand.asked) == 1)
    live = desk.widget._live
    desk.viewer.window.remove_dock_widget(desk.widget.native)
    wait_for(desk, lambda: len(stand.cancelled) == 1 and live._errand is None)
    scroll_to(desk, 4)
    desk.qtbot.wait(100)
    assert len(stand.asked) == 1


SCRIPT = """
import sys, time
import napari
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from napari_ganseg.plugin.live_scan import LiveScan
from napari_ganseg.run import Progress, Run

def slow(controls):
    for i in range(1000):
        controls.check()
        yield Progress(i, 1000, "looking")
        time.sleep(0.05)

if sys.argv[1] == "stand-in":
    LiveScan.ask = lambda scan, index: Run(slow)
viewer = napari.Viewer(show=False)
viewer.open_sample("napari-ganseg", "mri")
_, widget = viewer.window.add_plugin_dock_widget("napari-ganseg", "Segment CT or MRI")
widget.live.value = True

def leave():
    assert widget._live._errand is not None
    viewer.window._qt_window.close()

QTimer.singleShot(300, leave)
QTimer.singleShot(800, QApplication.quit)
napari.run(force=True)
print("left")
"""


@pytest.mark.parametrize("what", ["stand-in", "importing torch"])
def test_viewer_closed_in_the_middle_leaves_nothing_running(what: str) -> None:
    command = [sys.executable, "-c", SCRIPT, what]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=dict(os.environ), check=False)
    assert done.stdout.splitlines()[-1:] == ["left"], done.stderr
    assert done.returncode == 0, done.stderr
    assert "deleted" not in done.stderr
    assert "Traceback" not in done.stderr
