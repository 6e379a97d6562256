"""Tiles: they cover everything, overlap as asked, and come in an order that leaves what is behind alone."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ganseg.inference.tiles import along, cover, importance, tile_shape

SHAPES = [((33, 47, 9), (16, 16, 8)), ((16, 16), (16, 16)), ((100, 7), (32, 7)), ((17, 18, 19), (16, 16, 16))]
OVERLAPS = [0.0, 0.25, 0.5, 0.9]


@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize(("shape", "tile"), SHAPES)
def test_every_voxel_lies_in_a_tile_and_every_tile_in_the_array(
    shape: tuple[int, ...], tile: tuple[int, ...], overlap: float
) -> None:
    tiling, covered = cover(shape, tile, overlap), np.zeros(shape, int)
    for place in tiling.places():
        assert covered[tiling.box(place)].shape == tile
        covered[tiling.box(place)] += 1
    assert covered.min() >= 1


@pytest.mark.parametrize(("shape", "tile"), SHAPES)
def test_there_are_as_many_tiles_as_it_says(shape: tuple[int, ...], tile: tuple[int, ...]) -> None:
    tiling = cover(shape, tile, 0.5)
    boxes = [str(tiling.box(place)) for place in tiling.places()]
    assert len(tiling) == len(boxes) == len(set(boxes))


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("size", [17, 40, 64, 100])
def test_neighbours_share_at_least_the_overlap(size: int, overlap: float) -> None:
    starts = along(size, 16, overlap)
    assert starts[0] == 0
    assert starts[-1] == size - 16
    assert max(np.diff(starts)) <= 16 * (1 - overlap)


def test_the_last_axis_goes_fastest() -> None:
    tiling = cover((40, 40, 40), (16, 16, 16), 0.5)
    places = list(tiling.places())
    assert places == sorted(places)


@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize(("first", "last"), [(0, 0), (3, 20), (15, 16), (99, 99), (0, 99)])
def test_within_keeps_just_the_tiles_that_hold_the_planes(overlap: float, first: int, last: int) -> None:
    tiling = cover((100, 20), (16, 16), overlap)
    wanted = set(range(first, last + 1))
    kept = [s for s in tiling.starts[0] if wanted & set(range(s, s + 16))]
    inner = tiling.within(first, last)
    assert list(inner.starts[0]) == kept
    assert inner.starts[1] == tiling.starts[1]


@pytest.mark.parametrize("tile", [(9, 9, 9), (8, 12), (1, 1), (2, 64, 3)])
def test_the_middle_of_a_tile_weighs_most_and_nothing_weighs_zero(tile: tuple[int, ...]) -> None:
    weight = importance(tile)
    assert weight.shape == tile
    assert weight[tuple(n // 2 for n in tile)] == weight.max()
    assert weight.min() > 0
    assert np.allclose(weight, np.flip(weight))


@pytest.mark.parametrize(
    ("shape", "patch", "divisor", "tile"),
    [
        ((64, 64), (32, 32), (4, 4), (32, 32)),  # larger than the patch: the patch
        ((38, 64), (32, 32), (4, 4), (40, 32)),  # little more than the patch: the whole axis, divisible
        ((5, 64), (32, 32), (4, 4), (8, 32)),  # less than the patch: no larger than it must be
        ((1, 64), (32, 32), (4, 4), (8, 32)),  # two voxels are left at the bottom of the network
        ((1, 64, 64), (1, 32, 32), (1, 4, 4), (1, 32, 32)),
    ],
)
def test_tiles_are_divisible_and_no_larger_than_needed(
    shape: tuple[int, ...], patch: tuple[int, ...], divisor: tuple[int, ...], tile: tuple[int, ...]
) -> None:
    assert tile_shape(shape, patch, divisor) == tile
