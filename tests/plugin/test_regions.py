"""Regions of interest: from a drawn rectangle, from the view, from the slider; in the scan's own voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hands import MakeScan, opened
from napari.layers import Shapes

from napari_ganseg.errors import UsageError
from napari_ganseg.plugin.placement import assumed, orientation_codes
from napari_ganseg.plugin.regions import box_in_shapes, box_in_view, current_slice, upright_box

CORNERS = ((2, 3), (2, 8), (6, 8), (6, 3))  # row, column


def drawn(image: Any, corners: Any) -> Shapes:
    return Shapes([np.array([image.data_to_world(c) for c in corners])], name="box")


@pytest.mark.parametrize("codes", orientation_codes())
def test_box_in_the_layers_voxels_is_the_same_box_upright(codes: str) -> None:
    array = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    placement = assumed(array.shape, (1, 1, 1), "array", codes)
    box = upright_box([1, 2, 0], [3, 4, 5], placement)
    assert set(placement.upright(array)[box].ravel()) == set(array[1:3, 2:4, 0:5].ravel())


def test_rectangle_is_as_deep_in_millimetres_as_it_is_wide(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan(codes="LPI"))
    image.translate = np.asarray(image.translate) + 11
    shapes = drawn(image, [(5, y, x) for y, x in CORNERS])
    box = box_in_shapes(shapes, image, image.metadata["napari-ganseg"])
    assert box == (slice(3, 8), slice(2, 7), slice(3, 9))  # 5 rows of 2 mm: 10 mm, and 3 mm a slice


def test_rectangle_drawn_in_another_plane(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan())
    shapes = drawn(image, [(z, 6, x) for z, x in CORNERS])
    z, y, x = box_in_shapes(shapes, image, image.metadata["napari-ganseg"])
    assert (z, x) == (slice(2, 7), slice(3, 9))
    assert y.start <= 6 < y.stop


def test_two_rectangles_are_one_box_around_both(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan())
    shapes = drawn(image, [(2, y, x) for y, x in CORNERS])
    shapes.add([np.array([image.data_to_world((7, y + 4, x + 2)) for y, x in CORNERS])])
    assert box_in_shapes(shapes, image, image.metadata["napari-ganseg"]) == (slice(2, 8), slice(2, 11), slice(3, 11))


def test_flat_rectangle_layer_takes_every_slice(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan())
    world = [image.data_to_world((0, y, x))[1:] for y, x in CORNERS]
    box = box_in_shapes(Shapes([np.array(world)]), image, image.metadata["napari-ganseg"])
    assert box == (slice(0, 10), slice(2, 7), slice(3, 9))


def test_rectangle_on_a_flipped_array(viewer: Any) -> None:
    image = viewer.add_image(np.random.default_rng(0).random((9, 10, 11)), scale=(2, 1, 1))
    placement = assumed((9, 10, 11), (2, 1, 1), "array", "SPL")
    box = box_in_shapes(drawn(image, [(4, y, x) for y, x in CORNERS]), image, placement)
    assert box[1:] == (slice(10 - 7, 10 - 2), slice(11 - 9, 11 - 3))


def test_nothing_drawn_and_drawn_elsewhere_are_said(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan())
    placement = image.metadata["napari-ganseg"]
    with pytest.raises(UsageError, match='Draw a rectangle in "box"'):
        box_in_shapes(Shapes(name="box"), image, placement)
    with pytest.raises(UsageError, match="The region lies outside the image"):
        box_in_shapes(drawn(image, [(5, y + 90, x) for y, x in CORNERS]), image, placement)


def test_whole_view_is_the_whole_plane_and_3d_is_everything(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan())
    image.corner_pixels = np.array([[0, 0, 0], [9, 11, 13]])
    placement = image.metadata["napari-ganseg"]
    assert box_in_view(viewer, image, placement)[1:] == (slice(0, 12), slice(0, 14))
    viewer.dims.ndisplay = 3
    image.corner_pixels = np.array([[0, 0, 0], [9, 11, 13]])
    assert box_in_view(viewer, image, placement) == (slice(0, 10), slice(0, 12), slice(0, 14))


def test_zoomed_view_is_a_box_around_the_slider(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan())
    viewer.dims.set_point(0, image.data_to_world((6, 0, 0))[0])
    image.corner_pixels = np.array([[0, 4, 5], [0, 6, 9]])
    box = box_in_view(viewer, image, image.metadata["napari-ganseg"])
    assert box == (slice(4, 9), slice(4, 7), slice(5, 10))  # 5 columns of 1.5 mm, 3 mm a slice


def test_flat_image_among_volumes(viewer: Any, make_scan: MakeScan) -> None:
    opened(viewer, make_scan())
    flat = viewer.add_image(np.random.default_rng(0).random((9, 10)))
    flat.corner_pixels = np.array([[1, 2], [5, 6]])
    placement = assumed((9, 10), (1, 1), "flat")
    assert box_in_view(viewer, flat, placement) == (slice(1, 6), slice(2, 7))


@pytest.mark.parametrize(("codes", "axis", "expected"), [("SAR", 0, 3), ("IAR", 0, 5), ("RSA", 1, 3), ("RIA", 1, 6)])
def test_current_slice_is_counted_from_below(viewer: Any, codes: str, axis: int, expected: int) -> None:
    image = viewer.add_image(np.random.default_rng(0).random((9, 10, 11)), scale=(2, 3, 4), translate=(7, 8, 9))
    placement = assumed((9, 10, 11), (2, 3, 4), "array", codes)
    viewer.dims.order = (axis, *[a for a in range(3) if a != axis])
    viewer.dims.set_point(axis, image.data_to_world((3, 3, 3))[axis])
    assert current_slice(viewer, image, placement) == expected


def test_current_slice_of_another_plane_is_refused(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan())
    viewer.dims.order = (1, 0, 2)
    with pytest.raises(UsageError, match="Show the axial plane in 2D first"):
        current_slice(viewer, image, image.metadata["napari-ganseg"])
    viewer.dims.order, viewer.dims.ndisplay = (0, 1, 2), 3
    with pytest.raises(UsageError, match="Show the axial plane in 2D first"):
        current_slice(viewer, image, image.metadata["napari-ganseg"])
