"""Where voxels are on screen: the matrix, and labels carried from one layer to another by it."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_ganseg.plugin.transform import covers, is_close, plain, resampled, to_world, transform_of

TURN = np.array([[1, 0, 0, 4], [0, 0.96, -0.28, 5], [0, 0.28, 0.96, 6], [0, 0, 0, 1]])


def make(shape: tuple[int, ...] = (5, 6, 7), **fields: object) -> Image:
    return Image(np.zeros(shape), **fields)


def test_matrix_is_the_layers_own_transform() -> None:
    layer = make(scale=(1, 2, 3), translate=(4, 5, 6), rotate=30, shear=(0, 0, 0.2), affine=TURN)
    for spot in np.random.default_rng(0).uniform(-3, 9, (5, 3)):
        np.testing.assert_allclose((to_world(layer) @ [*spot, 1])[:3], layer.data_to_world(spot))


def test_copied_transform_covers_and_a_small_move_does_not() -> None:
    layer = make(scale=(1, 2, 3), translate=(4, 5, 6), rotate=10, affine=TURN)
    copy = Labels(np.zeros((5, 6, 7), np.uint8), **transform_of(layer))
    assert covers(copy, layer)
    copy.translate = np.asarray(copy.translate) + 0.1
    assert not covers(copy, layer)
    assert not covers(Labels(np.zeros((5, 6, 8), np.uint8), **transform_of(layer)), layer)


def test_scale_that_drifts_by_a_voxel_over_a_large_volume_is_not_close() -> None:
    shape = (400, 400, 400)
    assert is_close(plain((1, 1, 1), (0, 0, 0)), plain((1.00001, 1, 1), (0, 0, 0)), shape)
    assert not is_close(plain((1, 1, 1), (0, 0, 0)), plain((1.001, 1, 1), (0, 0, 0)), shape)
    assert not is_close(plain((1, 1), (0, 0)), plain((1, 1, 1), (0, 0, 0)), shape)


@pytest.mark.parametrize("affine", [None, TURN])
def test_resampling_onto_itself_changes_nothing(affine: object) -> None:
    data = np.random.default_rng(0).integers(0, 300, (5, 6, 7)).astype(np.uint16)
    layer = Labels(data, scale=(1, 2, 3), translate=(4, 5, 6), affine=affine)
    same = resampled(layer, layer)
    np.testing.assert_array_equal(same, data)
    assert same.dtype == data.dtype


def test_shifted_labels_land_shifted_and_outside_is_empty() -> None:
    data = np.zeros((5, 6, 7), np.uint8)
    data[1:3, 2, 3], data[4, 5, 6] = 1, 2
    labels = Labels(data, scale=(2, 2, 2), translate=(2, 0, 0))
    seen = resampled(labels, make((4, 4, 4), scale=(2, 2, 2)))
    assert np.argwhere(seen).tolist() == [[2, 2, 3], [3, 2, 3]]
