"""Menu commands: they act on what is selected, and what goes wrong becomes one message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hands import OBLIQUE, SHAPE, MakeScan, opened
from napari.layers import Image, Labels

import napari_ganseg as ganseg
from napari_ganseg.plugin import commands
from napari_ganseg.plugin.registry import placement_of
from napari_ganseg.plugin.transform import covers

Complaints = Callable[[], list[str]]


@pytest.fixture
def dialog(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Answers of the file and the choice dialog; what they were asked is noted."""
    answers: dict[str, Any] = {"path": "", "choice": 0}

    def choose_file(_: Any, title: str, start: str, kinds: str) -> tuple[str, str]:
        answers["start"] = start
        return answers["path"], kinds

    def choose_item(_: Any, title: str, question: str, names: list[str], *rest: Any) -> tuple[str, bool]:
        answers["names"] = names
        return names[answers["choice"] or 0], answers["choice"] is not None

    monkeypatch.setattr(commands.QFileDialog, "getSaveFileName", choose_file)
    monkeypatch.setattr(commands.QInputDialog, "getItem", choose_item)
    return answers


def test_new_labels_lie_on_the_scan_with_nothing_selected(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan(codes="PIL", affine=OBLIQUE))
    viewer.layers.selection.clear()
    commands.new_labels(viewer)
    layer = viewer.layers[-1]
    assert isinstance(layer, Labels)
    assert covers(layer, image)
    assert layer.units == image.units
    assert not layer.data.any()


def test_new_labels_lie_on_the_selected_scan_even_a_moved_one(viewer: Any, make_scan: MakeScan) -> None:
    (first,) = opened(viewer, make_scan("a.nii"))
    opened(viewer, make_scan("b.nii", array=np.arange(60, dtype=np.int16).reshape(3, 4, 5) - 9))
    first.translate = (5, 6, 7)
    viewer.layers.selection = {first, viewer.layers[1]}
    viewer.layers.selection = {first}
    commands.new_labels(viewer)
    assert covers(viewer.layers[-1], first)


def test_commands_without_a_fitting_layer_say_what_to_select(viewer: Any, complaints: Complaints) -> None:
    for command in (commands.new_labels, commands.save_labels, commands.show_as_labels, commands.show_as_image):
        command(viewer)
    assert complaints() == [
        "Open a scan first.", "Select one Labels layer first, then save it.",
        "Select one image layer that holds whole numbers.", "Select one Labels layer.",
    ]  # fmt: skip


def test_odd_layers_are_refused_in_words(viewer: Any, complaints: Complaints) -> None:
    viewer.add_image(np.zeros((4, 4, 3), np.uint8), rgb=True, name="x")
    commands.new_labels(viewer)
    commands.show_as_labels(viewer)
    assert complaints() == ['"x" is a colour image; choose a CT or MRI.'] * 2
    viewer.layers.clear()
    viewer.add_image(np.full((3, 3, 3), 0.5))
    commands.show_as_labels(viewer)
    assert complaints()[-1] == "Select one image layer that holds whole numbers."


def test_image_becomes_labels_and_labels_an_image_in_place(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan(codes="IRP", affine=OBLIQUE))
    image.translate = np.asarray(image.translate) + 3
    placement, data = placement_of(image), image.data
    commands.show_as_labels(viewer)
    (labels,) = viewer.layers
    assert isinstance(labels, Labels)
    np.testing.assert_array_equal(labels.data, data)
    commands.show_as_image(viewer)
    (back,) = viewer.layers
    assert isinstance(back, Image)
    np.testing.assert_array_equal(back.data, data)
    assert covers(back, labels)
    assert placement_of(back).is_same_grid_as(placement)


