"""Where a layer's voxels are on screen: as a matrix, compared, handed on to another layer, and sampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Layer
from scipy.ndimage import affine_transform

from napari_ganseg.volume import Affine, Array

NEAR = 0.01  # voxels that two layers on one grid may be apart


def to_world(layer: Layer) -> Affine:
    """The matrix from a layer's voxel index to its world coordinates, (ndim + 1) x (ndim + 1)."""
    matrix = np.eye(layer.ndim + 1)
    origin = np.array(layer.data_to_world((0,) * layer.ndim))
    for axis in range(layer.ndim):
        matrix[:-1, axis] = np.array(layer.data_to_world(np.eye(layer.ndim)[axis])) - origin
    matrix[:-1, -1] = origin
    return matrix


def plain(scale: Sequence[float], translate: Sequence[float]) -> Affine:
    """The matrix of a layer that has scale and translate alone."""
    matrix = np.diag([*scale, 1.0])
    matrix[:-1, -1] = translate
    return matrix


def is_close(first: Affine, second: Affine, shape: Sequence[int]) -> bool:
    """Whether two matrices put every voxel of a shape in the same place."""
    if first.shape != second.shape:
        return False
    apart = np.abs((first - second)[:-1] * [*shape, 1.0]).sum(axis=1).max()
    return bool(apart <= NEAR * np.linalg.norm(second[:-1, :-1], axis=0).min())


def covers(layer: Layer, other: Layer) -> bool:
    """Whether two layers of one shape lie on each other voxel by voxel."""
    shape = tuple(layer.data.shape)
    return shape == tuple(other.data.shape) and is_close(to_world(layer), to_world(other), shape)


def transform_of(layer: Layer) -> dict[str, Any]:
    """The fields that put another layer on top of this one."""
    names = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
    return {name: getattr(layer, name) for name in names}


def resampled(layer: Layer, other: Layer) -> Array:
    """A layer's array at the places of another layer's voxels, the nearest voxel each; 0 where it does not reach."""
    matrix = np.linalg.inv(to_world(layer)) @ to_world(other)
    array, shape = np.asarray(layer.data), tuple(other.data.shape)
    return np.asarray(affine_transform(array, matrix, output_shape=shape, order=0, mode="grid-constant"))
