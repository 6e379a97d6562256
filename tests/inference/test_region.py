"""Regions: ranges as Python counts them, or a word on what is wrong with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders import noise

from napari_ganseg.errors import GeometryError, UsageError
from napari_ganseg.inference.region import region_of

SCAN = noise((20, 30, 40))


def test_no_region_is_all_of_the_scan() -> None:
    region = region_of(SCAN, None, None)
    assert region.is_all
    assert region.cut(SCAN) is SCAN
    assert region.wanted == slice(0, 20)


@pytest.mark.parametrize(
    "box", [(slice(2, 9), slice(-10, None), slice(None, 99)), (slice(19, 20), slice(0, 1), slice(39, None))]
)
def test_a_region_is_cut_as_python_cuts(box: tuple[slice, ...]) -> None:
    region = region_of(SCAN, box, None)
    part = region.cut(SCAN)
    assert np.array_equal(part.array, SCAN.array[box])
    assert np.allclose(part.to_mm((0, 0, 0)), SCAN.to_mm([s.start for s in region.box]))
    assert region.wanted == slice(0, part.shape[0])
    assert not region.is_all


def test_ranges_that_happen_to_be_everything_are_everything() -> None:
    assert region_of(SCAN, [slice(0, 20), slice(None), slice(-40, 40)], None).is_all


@pytest.mark.parametrize("index", [5, 11, np.int64(7)])
def test_a_slice_counts_from_the_scans_first_plane(index: int) -> None:
    region = region_of(SCAN, [slice(5, 12), slice(None), slice(None)], index)
    assert region.wanted == slice(index - 5, index - 4)


@pytest.mark.parametrize("index", [-1, 4, 12])
def test_a_slice_outside_is_refused(index: int) -> None:
    with pytest.raises(UsageError, match=rf"Slice {index} lies outside the image or region \(5 to 11\)"):
        region_of(SCAN, [slice(5, 12), slice(None), slice(None)], index)


def test_a_slice_of_a_picture_is_refused() -> None:
    with pytest.raises(UsageError, match="leave the slice index out"):
        region_of(noise((20, 20)), None, 0)


@pytest.mark.parametrize("box", [[slice(0, 9)], [slice(0, 9)] * 4])
def test_another_number_of_ranges_is_refused(box: Any) -> None:
    with pytest.raises(UsageError, match=f"has {len(box)} ranges; this image has 3 axes, 20 x 30 x 40 voxels"):
        region_of(SCAN, box, None)


@pytest.mark.parametrize("bad", [slice(20, 25), slice(5, 5), slice(9, 3)])
def test_a_region_without_voxels_is_refused(bad: slice) -> None:
    with pytest.raises(GeometryError, match="The region lies outside the image"):
        region_of(SCAN, [bad, slice(None), slice(None)], None)


def test_results_go_to_the_box() -> None:
    labels = np.zeros(SCAN.shape, np.uint8)
    target = region_of(SCAN, [slice(5, 12), slice(3, 9), slice(None)], 6).target(labels, None)
    assert target.labels is labels
    assert target.box == (slice(5, 12), slice(3, 9), slice(0, 40))
    assert target.wanted == slice(1, 2)
