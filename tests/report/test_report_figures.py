"""What is far out, what a plane shows, and how a strip is drawn."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from napari_ganseg.errors import GeometryError
from napari_ganseg.report.chart import figure, strip
from napari_ganseg.report.distribution import distribution, limits
from napari_ganseg.report.pictures import drawn, extent_mm
from napari_ganseg.report.planes import planes, window
from napari_ganseg.volume import LabelMap, Volume, identity_affine


def test_a_volume_far_from_the_others_is_found() -> None:
    spread = distribution("a", "#ffffff", [(str(v), v) for v in (9.0, 10.0, 11.0, 10.5, 9.5, 30.0)])
    assert spread.outliers == ("30.0",)
    assert spread.side_of(30.0) == "high"
    assert spread.side_of(1.0) == "low"


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0, 99.0], [1.0] * 9 + [2.0]])
def test_few_or_equal_volumes_are_not_judged(values: list[float]) -> None:
    assert limits(values) is None


def test_the_limits_are_those_of_the_scaled_deviation() -> None:
    assert limits([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx((3 - 3 * 1.4826, 3 + 3 * 1.4826))


@pytest.mark.parametrize("volumes", [[2.0], [0.0] * 7, [float(v) for v in range(300)], [1e-6, 2e-6, 9.0]])
def test_every_strip_is_a_drawing_with_a_dot_per_case(volumes: list[float]) -> None:
    svg = ElementTree.fromstring(strip(distribution("<a>", "#ffffff", [("<b>", v) for v in volumes])))
    dots = svg.findall("circle")
    assert len(dots) == len(volumes)
    assert all(0 <= float(d.attrib["cx"]) <= 560 for d in dots)


def test_figures_keep_their_zeros() -> None:
    assert [figure(v) for v in (1.6, 24.0, 123.4)] == ["1.60", "24.0", "123"]


def pair(shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> tuple[Volume, LabelMap]:
    """A scan whose far right, front and top corner is bright, and labels there."""
    image = np.zeros(shape, np.float32)
    image[tuple(slice(-3, None) for _ in shape)] = 100
    affine = identity_affine((1.0, *spacing_mm)[-3:])
    return Volume(array=image, affine=affine), LabelMap(array=(image > 0).astype(np.uint8), affine=affine)


def test_the_patients_right_and_front_are_at_the_left_and_the_top_is_up() -> None:
    for plane in planes(*pair((20, 22, 24), (1.0, 1.0, 1.0))):
        assert plane.image_yx[0, 0] == 100
        assert plane.labels_yx[0, 0] == 1
        assert plane.image_yx[-1, -1] == 0
        assert plane.left + plane.right == ("AP" if plane.title == "sagittal" else "RL")


def test_planes_keep_the_shape_in_millimetres() -> None:
    axial, coronal, _ = planes(*pair((10, 40, 20), (5.0, 1.0, 2.0)))
    assert extent_mm(axial) == (40.0, 40.0)
    assert extent_mm(coronal) == (50.0, 40.0)


def test_of_a_large_scan_only_the_surroundings_of_the_labels_are_shown() -> None:
    axial, *_ = planes(*pair((10, 300, 300), (1.0, 1.0, 1.0)))
    assert extent_mm(axial) == (100.0, 100.0)
    assert axial.rows == (0.0, 100.0)


def test_a_slice_and_an_empty_map_are_drawn_too() -> None:
    volume, labels = pair((30, 30), (1.0, 1.0))
    assert [p.title for p in drawn(volume, labels)] == ["axial"]
    volume, labels = pair((12, 13, 14), (1.0, 1.0, 1.0))
    assert len(drawn(volume, labels.derive(array=np.zeros_like(labels.array)))) == 3


def test_labels_of_another_grid_are_not_drawn() -> None:
    with pytest.raises(GeometryError, match="differ in grid"):
        planes(pair((12, 13, 14), (1.0, 1.0, 1.0))[0], pair((12, 13, 14), (1.0, 1.0, 2.0))[1])


def test_a_ct_gets_its_soft_tissue_window_and_others_their_own() -> None:
    assert window(np.array([[-1000.0, 40.0, 900.0]])) == (-160.0, 240.0)
    assert window(np.zeros((3, 3))) == (0.0, 1.0)
    low, high = window(np.arange(1000.0).reshape(10, 100))
    assert 0 < low < 20
    assert 980 < high < 999
