"""Solids as signed depth in millimetres, smooth random bending, and painting with partial volume.

A depth is positive inside a solid and zero on its surface, so a minimum intersects solids, a maximum joins them,
and adding a constant thickens them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter

Array = NDArray[np.floating[Any]]
Space = Sequence[Array]  # the three coordinates of every voxel, mm
Point = tuple[float, float, float]
Knots = Sequence[Sequence[float]] | NDArray[np.float64]


class Sample(NamedTuple):
    """A scan and its truth; both arrays are (x, y, z) as stored, the affine maps voxels to RAS+ mm."""

    image: NDArray[np.int16]
    labels: NDArray[np.uint8]
    affine: NDArray[np.float64]


def ellipsoid(space: Space, centre: Point, radii: Point) -> Array:
    """Depth in an ellipsoid; to first order the true distance (k0 * (k0 - 1) / k1 of Quilez)."""
    inverse = 1 / np.asarray(radii, np.float32)
    scaled = [(s - np.float32(c)) * k for s, c, k in zip(space, centre, inverse, strict=True)]
    level = np.sqrt(np.sum([s**2 for s in scaled], axis=0))
    slope = np.sqrt(np.sum([(s * k) ** 2 for s, k in zip(scaled, inverse, strict=True)], axis=0))
    return np.where(level > 1e-3, (1 - level) * level / np.maximum(slope, 1e-6), min(radii)).astype(np.float32)


def tube(space: Space, path: Sequence[Point], radius: float, squeeze: Point = (1, 1, 1)) -> Array:
    """Depth in a round tube along a polyline; an axis squeezed below 1 makes it flat and taller that way."""
    scale = np.asarray(squeeze, np.float32)
    scaled = [s * k for s, k in zip(space, scale, strict=True)]
    nodes = np.asarray(path, np.float32) * scale
    nearest = np.full(space[0].shape, np.inf, np.float32)
    for start, step in zip(nodes[:-1], np.diff(nodes, axis=0), strict=True):
        offset = [s - a for s, a in zip(scaled, start, strict=True)]
        along = np.clip(np.sum([o * d for o, d in zip(offset, step, strict=True)], axis=0) / (step @ step), 0, 1)
        gap = np.sum([(o - along * d) ** 2 for o, d in zip(offset, step, strict=True)], axis=0)
        nearest = np.minimum(nearest, gap)
    depth: Array = radius - np.sqrt(nearest)
    return depth


def loft(space: Space, knots: Knots, taper: float | Array = 0.0) -> Array:
    """Depth in a stack of ellipses along the third axis; a knot is (position, cu, cv, ru, rv).

    `taper` narrows the first axis towards the positive end of the second, as a face narrows forwards.
    """
    u, v, along = space
    cu, cv, ru, rv = (follow(along, [(k[0], k[i]) for k in knots]) for i in range(1, 5))
    ahead = (v - cv) / rv
    across = (u - cu) / (ru * (1 - taper * np.clip(ahead, -1, 1)))
    level = np.sqrt(across**2 + ahead**2)
    slope = np.sqrt((across / ru) ** 2 + (ahead / rv) ** 2)
    side = np.where(level > 1e-3, (1 - level) * level / np.maximum(slope, 1e-6), np.minimum(ru, rv))
    ends = np.minimum(along - knots[0][0], knots[-1][0] - along)
    depth: Array = np.minimum(side, ends).astype(np.float32)
    return depth


def follow(along: Array, points: Sequence[tuple[float, float]]) -> Array:
    """A smooth curve through (position, value) points, constant beyond them."""
    position, value = np.asarray(points, np.float64).T
    table = np.arange(position[0], position[-1] + 0.5, 0.5)
    curve: Array = np.interp(along, table, PchipInterpolator(position, value)(table)).astype(np.float32)
    return curve


def paint(image: Array, depth: Array, value: float | Array, edge_mm: float) -> None:
    """Blend `value` in where depth is positive; a voxel of `edge_mm` astride the surface gets its share."""
    image += np.clip(depth / edge_mm + 0.5, 0, 1) * (value - image)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], reach: float | Point) -> Array:
    """Gaussian noise of zero mean and unit variance whose neighbours agree over about `reach` voxels."""
    noise = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), reach, mode="wrap")
    unit: Array = (noise - noise.mean()) / noise.std()
    return unit


def millimetres(affine: NDArray[np.float64], shape: tuple[int, ...]) -> list[Array]:
    """The x, y and z of every voxel of an axis-aligned grid."""
    axes = [affine[i, i] * np.arange(n) + affine[i, 3] for i, n in enumerate(shape)]
    return [axis.astype(np.float32) for axis in np.meshgrid(*axes, indexing="ij")]


def bend(rng: np.random.Generator, space: Space, bend_mm: float, reach: float) -> list[Array]:
    """Another patient: coordinates shifted, scaled by about 2 % and smoothly bent (reach in voxels)."""
    return [
        s * np.float32(rng.normal(1, 0.02)) + bend_mm * (smooth_noise(rng, s.shape, reach) + np.float32(rng.normal()))
        for s in space
    ]
