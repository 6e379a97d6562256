"""The preview of a training: on the scan however that is stored, one slice at a time, gone when nobody wants it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hands import AFFINE, OBLIQUE, SHAPE, MakeScan, opened
from napari.layers import Image, Labels

from napari_ganseg.models.card import CardClass
from napari_ganseg.plugin.placement import Placement, assumed, orientation_codes
from napari_ganseg.plugin.preview import Preview, shown_index
from napari_ganseg.plugin.regions import current_slice
from napari_ganseg.plugin.registry import placement_of
from napari_ganseg.plugin.transform import covers

CLASSES = (CardClass(1, "Liver", "#ff8000"), CardClass(2, "Spleen", "#00ff80"))
ROWS, COLUMNS = SHAPE[1], SHAPE[0]


def labels(seed: int = 0, shape: tuple[int, ...] = (ROWS, COLUMNS)) -> np.ndarray:
    """A slice of the scan of which no row or column is like another."""
    return np.random.default_rng(seed).integers(0, 3, shape)


def preview_on(viewer: Any, image: Image) -> Preview:
    return Preview(viewer, image, placement_of(image))


def only(preview: Preview) -> Labels:
    """The layer that has been made."""
    assert preview.layer is not None
    return preview.layer


@pytest.mark.parametrize("affine", [AFFINE, OBLIQUE])
@pytest.mark.parametrize("codes", ["RAS", "LPI", "PIR", "SAL"])
def test_slice_lies_on_the_scan_however_it_is_stored(
    viewer: Any, make_scan: MakeScan, codes: str, affine: np.ndarray
) -> None:
    (image,) = opened(viewer, make_scan(codes=codes, affine=affine))
    preview, placement = preview_on(viewer, image), placement_of(image)
    volume = placement.volume(image.data).array
    preview.show(3, np.where(volume[3] > np.median(volume), 2, 0), CLASSES)
    assert covers(only(preview), image)
    assert only(preview).name == "scan (training preview)"
    assert (only(preview).data[only(preview).data > 0] == 2).all()
    bright = image.data > np.median(volume)
    assert np.array_equal(placement.upright(only(preview).data)[3] == 2, placement.upright(bright)[3])


@pytest.mark.parametrize("codes", orientation_codes())
def test_only_the_last_slice_is_filled_in_any_order_of_axes(viewer: Any, codes: str) -> None:
    image = viewer.add_image(np.random.default_rng(0).random((9, 10, 11)), scale=(2, 3, 4), translate=(7, 8, 9))
    placement = assumed((9, 10, 11), (2, 3, 4), "array", codes)
    preview = Preview(viewer, image, placement)
    for index in (1, placement.shape[0] - 2):
        expected = np.zeros(placement.shape)
        expected[index] = labels(index, placement.shape[1:])
        preview.show(index, labels(index, placement.shape[1:]), CLASSES)
        assert np.array_equal(placement.upright(only(preview).data), expected)
    assert covers(only(preview), image)


@pytest.mark.parametrize("codes", orientation_codes()[::4])
def test_shown_index_is_the_slice_that_a_preview_shows_there(viewer: Any, codes: str) -> None:
    image = viewer.add_image(np.random.default_rng(0).random((9, 10, 11)), scale=(2, 3, 4), translate=(7, 8, 9))
    placement = assumed((9, 10, 11), (2, 3, 4), "array", codes)
    axis = placement.axes[0]
    viewer.dims.order = (axis, *[a for a in range(3) if a != axis])
    viewer.dims.set_point(axis, image.data_to_world((3, 3, 3))[axis])
    index = shown_index(viewer, image, placement)
    assert index == current_slice(viewer, image, placement)
    preview = Preview(viewer, image, placement)
    preview.show(index, np.ones(placement.shape[1:], int), CLASSES)
    assert np.asarray(only(preview)._slice.image.raw).all()


def test_shown_index_in_another_plane_in_3d_and_of_a_picture(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan())
    viewer.dims.set_point(0, image.data_to_world((4, 0, 0))[0])
    for viewer.dims.order in ((0, 1, 2), (1, 0, 2)):
        assert shown_index(viewer, image, placement_of(image)) == 4
    viewer.dims.ndisplay = 3
    assert shown_index(viewer, image, placement_of(image)) == 4
    picture = viewer.add_image(np.random.default_rng(0).random((9, 10)))
    assert shown_index(viewer, picture, placement_of(picture)) == 0


def test_picture_is_one_slice(viewer: Any) -> None:
    picture = viewer.add_image(np.random.default_rng(0).random((9, 10)), scale=(2, 3), name="photo")
    preview = preview_on(viewer, picture)
    preview.show(0, labels(shape=(9, 10)), CLASSES)
    assert np.array_equal(only(preview).data, labels(shape=(9, 10)))
    assert covers(only(preview), picture)


def test_layer_is_small_named_and_locked_and_its_array_is_made_once(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan())
    preview = preview_on(viewer, image)
    preview.show(1, labels(1), CLASSES)
    layer, data = only(preview), only(preview).data
    preview.show(2, labels(2), CLASSES)
    assert only(preview) is layer
    assert layer.data is data
    assert (data.dtype, layer.editable) == (np.uint8, False)
    assert list(layer.features["name"]) == ["background", "Liver", "Spleen"]
    assert layer.get_color(1)[:3] == pytest.approx((1, 128 / 255, 0), abs=0.01)
    assert np.array_equal(layer._slice.image.raw, data[viewer.dims.current_step[0]])


def test_class_of_a_great_number_and_other_classes_get_a_layer_that_holds_them(
    viewer: Any, make_scan: MakeScan
) -> None:
    (image,) = opened(viewer, make_scan())
    preview = preview_on(viewer, image)
    preview.show(1, labels(), CLASSES)
    preview.show(1, np.full((ROWS, COLUMNS), 70_000), (CardClass(70_000, "Liver", "#ff8000"),))
    assert [layer.name for layer in viewer.layers] == ["scan", "scan (training preview)"]
    assert only(preview).data.max() == 70_000


def test_what_is_selected_and_how_one_paints_stay(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan())
    mine = viewer.add_labels(np.zeros_like(image.data, np.uint8), scale=image.scale, translate=image.translate)
    mine.mode = "paint"
    preview_on(viewer, image).show(1, labels(), CLASSES)
    assert (viewer.layers.selection.active, str(mine.mode)) == (mine, "paint")
    assert len(viewer.layers) == 3


def test_removed_by_hand_it_comes_back_only_after_restart(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan())
    preview = preview_on(viewer, image)
    preview.show(1, labels(), CLASSES)
    viewer.layers.remove(only(preview))
    for index in (2, 3):
        preview.show(index, labels(), CLASSES)
        assert list(viewer.layers) == [image]
    preview.restart()
    assert list(viewer.layers) == [image]
    preview.show(4, labels(), CLASSES)
    filled = placement_of(image).upright(only(preview).data).any(axis=(1, 2))
    assert list(np.flatnonzero(filled)) == [4]


def test_removed_by_us_it_comes_back_at_once(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan())
    preview = preview_on(viewer, image)
    preview.remove()
    preview.show(1, labels(), CLASSES)
    preview.remove()
    assert list(viewer.layers) == [image]
    preview.show(1, labels(), CLASSES)
    assert only(preview) in viewer.layers


def test_moved_image_takes_the_preview_along(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan(codes="LPI"))
    preview = preview_on(viewer, image)
    preview.show(1, labels(), CLASSES)
    image.translate = np.asarray(image.translate) + 11
    image.rotate = 30
    preview.show(2, labels(), CLASSES)
    assert covers(only(preview), image)


def test_image_that_was_removed_or_cut_takes_the_preview_along(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan())
    preview = preview_on(viewer, image)
    preview.show(1, labels(), CLASSES)
    whole, image.data = image.data, image.data[:5]
    preview.show(1, labels(), CLASSES)
    assert list(viewer.layers) == [image]
    image.data = whole
    preview.show(1, labels(), CLASSES)
    viewer.layers.remove(image)
    preview.show(1, labels(), CLASSES)
    assert not viewer.layers
    preview.remove()


@pytest.mark.parametrize(("index", "shape"), [(-1, (ROWS, COLUMNS)), (10, (ROWS, COLUMNS)), (0, (COLUMNS, ROWS))])
def test_slice_of_another_scan_is_refused(viewer: Any, make_scan: MakeScan, index: int, shape: tuple[int, int]) -> None:
    (image,) = opened(viewer, make_scan())
    with pytest.raises(ValueError, match=r"is none of a scan of the shape \(10, 12, 14\)"):
        preview_on(viewer, image).show(index, labels(shape=shape), CLASSES)


def test_closed_viewer_is_let_alone(make_napari_viewer: Any, make_scan: MakeScan, qtbot: Any) -> None:
    viewer = make_napari_viewer()
    (image,) = opened(viewer, make_scan(codes="PIR"))
    preview, other = preview_on(viewer, image), preview_on(viewer, image)
    preview.show(1, labels(), CLASSES)
    viewer.dims.ndisplay = 3
    preview.show(2, labels(), CLASSES)
    assert not only(preview).editable
    viewer.close()
    for it in (preview, other):
        it.show(3, labels(), CLASSES)
    preview.remove()


CLOSED_BY_HAND = """
import sys
import napari, numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from napari_ganseg.models.card import CardClass
from napari_ganseg.plugin.curves import Curves
from napari_ganseg.plugin.preview import Preview
from napari_ganseg.plugin.registry import placement_of

