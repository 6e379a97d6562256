"""The Segment widget in a real viewer: however a run ends, the button works and nothing is lost or made up."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hands import Desk, Engine, MakeScan, opened
from napari.layers import Labels

from napari_ganseg.errors import ModelError
from napari_ganseg.plugin.layers import bare
from napari_ganseg.plugin.regions import VIEW
from napari_ganseg.plugin.registry import placement_of
from napari_ganseg.plugin.segment_widget import SLICE
from napari_ganseg.plugin.upright import camera_of

Complaints = Callable[[], list[str]]


def results(desk: Desk) -> list[Labels]:
    return [layer for layer in desk.viewer.layers if isinstance(layer, Labels)]


def paint(layer: Labels, voxel: tuple[int, ...], value: int) -> None:
    layer.data_setitem(tuple(np.array([i]) for i in voxel), value)


def test_real_model_labels_the_scan_with_names_colours_and_a_table(desk: Desk, make_scan: MakeScan) -> None:
    (image,) = opened(desk.viewer, make_scan(codes="PIL"))
    desk.run()
    (labels,) = results(desk)
    assert labels.data.shape == image.data.shape
    np.testing.assert_allclose([labels.scale, labels.translate], [image.scale, image.translate])
    assert list(labels.features["name"]) == ["background", "organ 1", "organ 2"]
    assert labels.colormap.map(1) == pytest.approx([0x31 / 255, 0x82 / 255, 0xBD / 255, 1], abs=1e-3)
    assert [row[0] for row in desk.widget.table.value["data"]] == ["organ 1", "organ 2"]
    assert desk.is_idle


def test_second_click_cancels_and_the_next_run_works(
    desk: Desk, engine: Engine, make_scan: MakeScan, complaints: Complaints
) -> None:
    opened(desk.viewer, make_scan())
    desk.click()
    assert desk.widget.button.text == "Cancel"
    desk.click()
    assert desk.widget.button.text == "Cancelling..."
    desk.wait()
    assert desk.is_idle
    assert not results(desk)
    engine.go.set()
    desk.run()
    assert len(results(desk)) == 1
    assert complaints() == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (RuntimeError("CUDA out of memory"), "Unexpected RuntimeError: CUDA out of memory. Please report this; "),
        (ModelError("Cannot load tiny: it is damaged."), "Cannot load tiny: it is damaged."),
        (MemoryError(), "Unexpected MemoryError"),
    ],
)
def test_fault_is_told_once_and_the_next_run_works(
    desk: Desk, engine: Engine, make_scan: MakeScan, complaints: Complaints, fault: Exception, message: str
) -> None:
    opened(desk.viewer, make_scan())
    engine.fault = fault
    engine.go.set()
    desk.run()
    assert len(complaints()) == 1
    assert complaints()[0].startswith(message)
    assert desk.is_idle
    engine.fault = None
    desk.run()
    assert len(results(desk)) == 1


def test_runtime_error_inside_the_real_engine_is_told(
    desk: Desk, make_scan: MakeScan, complaints: Complaints, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_ganseg.models import find_model

    def forward(*_: Any) -> Any:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    opened(desk.viewer, make_scan())
    with monkeypatch.context() as patch:
        patch.setattr(type(find_model("tiny").network), "forward", forward)
        desk.run()
    assert len(complaints()) == 1
    assert "The computation failed inside torch: mat1 and mat2" in complaints()[0]
    assert desk.is_idle
    desk.run()
    assert len(results(desk)) == 1


def test_fault_while_showing_the_result_is_told(
    desk: Desk, engine: Engine, make_scan: MakeScan, complaints: Complaints, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add_result(*_: Any) -> None:
        raise KeyError("index")

    opened(desk.viewer, make_scan())
    monkeypatch.setattr("napari_ganseg.plugin.segment_widget.add_result", add_result)
    engine.go.set()
    desk.run()
    assert complaints() == ["Unexpected KeyError: 'index'. Please report this; you can go on working."]
    assert desk.is_idle


def remove(viewer: Any, image: Any) -> None:
    viewer.layers.remove(image)


def replace_data(viewer: Any, image: Any) -> None:
    image.data = image.data[::-1].copy()


def move(viewer: Any, image: Any) -> None:
    image.translate = np.asarray(image.translate) + 5


def turn(viewer: Any, image: Any) -> None:
    image.affine = np.diag([2, 1, 1, 1])


@pytest.mark.parametrize(
    ("change", "word"), [(remove, "removed"), (replace_data, "changed"), (move, "changed"), (turn, "changed")]
)
def test_changed_image_gets_one_message_and_no_layer(
    desk: Desk, engine: Engine, make_scan: MakeScan, complaints: Complaints, change: Any, word: str
) -> None:
    (image,) = opened(desk.viewer, make_scan())
    desk.click()
    change(desk.viewer, image)
    engine.go.set()
    desk.wait()
    assert len(complaints()) == 1
    assert f'"scan" was {word} while it was being segmented; the result was dropped.' in complaints()[0]
    assert not results(desk)
    assert desk.is_idle


def test_renamed_image_still_gets_its_result(desk: Desk, engine: Engine, make_scan: MakeScan) -> None:
    (image,) = opened(desk.viewer, make_scan())
    desk.click()
    image.name = "patient 7"
    engine.go.set()
    desk.wait()
    assert [layer.name for layer in results(desk)] == ["patient 7 tiny"]


def test_running_again_replaces_an_untouched_result(desk: Desk, engine: Engine, make_scan: MakeScan) -> None:
    opened(desk.viewer, make_scan())
    engine.go.set()
    desk.run()
    first = results(desk)[0]
    desk.run()
    assert len(results(desk)) == 1
    assert results(desk)[0] is not first


def test_running_again_keeps_an_edited_and_a_renamed_result(desk: Desk, engine: Engine, make_scan: MakeScan) -> None:
    opened(desk.viewer, make_scan())
    engine.go.set()
    desk.run()
    edited = results(desk)[0]
    paint(edited, (0, 0, 0), 7)
    desk.run()
    kept = results(desk)[1]
    kept.name = "my good one"
    desk.run()
    assert len(results(desk)) == 3
    assert edited in desk.viewer.layers
    assert kept in desk.viewer.layers


def test_labels_edited_while_it_runs_are_kept(desk: Desk, engine: Engine, make_scan: MakeScan) -> None:
    opened(desk.viewer, make_scan())
    engine.go.set()
    desk.run()
    engine.go.clear()
    desk.click()
    paint(results(desk)[0], (1, 1, 1), 5)
    engine.go.set()
    desk.wait()
    assert len(results(desk)) == 2
    assert results(desk)[0].data[1, 1, 1] == 5


def test_second_job_behind_one_viewer_is_refused_in_words(desk: Desk, engine: Engine, make_scan: MakeScan) -> None:
    from napari_ganseg.errors import UsageError
    from napari_ganseg.plugin.worker import Job

    opened(desk.viewer, make_scan())
    desk.click()
    with pytest.raises(UsageError, match=r"This viewer is busy \(Segment scan\). Wait for it, or cancel it."):
        Job(desk.viewer, lambda: engine(None), "Train", finish=str, on_done=print, on_failed=print)  # type: ignore[arg-type]
    engine.go.set()
    desk.wait()
    assert desk.is_idle


def test_two_viewers_run_side_by_side(desk: Desk, engine: Engine, make_scan: MakeScan, make_napari_viewer: Any) -> None:
    other = Desk(make_napari_viewer(), desk.qtbot)
    for each in (desk, other):
        opened(each.viewer, make_scan())
        each.click()
    engine.go.set()
    desk.wait()
    other.wait()
    assert len(results(desk)) == len(results(other)) == 1


def test_closed_and_reopened_widget_can_cancel_what_runs(desk: Desk, engine: Engine, make_scan: MakeScan) -> None:
    opened(desk.viewer, make_scan())
    desk.click()
    desk.viewer.window.remove_dock_widget(desk.widget.native)
    desk.qtbot.wait(20)
    assert desk.dock().button.text == "Cancel"
    desk.click()
    desk.wait()
    assert desk.is_idle
    assert not results(desk)


def test_widget_closed_for_good_still_brings_its_result(desk: Desk, engine: Engine, make_scan: MakeScan) -> None:
    opened(desk.viewer, make_scan())
    desk.click()
    desk.viewer.window.remove_dock_widget(desk.widget.native)
    engine.go.set()
    desk.wait()
    assert len(results(desk)) == 1


def test_run_leaves_nothing_behind_in_memory(desk: Desk, engine: Engine, make_scan: MakeScan) -> None:
    (image,) = opened(desk.viewer, make_scan())
    engine.go.set()
    desk.run()
    array = weakref.ref(engine.tasks.pop().array)
    desk.viewer.layers.clear()
    desk.widget.reset_choices()
    desk.run()  # nothing to segment: it only says so
    del image
    gc.collect()
    assert array() is None


def test_letters_are_asked_for_only_where_nobody_knows_them(desk: Desk, make_scan: MakeScan) -> None:
    desk.viewer.window._qt_window.show()
    opened(desk.viewer, make_scan())
    assert not desk.widget.letters.visible
    unknown = desk.viewer.add_image(np.random.default_rng(0).random((9, 10, 11)), name="array")
    desk.widget.image.value = unknown
    assert desk.widget.letters.visible
    flat = desk.viewer.add_image(np.zeros((9, 10)), name="flat")
    desk.widget.image.value = flat
    assert not desk.widget.letters.visible


def test_chosen_letters_reach_the_engine_stay_with_the_image_and_are_recorded(
    desk: Desk, engine: Engine, make_scan: MakeScan
) -> None:
    unknown = desk.viewer.add_image(np.random.default_rng(0).random((9, 10, 11)), name="array")
    desk.widget.letters.value = "IAR"
    (scan,) = opened(desk.viewer, make_scan())
    desk.widget.image.value = scan
    desk.widget.image.value = unknown
    assert desk.widget.letters.value == "IAR"
    engine.go.set()
    desk.run()
    assert engine.tasks[0].placement.flips == (True, False, False)
    assert "orientation assumed: the axes of array grow to I, A, R (unknown to napari)." in desk.widget.notes.value
    np.testing.assert_array_equal(results(desk)[0].data, unknown.data > unknown.data.mean())


def test_drawn_region_and_current_slice_reach_the_engine(desk: Desk, engine: Engine, make_scan: MakeScan) -> None:
    (image,) = opened(desk.viewer, make_scan(codes="LPS"))
    corners = [image.data_to_world((4, y, x)) for y, x in ((2, 3), (2, 8), (6, 8), (6, 3))]
    shapes = desk.viewer.add_shapes([np.array(corners)], name="box", units="mm")
    desk.widget.region.value = shapes
    shapes.name = "here"
    desk.viewer.dims.set_point(0, image.data_to_world((4, 0, 0))[0])
    desk.widget.extent.value = SLICE
    engine.go.set()
    desk.run()
    settings = engine.tasks[0].settings
    assert settings["region"][1:] == (slice(2, 7), slice(3, 9))
    assert settings["slice_index"] == 4


def test_renaming_the_chosen_image_does_not_choose_another(desk: Desk, make_scan: MakeScan) -> None:
    opened(desk.viewer, make_scan("first.nii"))
    (second,) = opened(desk.viewer, make_scan("second.nii"))
    desk.widget.image.value = second
    second.name = "patient 7"
    assert desk.widget.image.value is second


def test_flat_picture_is_segmented_by_a_flat_model_whatever_the_extent(desk: Desk) -> None:
    picture = desk.viewer.add_image(np.random.default_rng(0).normal(0, 300, (40, 50)))
    desk.widget.model.value, desk.widget.extent.value = "flat", SLICE
    desk.run()
    assert results(desk)[0].data.shape == picture.data.shape
    assert "orientation unknown: Image is taken as it is" in desk.widget.notes.value


def test_flat_model_labels_one_slice_of_a_volume(desk: Desk, make_scan: MakeScan) -> None:
    (image,) = opened(desk.viewer, make_scan(codes="PIR"))
    desk.widget.model.value, desk.widget.extent.value = "flat", SLICE
    desk.viewer.dims.set_point(0, image.data_to_world((6, 0, 0))[0])
    desk.run()
    assert np.flatnonzero(results(desk)[0].data.any(axis=(1, 2))).tolist() == [6]


def test_region_in_view_is_what_the_canvas_shows(desk: Desk, engine: Engine, make_scan: MakeScan) -> None:
    (image,) = opened(desk.viewer, make_scan())
    desk.viewer.window._qt_window.show()
    camera = camera_of(desk.viewer)
    camera.center = image.data_to_world((5, 6, 4))
    camera.zoom = 4 * camera.zoom
    desk.qtbot.wait(50)
    desk.widget.region.value = VIEW
    engine.go.set()
    desk.run()
    z, y, x = engine.tasks[0].settings["region"]
    assert y.start <= 6 < y.stop < image.data.shape[1]
    assert 0 <= x.start <= 4 < x.stop < image.data.shape[2]
    assert z.stop > z.start


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda v: None, "Open a scan first, then click Segment."),
        (
            lambda v: v.add_image(np.zeros((8, 8, 3), np.uint8), rgb=True, name="x"),
            '"x" is a colour image; choose a CT or MRI.',
        ),
        (lambda v: v.add_image(np.zeros((2, 3, 4, 5)), name="x"), '"x" has 4 axes; split it so that each layer'),
        (
            lambda v: v.add_image([np.zeros((8, 8, 8)), np.zeros((4, 4, 4))], multiscale=True, name="x"),
            '"x" is a multiscale layer; open the scan at one resolution.',
        ),
    ],
)
def test_what_is_no_scan_is_refused_in_words(
    desk: Desk, complaints: Complaints, add: Callable[[Any], Any], message: str
) -> None:
    add(desk.viewer)
    desk.click()
    assert len(complaints()) == 1
    assert complaints()[0].startswith(message)
    assert desk.is_idle


def test_layer_full_of_nan_is_refused_and_a_single_one_is_repaired(desk: Desk, complaints: Complaints) -> None:
    array = np.random.default_rng(0).normal(0, 300, (12, 12, 12))
    array[0, 0, 0] = np.nan
    image = desk.viewer.add_image(array)
    desk.run()
    assert complaints() == []
    assert "1 voxel is NaN or infinite" in desk.widget.notes.value
    array[:6] = np.nan
    image.data = array.copy()
    desk.run()
    assert "NaN or infinite (50 %); this is no scan." in complaints()[0]


def test_result_of_an_array_leaves_the_camera_as_it_was(desk: Desk, engine: Engine) -> None:
    desk.viewer.add_image(np.random.default_rng(0).random((9, 10, 11)))
    before = camera_of(desk.viewer).orientation
    engine.go.set()
    desk.run()
    assert len(results(desk)) == 1
    assert camera_of(desk.viewer).orientation == before


def test_save_button_saves_the_result_whatever_is_selected(
    desk: Desk, engine: Engine, make_scan: MakeScan, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (image,) = opened(desk.viewer, make_scan())
    engine.go.set()
    desk.run()
    desk.viewer.layers.selection.active = image
    monkeypatch.setattr(
        "napari_ganseg.plugin.commands.QFileDialog.getSaveFileName", lambda *_: (str(tmp_path / "out"), "")
    )
    desk.widget.save_button.native.click()
    assert (tmp_path / "out.nii.gz").exists()


def test_widget_takes_the_viewer_as_napari_hands_it_to_plugins(desk: Desk, make_scan: MakeScan) -> None:
    opened(desk.viewer, make_scan())
    assert desk.widget._viewer is bare(desk.viewer)
    assert placement_of(bare(desk.widget.image.value)).source == "scan"


def test_widget_opens_without_torch() -> None:
    code = (
        "import sys, napari\n"
        "viewer = napari.Viewer(show=False)\n"
        "viewer.window.add_plugin_dock_widget('napari-ganseg', 'Segment CT or MRI')\n"
        "assert 'torch' not in sys.modules and 'monai' not in sys.modules\n"
        "viewer.close()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
