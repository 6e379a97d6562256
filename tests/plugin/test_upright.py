"""Scans stand upright in every plane; what others opened stays as they showed it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hands import MakeScan, opened
from napari.components import ViewerModel

from napari_ganseg.plugin import upright
from napari_ganseg.plugin.upright import AXIAL, CORONAL, SAGITTAL, camera_of, is_even, is_upright, overlays_of, watch


def depth(viewer: Any) -> str:
    return str(camera_of(viewer).orientation[0])


def test_scan_turns_the_viewer_and_shows_letters_and_scale(viewer: Any, make_scan: MakeScan) -> None:
    assert not is_upright(viewer)
    opened(viewer, make_scan())
    assert is_upright(viewer)
    assert all(overlay.visible for overlay in overlays_of(viewer))


def test_it_is_said_once(make_scan: MakeScan, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(upright, "show_info", said.append)
    monkeypatch.setattr(upright, "_told", [])
    for _ in range(2):
        viewer = ViewerModel()
        watch(viewer)
        opened(viewer, make_scan())
        viewer.layers.clear()
    assert len(said) == 1
    assert said[0].startswith("Scans stand upright, the patient's right on your left (radiological convention).")


def test_array_turns_nothing(viewer: Any) -> None:
    viewer.add_image(np.zeros((3, 4, 5)))
    assert not is_upright(viewer)


def test_viewer_that_has_a_scan_already_is_turned_when_it_is_watched(make_scan: MakeScan) -> None:
    viewer = ViewerModel()
    opened(viewer, make_scan())
    watch(viewer)
    assert is_upright(viewer)
    viewer.layers.clear()


def test_order_that_mirrors_3d_turns_the_depth_axis_round(viewer: Any, make_scan: MakeScan) -> None:
    opened(viewer, make_scan())
    assert depth(viewer) == "away"
    viewer.dims.order = CORONAL
    assert depth(viewer) == "towards"
    viewer.dims.order = SAGITTAL
    assert depth(viewer) == "away"


def test_orientation_the_user_chose_stays(viewer: Any, make_scan: MakeScan) -> None:
    opened(viewer, make_scan())
    camera_of(viewer).orientation = ("towards", "down", "right")
    viewer.dims.roll()
    viewer.dims.roll()
    assert tuple(map(str, camera_of(viewer).orientation)) == ("towards", "down", "right")
    assert tuple(viewer.dims.order) == (1, 2, 0)


def test_rolling_goes_round_and_transposing_is_left_alone(viewer: Any, make_scan: MakeScan) -> None:
    opened(viewer, make_scan())
    seen = []
    for _ in range(6):
        viewer.dims.roll()
        seen.append(tuple(viewer.dims.order))
    assert seen == [SAGITTAL, CORONAL, AXIAL] * 2
    viewer.dims.transpose()
    assert tuple(viewer.dims.order) == (0, 2, 1)
    viewer.dims.transpose()
    assert tuple(viewer.dims.order) == AXIAL


@pytest.mark.parametrize(
    ("order", "even"), [((0, 1, 2), True), ((1, 0, 2), False), ((2, 0, 1), True), ((2, 1, 0), False), ((0, 1), True)]
)
def test_even_orders_take_an_even_number_of_swaps(order: tuple[int, ...], even: bool) -> None:
    assert is_even(order) is even


def test_flat_scan_does_not_disturb_the_viewer(viewer: Any, make_scan: MakeScan) -> None:
    opened(viewer, make_scan(array=np.arange(80, dtype=np.int16).reshape(8, 10) - 4))
    assert is_upright(viewer)
    assert viewer.layers[0].axis_labels == ("A", "R")
