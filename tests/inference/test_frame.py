"""Axes: where the voxels of a model lie in a scan and the other way round."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from builders import noise

from napari_ganseg import grid
from napari_ganseg.inference.frame import axis_of, frame_of
from napari_ganseg.volume import identity_affine

AXES = pytest.mark.parametrize(
    ("size", "ratio"),
    [(1, 1.0), (20, 1.0), (20, 2.5), (33, 0.7), (9, 0.1), (50, 30.0), (5, 30.0), (1, 0.3), (17, 1.002)],
)
PADS = pytest.mark.parametrize("least", [0, 16, 97])


@AXES
def test_both_grids_share_their_centre(size: int, ratio: float) -> None:
    axis = axis_of(size, ratio)
    assert (axis.seen[0] + axis.seen[-1]) / 2 == pytest.approx((size - 1) / 2)
    assert (axis.back[0] + axis.back[-1]) / 2 == pytest.approx((axis.count - 1) / 2)


@AXES
@PADS
def test_there_and_back_is_where_one_was(size: int, ratio: float, least: int) -> None:
    axis = axis_of(size, ratio).padded(least)
    assert len(axis.seen) == max(least, axis.count)
    there = np.interp(axis.back, np.arange(len(axis.seen)), axis.seen)
    inner = (axis.back > axis.before + 1) & (axis.back < axis.before + axis.count - 2)
    inner[[0, -1]] = False  # the model's voxels beyond the scan lie on its edge
    assert np.allclose(there[inner], np.arange(size)[inner], atol=1e-6)
    assert (axis.back >= axis.before).all()
    assert (axis.back <= axis.before + axis.count - 1).all()


@AXES
@PADS
def test_the_models_voxels_lie_where_a_resampled_and_padded_volume_has_them(
    size: int, ratio: float, least: int
) -> None:
    scan = noise((size, 3))
    scaled, _ = grid.resample(scan, (ratio, 1.0))
    padded, _ = grid.pad(scaled, (least, 3), None)
    axis = frame_of(scan, (ratio, 1.0))[0].padded(least)
    assert padded.shape[0] == len(axis.seen)
    if axis.count > 1 and not axis.deviation:
        expected = grid.interpolate(scan.array, axis.seen, 0)
        assert np.allclose(padded.array, expected, atol=1e-3)


@AXES
@PADS
@pytest.mark.parametrize("cuts", [(), (1,), (3, 5, 11), (8,)])
def test_sections_cover_every_voxel_of_the_scan_once(
    size: int, ratio: float, least: int, cuts: tuple[int, ...]
) -> None:
    axis = axis_of(size, ratio).padded(least)
    edges = [0, *[c for c in cuts if c < len(axis.seen)], len(axis.seen)]
    voxels = [v for a, b in pairwise(edges) for v in range(size)[axis.covered(a, b)]]
    assert voxels == list(range(size))


@AXES
@PADS
def test_what_is_needed_holds_both_neighbours_and_the_reach_of_the_gaussian(
    size: int, ratio: float, least: int
) -> None:
    axis = axis_of(size, ratio).padded(least)
    for start in range(0, len(axis.seen), 5):
        stop = min(start + 7, len(axis.seen))
        needed, margin = axis.needed(start, stop), int(4 * axis.deviation + 0.5)
        assert needed.start <= max(0, np.floor(axis.seen[start]) - margin)
        assert needed.stop > min(size - 1, np.ceil(axis.seen[stop - 1]) + margin)
        assert 0 <= needed.start < needed.stop <= size


def test_without_resampling_no_plane_too_many_is_needed() -> None:
    assert axis_of(40, 1.0).needed(8, 24) == slice(8, 24)


def test_spacings_that_are_nearly_the_models_are_the_models() -> None:
    scan = noise((9, 9, 9), affine=identity_affine((1.0005, 0.9999, 1.0)))
    assert not any(axis.is_resampled for axis in frame_of(scan, (1.0, 1.0, 1.0)))
    assert any(axis.is_resampled for axis in frame_of(scan, (1.0, 1.1, 1.0)))


def test_padding_less_than_there_is_changes_nothing() -> None:
    axis = axis_of(20, 1.0)
    same = axis.padded(8)
    assert np.array_equal(same.seen, axis.seen)
    assert np.array_equal(same.back, axis.back)