viewer = napari.Viewer(show=False)
viewer.open_sample("napari-ganseg", "mri")
(image,) = viewer.layers
curves, placement = Curves(), placement_of(image)
viewer.window.add_dock_widget(curves, name="curves")
seen, unseen = Preview(viewer, image, placement), Preview(viewer, image, placement)

def show(preview, index):
    preview.show(index, np.ones(placement.shape[1:], int), [CardClass(1, "Liver", "#ff8000")])

def leave():
    curves.add(1, {"loss": 1.0})
    show(seen, 1)
    viewer.window._qt_window.close()
    show(seen, 2)

def later():
    show(seen, 3)
    show(unseen, 3)
    seen.remove()
    QApplication.quit()

QTimer.singleShot(200, leave)
QTimer.singleShot(800, later)
napari.run(force=True)
print("left")
"""


def test_window_closed_by_hand_leaves_no_fault() -> None:
    done = subprocess.run([sys.executable, "-c", CLOSED_BY_HAND], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["left"]), done.stderr
    assert "Traceback" not in done.stderr
    assert "deleted" not in done.stderr


def test_placement_without_orientation_is_enough(viewer: Any) -> None:
    image = viewer.add_image(np.random.default_rng(0).random((4, 5, 6)))
    placement = Placement((4, 5, 6), np.eye(4), "array")
    preview = Preview(viewer, image, placement)
    preview.show(2, np.ones((5, 6), int), CLASSES)
    assert only(preview).data[2].all()