def test_save_offers_the_scans_folder_and_adds_the_suffix(
    viewer: Any, make_scan: MakeScan, dialog: dict[str, Any], tmp_path: Path, complaints: Complaints
) -> None:
    opened(viewer, make_scan())
    commands.new_labels(viewer)
    viewer.layers[-1].name = "left/right"
    dialog["path"] = str(tmp_path / "mask")
    commands.save_labels(viewer)
    assert dialog["start"] == str(tmp_path / "left_right.nii.gz")
    assert ganseg.read_labels(tmp_path / "mask.nii.gz").array.shape == SHAPE[::-1]
    commands.save_labels(viewer)
    assert complaints() == ["mask.nii.gz exists already; choose it in the dialog to replace it."]
    dialog["path"] = str(tmp_path / "mask.nii.gz")
    commands.save_labels(viewer)
    assert len(complaints()) == 1


def test_save_asks_which_scan_and_may_be_cancelled(
    viewer: Any, make_scan: MakeScan, dialog: dict[str, Any], tmp_path: Path
) -> None:
    (first,) = opened(viewer, make_scan("a.nii"))
    opened(viewer, make_scan("b.nii", codes="LPS"))
    viewer.layers.selection = {first}
    viewer._new_labels()
    dialog["path"], dialog["choice"] = str(tmp_path / "out.nii"), None
    commands.save_labels(viewer)
    assert dialog["names"] == ["1: a (10 x 12 x 14)", "2: b (10 x 12 x 14)"]
    assert not (tmp_path / "out.nii").exists()
    dialog["choice"] = 1
    commands.save_labels(viewer)
    assert (tmp_path / "out.nii").exists()


def test_refused_save_is_one_message_and_the_viewer_stays(
    viewer: Any, make_scan: MakeScan, dialog: dict[str, Any], complaints: Complaints
) -> None:
    path = make_scan("scan.nii")
    opened(viewer, path)
    commands.new_labels(viewer)
    dialog["path"] = str(path)
    commands.save_labels(viewer)
    assert complaints() == ["Cannot write scan.nii: it would overwrite the input image. Choose another name."]
    assert len(viewer.layers) == 2


# --- new labels for an image ---------------------------------------------------------------------------------------


def ready(viewer: Any, layer: Any, image: Any) -> bool:
    """Whether new labels lie on their image, empty, and the next stroke paints their first class."""
    is_active = viewer.layers.selection == {layer} and layer.mode == "paint" and layer.selected_label == 1
    has_place = layer.units == image.units and placement_of(layer).is_same_grid_as(placement_of(image))
    return covers(layer, image) and is_active and has_place and layer.data.dtype == np.uint8 and not layer.data.any()


def test_new_labels_for_an_image_do_not_ask_what_is_selected(viewer: Any, make_scan: MakeScan) -> None:
    (first,) = opened(viewer, make_scan("a.nii", codes="PIL", affine=OBLIQUE))
    (second,) = opened(viewer, make_scan("b.nii", array=np.arange(60, dtype=np.int16).reshape(3, 4, 5) - 9))
    points = viewer.add_points(np.ones((2, 3)))
    for selected in ({first, second}, {second, points}, {points}, set()):
        viewer.layers.selection = selected
        for image in (first, second):
            assert ready(viewer, commands.new_labels_for(viewer, image), image)
    viewer.layers.selection = {points}
    commands.new_labels(viewer)
    assert ready(viewer, viewer.layers[-1], second)


def test_new_labels_for_a_moved_image_lie_where_it_was_moved_to(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan(affine=OBLIQUE))
    image.translate = np.add(image.translate, (3, -4, 5))
    assert ready(viewer, commands.new_labels_for(viewer, image), image)


def test_new_labels_for_a_flat_image(viewer: Any, make_scan: MakeScan, tmp_path: Path) -> None:
    (slice_,) = opened(viewer, make_scan("flat.nii", array=np.arange(30, dtype=np.int16).reshape(6, 5) - 7))
    picture = viewer.add_image(np.random.default_rng(0).random((7, 9)), name="picture")
    for image in (slice_, picture):
        layer = commands.new_labels_for(viewer, image)
        assert layer.ndim == 2
        assert ready(viewer, layer, image)
