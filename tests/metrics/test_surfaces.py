"""Distances between surfaces: hand-computed, and lawful on every grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from napari_ganseg.metrics import surfaces
from napari_ganseg.metrics.ruler import Ruler
from napari_ganseg.metrics.surfaces import compare_surfaces, directed_mm, surface_of
from napari_ganseg.volume import Affine, LabelMap, identity_affine

TURNED = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]


def cube(shape: tuple[int, ...], low: tuple[int, ...], size: int) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(start, start + size) for start in low)] = True
    return mask


def ruler(shape: tuple[int, ...], affine: Affine | None = None, tolerance_mm: float = 1.0) -> Ruler:
    grid = LabelMap(array=np.zeros(shape, np.uint8), affine=identity_affine() if affine is None else affine)
    return Ruler.of(grid, tolerance_mm)


def sheared() -> Affine:
    affine = identity_affine((3.0, 1.0, 2.0))
    affine[1, 0] = 1.2
    return affine


def oblique() -> Affine:
    affine = identity_affine((3.0, 1.0, 2.0))
    affine[:3, :3] = TURNED @ affine[:3, :3]
    return affine


def noise(seed: int, shape: tuple[int, ...] = (7, 8, 9)) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < 0.2


# --- surfaces ---------------------------------------------------------------------------------------------------------


def test_the_surface_of_a_cube_is_its_outer_layer() -> None:
    surface = surface_of(cube((7, 7, 7), (1, 1, 1), 5), ruler((7, 7, 7)))
    assert surface.sum() == 5**3 - 3**3
    assert not surface[3, 3, 3]


def test_faces_are_neighbours_and_corners_are_not() -> None:
    mask = np.ones((3, 3, 3), bool)
    mask[0, 0, 0] = False
    assert not surface_of(np.pad(mask, 1, constant_values=True), ruler((5, 5, 5)))[2, 2, 2]


def test_the_edge_of_the_image_is_a_surface() -> None:
    assert surface_of(np.ones((5, 5, 5), bool), ruler((5, 5, 5))).sum() == 5**3 - 3**3


def test_a_slice_has_the_surface_of_the_one_slice_volume() -> None:
    mask = cube((7, 8), (1, 2), 4)
    flat = surface_of(mask, ruler((7, 8)))
    assert np.array_equal(surface_of(mask[None], ruler((1, 7, 8))), flat[None])
    assert flat.sum() == 4**2 - 2**2


def test_a_single_voxel_image_is_all_surface() -> None:
    assert surface_of(np.ones((1, 1, 1), bool), ruler((1, 1, 1))).all()


# --- distances --------------------------------------------------------------------------------------------------------


def test_a_cube_moved_by_two_voxels_by_hand() -> None:
    shape = (5, 5, 9)
    one, other = cube(shape, (1, 1, 1), 3), cube(shape, (1, 1, 3), 3)
    found = compare_surfaces(one, other, ruler(shape, identity_affine((1.0, 1.0, 0.5))))
    assert found.hd_mm == pytest.approx(1.0)
    # of 26 voxels, 9 lie 2 voxels off and the ring of 8 beside them 1 voxel; the last 9 lie on the other surface
    assert found.assd_mm == pytest.approx((9 * 1.0 + 8 * 0.5) / 26)
    assert found.nsd == 1


def test_single_voxels_are_as_far_apart_as_the_affine_says() -> None:
    one, other = cube((6, 6, 6), (1, 1, 1), 1), cube((6, 6, 6), (3, 4, 2), 1)
    for affine in (identity_affine((3.0, 1.0, 2.0)), oblique(), sheared()):
        true_mm = np.linalg.norm(affine[:3, :3] @ (2, 3, 1))
        found = compare_surfaces(one, other, ruler((6, 6, 6), affine))
        assert (found.hd95_mm, found.hd_mm, found.assd_mm) == pytest.approx((true_mm,) * 3)


@pytest.mark.parametrize("tolerance", [0.7, 2.1])
def test_a_distance_of_the_tolerance_itself_is_within_it(tolerance: float) -> None:
    affine = identity_affine((0.7, 0.7, 0.7))
    affine[:3, :3] = TURNED @ affine[:3, :3]
    one, other = cube((1, 1, 9), (0, 0, 1), 1), cube((1, 1, 9), (0, 0, 1 + round(tolerance / 0.7)), 1)
    assert compare_surfaces(one, other, ruler((1, 1, 9), affine, tolerance)).nsd == 1
    assert compare_surfaces(one, other, ruler((1, 1, 9), affine, tolerance - 0.01)).nsd == 0


def test_hd95_is_the_larger_of_the_two_directions() -> None:
    one, other = np.zeros((1, 300), bool), np.zeros((1, 300), bool)
    one[0, [0, 60, 100]] = other[0, 0] = True  # 0, 60 and 100 mm there, 0 mm back
    found = compare_surfaces(one, other, ruler((1, 300)))
    assert found.hd95_mm == pytest.approx(60 + 0.9 * 40)
    assert found.hd95_mm == compare_surfaces(other, one, ruler((1, 300))).hd95_mm
    assert found.hd_mm == pytest.approx(100)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_spacing_scales_millimetres(factor: float) -> None:
    one, other = noise(0), noise(1)
    small = compare_surfaces(one, other, ruler(one.shape, identity_affine((2.0, 1.0, 1.5)), 1.0))
    large = compare_surfaces(
        one, other, ruler(one.shape, identity_affine((2.0 * factor, factor, 1.5 * factor)), factor)
    )
    assert large.nsd == small.nsd
    assert (large.hd95_mm, large.assd_mm) == pytest.approx((small.hd95_mm * factor, small.assd_mm * factor))


def test_how_the_scan_lay_in_the_scanner_changes_nothing() -> None:
    one, other = noise(0), noise(1)
    straight = compare_surfaces(one, other, ruler(one.shape, identity_affine((3.0, 1.0, 2.0))))
    turned = compare_surfaces(one, other, ruler(one.shape, oblique()))
    assert (turned.hd95_mm, turned.assd_mm, turned.nsd) == pytest.approx(
        (straight.hd95_mm, straight.assd_mm, straight.nsd)
    )


@pytest.mark.parametrize("make", [oblique, sheared])
@pytest.mark.parametrize("voxels_per_point", [0, 16, 10**9], ids=["transform", "as it comes", "tree"])
@pytest.mark.parametrize("reach", [0.1, 8])
def test_every_way_to_the_nearest_voxel_is_exact(
    make: object, voxels_per_point: int, reach: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surfaces, "VOXELS_PER_POINT", voxels_per_point)
    monkeypatch.setattr(surfaces, "REACH", reach)
    one, other, affine = noise(0), noise(1), make()
    places = [np.argwhere(mask) @ affine[:3, :3].T for mask in (one, other)]
    found = directed_mm(one, other, ruler(one.shape, affine))
    assert sorted(found) == pytest.approx(sorted(cdist(*places).min(axis=1)))


# --- the ruler --------------------------------------------------------------------------------------------------------


def test_a_ruler_knows_right_angles() -> None:
    assert ruler((5, 5, 5), oblique()).is_straight
    assert ruler((5, 5, 5), oblique().astype(np.float32).astype(float)).is_straight
    assert not ruler((5, 5, 5), sheared()).is_straight


def test_the_diagonal_reaches_from_corner_to_corner() -> None:
    assert ruler((240, 240, 155)).diagonal_mm == pytest.approx(np.sqrt(240**2 + 240**2 + 155**2))
    assert ruler((30, 40), identity_affine((9.0, 2.0, 2.0))).diagonal_mm == pytest.approx(100)
    assert ruler((10, 1, 1), sheared()).diagonal_mm == pytest.approx(np.linalg.norm(sheared()[:3, :3] @ (10, 1, 1)))
