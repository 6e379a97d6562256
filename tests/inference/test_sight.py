"""Sight: every tile is what one would cut from the scan resampled, normalised and padded as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders import HU, Z_SCORE, noise

from napari_ganseg import grid
from napari_ganseg.inference import sight as module
from napari_ganseg.inference.frame import frame_of
from napari_ganseg.inference.sight import Sight
from napari_ganseg.inference.tiles import cover
from napari_ganseg.models.card import Preprocessing
from napari_ganseg.volume import Volume, identity_affine

SPACINGS = [(1.0, 1.0, 1.0), (1.7, 0.6, 1.0), (6.0, 5.0, 0.25), (0.5, 0.4, 0.3), (30.0, 1.0, 30.0)]
UNIT = Preprocessing("unit_range", {})


def whole(scan: Volume, spacing: tuple[float, ...], least: tuple[int, ...], kind: Preprocessing) -> np.ndarray:
    """(channels, ...) the slow way."""
    prepared = kind.intensity().apply(grid.resample(scan, spacing)[0])
    array = grid.pad(prepared, least, None)[0].array
    return array if scan.has_channels else array[np.newaxis]


def seen(scan: Volume, spacing: tuple[float, ...], least: tuple[int, ...], kind: Preprocessing) -> Sight:
    axes = [axis.padded(n) for axis, n in zip(frame_of(scan, spacing), least, strict=True)]
    return Sight(scan, axes, kind.intensity())


def assert_tiles_match(sight: Sight, expected: np.ndarray, tile: tuple[int, ...], overlap: float = 0.5) -> None:
    assert sight.shape == expected.shape[1:]
    tiling = cover(sight.shape, [min(t, n) for t, n in zip(tile, sight.shape, strict=True)], overlap)
    for place in tiling.places():
        box = tiling.box(place)
        found = sight.tile(box)
        assert found.dtype == np.float32
        assert np.allclose(found, expected[(slice(None), *box)], atol=1e-5)


@pytest.mark.parametrize("kind", [HU, Z_SCORE, UNIT])
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("shape", [(33, 20, 17), (9, 8, 31)])
def test_tiles_are_those_of_the_whole(shape: tuple[int, ...], spacing: tuple[float, ...], kind: Preprocessing) -> None:
    scan, least = noise(shape, affine=identity_affine((1.1, 1.0, 0.9))), (16, 8, 8)
    assert_tiles_match(seen(scan, spacing, least, kind), whole(scan, spacing, least, kind), (16, 8, 8))


@pytest.mark.parametrize("kind", [HU, Z_SCORE])
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.3, 4.0), (25.0, 25.0)])
def test_slices_and_channels_too(spacing: tuple[float, ...], kind: Preprocessing) -> None:
    scan = noise((3, 41, 22), has_channels=True)
    scan = scan.derive(array=scan.array * np.array([1, 5, 0.2], np.float32).reshape(3, 1, 1))
    assert_tiles_match(seen(scan, spacing, (8, 8), kind), whole(scan, spacing, (8, 8), kind), (8, 8))


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("voxels", [1, 700, 3000])
def test_reading_piece_by_piece_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, spacing: tuple[float, ...], voxels: int
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", voxels)
    scan = noise((33, 20, 17))
    assert_tiles_match(seen(scan, spacing, (8, 8, 8), HU), whole(scan, spacing, (8, 8, 8), HU), (8, 8, 8))


@pytest.mark.parametrize("start", [0, 5, 24])
def test_a_sweep_may_begin_anywhere_and_begin_again(start: int) -> None:
    scan = noise((40, 9, 9))
    sight, expected = seen(scan, (1.0, 1.0, 1.0), (8, 8, 8), HU), whole(scan, (1.0, 1.0, 1.0), (8, 8, 8), HU)
    for first in (start, start + 4, 32, 0, 3):
        assert np.allclose(sight.tile((slice(first, first + 8), slice(0, 8), slice(1, 9))),
                           expected[:, first : first + 8, 0:8, 1:9], atol=1e-5)  # fmt: skip


class Counted:
    """An array that counts the voxels that are read from it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.ndim, self.dtype = array, array.shape, array.ndim, array.dtype
        self.voxels, self.most = 0, 0

    def __getitem__(self, index: Any) -> np.ndarray:
        part: np.ndarray = self.array[index]
        self.voxels, self.most = self.voxels + part.size, max(self.most, part.size)
        return part


def test_a_scan_is_read_once_and_never_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2048)
    counted: Any = Counted(noise((64, 16, 16)).array)
    sight = seen(Volume(array=counted), (1.0, 1.0, 1.0), (16, 16, 16), HU)
    for start in range(0, 49, 8):
        sight.tile((slice(start, start + 16), slice(0, 16), slice(0, 16)))
    assert counted.voxels == 64 * 16 * 16
    assert counted.most <= 2048


def test_a_large_mris_usual_values_are_found_in_some_of_its_planes(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = noise((64, 16, 16))
    exact = seen(scan, (1.0, 1.0, 1.0), (8, 8, 8), Z_SCORE).scaling
    monkeypatch.setattr(module, "AT_ONCE", 2048)
    counted: Any = Counted(scan.array)
    about = seen(Volume(array=counted), (1.0, 1.0, 1.0), (8, 8, 8), Z_SCORE).scaling
    assert counted.voxels <= 2 * 2048
    assert np.allclose(about.std, exact.std, rtol=0.1)
    assert np.allclose(about.mean, exact.mean, atol=0.1 * exact.std[0])


def test_padding_and_the_planes_around_a_slice_do_not_move_the_usual_values() -> None:
    scan = noise((9, 9, 9))
    small, large = (seen(scan, (1.0, 1.0, 1.0), (n, n, n), Z_SCORE).scaling for n in (8, 40))
    assert small == large


def test_the_scan_stays_as_it_was() -> None:
    scan = noise((20, 9, 9))
    before = scan.array.copy()
    for spacing in ((1.0, 1.0, 1.0), (2.0, 0.5, 1.0)):
        seen(scan, spacing, (8, 8, 8), Z_SCORE).tile((slice(0, 8),) * 3)
    assert np.array_equal(scan.array, before)
