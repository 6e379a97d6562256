"""Tiles: they cover everything, overlap as asked, and blend back to what was cut."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ganseg.inference.tiles import Blend, along, importance, tile_shape, tiles

SHAPES = [((33, 47, 9), (16, 16, 8)), ((16, 16), (16, 16)), ((100, 7), (32, 7)), ((17, 18, 19), (16, 16, 16))]


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize(("shape", "tile"), SHAPES)
def test_every_voxel_lies_in_a_tile_and_every_tile_in_the_array(
    shape: tuple[int, ...], tile: tuple[int, ...], overlap: float
) -> None:
    covered = np.zeros(shape, int)
    for box in tiles(shape, tile, overlap):
        assert covered[box].shape == tile
        covered[box] += 1
    assert covered.min() >= 1


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("size", [17, 40, 64, 100])
def test_neighbours_share_at_least_the_overlap(size: int, overlap: float) -> None:
    starts = along(size, 16, overlap)
    assert starts[0] == 0
    assert starts[-1] == size - 16
    assert max(np.diff(starts)) <= 16 * (1 - overlap)


@pytest.mark.parametrize("overlap", [0.0, 0.5])
@pytest.mark.parametrize(("shape", "tile"), SHAPES)
def test_blending_what_was_cut_gives_it_back(shape: tuple[int, ...], tile: tuple[int, ...], overlap: float) -> None:
    scores = np.random.default_rng(0).random((3, *shape), dtype=np.float32)
    blend = Blend(shape, tile, 3)
    for box in tiles(shape, tile, overlap):
        blend.add(box, scores[(slice(None), *box)])
    assert np.allclose(blend.mean(), scores, atol=1e-5)


def test_where_no_tile_lies_the_blend_is_zero() -> None:
    blend = Blend((8, 4), (4, 4), 1)
    blend.add((slice(0, 4), slice(0, 4)), np.ones((1, 4, 4), np.float32))
    mean = blend.mean()
    assert np.allclose(mean[:, :4], 1)
    assert not mean[:, 4:].any()


def test_the_middle_of_a_tile_weighs_most_and_nothing_weighs_zero() -> None:
    weight = importance((9, 9, 9))
    assert weight.argmax() == weight.size // 2
    assert weight.min() > 0
    assert np.allclose(weight, weight[::-1, ::-1, ::-1])


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
