"""A T1-like MRI crop around a left hippocampus, with its true labels.

Drawn on a grid FINE times finer than the scan, then averaged, so that sheets thinner than a voxel (the temporal
horn, the alveus) blur as they do in a scanner. Values are relative to white matter until the end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from phantom_shapes import (
    Array,
    Knots,
    Sample,
    Space,
    bend,
    ellipsoid,
    follow,
    loft,
    millimetres,
    paint,
    smooth_noise,
    tube,
)
from scipy.ndimage import gaussian_filter

SHAPE, FINE = (36, 52, 36), 2
EDGE_MM = 1 / FINE
FLUID, GREY, WHITE = 0.12, 0.46, 0.95
# y, centre x, centre z, half-width, half-height: tail (behind, above) to head (in front, below, towards the midline)
HIPPOCAMPUS = [
    (4.5, 19.0, 25.5, 1.5, 1.2), (6.5, 18.0, 24.4, 5.0, 4.0), (9, 16.8, 22.6, 6.2, 4.6), (12, 14.4, 20.2, 6.4, 4.1),
    (16, 12.9, 17.9, 6.5, 3.7), (20, 12.2, 16.3, 6.5, 3.6), (24, 12.1, 15.0, 6.6, 3.8), (28, 13.0, 13.7, 7.3, 4.2),
    (32, 14.6, 12.6, 8.6, 4.8), (36, 16.1, 11.4, 9.0, 5.0), (40, 18.2, 9.9, 8.0, 4.6), (43, 20.0, 8.9, 5.4, 3.3),
    (44.5, 20.6, 8.4, 1.5, 1.2),
]  # fmt: skip
LEAN = [(4, 0.35), (14, 0.1), (24, 0.12), (34, 0.25), (44, 0.5)]  # rise of the inner edge, mm per mm
HEAD_BEGINS_Y = 27.3


def make_mri(seed: int) -> Sample:
    """Image of 36 x 52 x 36 mm with RAS axes; labels 1 anterior and 2 posterior hippocampus."""
    rng = np.random.default_rng(seed)
    fine = np.diag([EDGE_MM, EDGE_MM, EDGE_MM, 1.0])
    fine[:3, 3] = (EDGE_MM - 1) / 2
    grid = millimetres(fine, (SHAPE[0] * FINE, SHAPE[1] * FINE, SHAPE[2] * FINE))
    x, y, z = space = bend(rng, grid, bend_mm=1.0, reach=5 * FINE)
    knots = np.asarray(HIPPOCAMPUS) * [1, 1, 1, *rng.normal(1, 0.05, 2)]
    hippocampus = loft((x, z - follow(y, LEAN) * (x - spine(y, knots, 1)), y), knots)

    image = WHITE + 0.04 * smooth_noise(rng, x.shape, 10) + 0.03 * smooth_noise(rng, x.shape, 4)
    image -= 0.09 * np.clip(smooth_noise(rng, x.shape, (2, 7, 7)), 0, 2)
    draw_deep_grey(image, space)
    draw_gyri(image, rng, space, knots)
    draw_midline(image, rng, space)
    draw_hippocampus(image, z - spine(y, knots, 2), hippocampus, rng.uniform(0.7, 1.4))

    truth = np.where(hippocampus > 0, np.where(y > HEAD_BEGINS_Y, 1, 2), 0)
    labels = np.stack([block_mean(truth == k) for k in range(3)]).argmax(0).astype(np.uint8)
    return Sample(scanned(rng, image), labels, np.eye(4))


def spine(y: Array, knots: Knots, column: int) -> Array:
    """One column of the hippocampus table at every y: 1 centre x, 2 centre z."""
    return follow(y, [(k[0], k[column]) for k in knots])


def draw_deep_grey(image: Array, space: Space) -> None:
    """Thalamus, lentiform nucleus, insula with its fissure, amygdala."""
    paint(image, ellipsoid(space, (27, 20, 38), (15, 18, 15)), 0.78, 4)
    paint(image, ellipsoid(space, (11, 47, 38), (15, 13, 10)), 0.64, 3)
    paint(image, ellipsoid(space, (1, 34, 34), (5, 16, 6)), GREY, 1)
    paint(image, ellipsoid(space, (0, 34, 34), (2.5, 12, 3)), FLUID + 0.1, 1)
    paint(image, ellipsoid(space, (20, 46, 17), (11, 12, 9.5)), GREY + 0.06, 2)


def draw_gyri(image: Array, rng: np.random.Generator, space: Space, knots: Knots) -> None:
    """Two folded gyri under the hippocampus, the subiculum that joins it to the upper one, the cistern beside."""
    x, y, z = space
    below = follow(y, [(k[0], k[2] - k[4]) for k in knots]) - z + smooth_noise(rng, x.shape, 10)
    below += np.float32(rng.normal(0.1, 0.08)) * (x - 15) - 0.04 * np.clip(13 - x, 0, 13) ** 2
    medial = follow(y, [(4, 30), (12, 27), (20, 24), (28, 25), (36, 30), (44, 31)]) + smooth_noise(rng, x.shape, 10) - x
    root = 3 + 2 * smooth_noise(rng, x.shape, 8)
    for depth, thickness, width in ((7.2, 4.6, 0.6), (17, 3.4, 0.5)):
        paint(image, np.minimum(thickness - np.abs(below - depth), x - root), GREY - 0.02, EDGE_MM)
        paint(image, np.minimum(width - np.abs(below - depth), x - root - 3), FLUID + 0.05, EDGE_MM)
    paint(image, np.minimum(np.minimum(below + 5, 3 - medial), 20 - below), GREY - 0.02, EDGE_MM)
    paint(image, np.minimum(np.minimum(below + 10, -medial), 30 - z), FLUID + 0.05, 1)

    beside = x - spine(y, knots, 1)
    roof = z - follow(y, [(k[0], k[2] + 0.5 * k[4]) for k in knots]) - 0.12 * beside
    inside = np.minimum(np.minimum(beside, medial + 2), np.minimum(y - 6, 45 - y))
    paint(image, np.minimum(1.6 - np.abs(roof + 1.6), inside), GREY - 0.02, EDGE_MM)
    paint(image, np.minimum(0.9 - np.abs(roof - 0.9), inside), FLUID + 0.05, EDGE_MM)


def draw_midline(image: Array, rng: np.random.Generator, space: Space) -> None:
    """Basal cistern with an artery, brainstem, cerebellum with its leaves, and the ventricle behind."""
    x, y, z = space
    paint(image, ellipsoid(space, (35, 50, 14), (6.5, 15, 13)), FLUID, EDGE_MM)
    paint(image, tube(space, [(28, 30, 9), (30, 38, 16), (34, 43, 19)], 0.9), 1.1, EDGE_MM)
    brainstem = ellipsoid(space, (39, 27, 20), (10.5, 13, 17))
    paint(image, np.minimum(brainstem + 3, 29 - z), FLUID + 0.05, 1)
    paint(image, brainstem, 0.86, 1)
    cerebellum = ellipsoid(space, (32, 2, -1), (14, 17, 14))
    leaves = 0.58 + 0.25 * np.sin(1.6 * cerebellum + 0.9 * x + 2 * smooth_noise(rng, x.shape, 7))
    paint(image, cerebellum + 1.5, FLUID + 0.05, EDGE_MM)
    paint(image, cerebellum, leaves, EDGE_MM)
    across, up = 0.86 * (x - 14) - 0.51 * (z - 28), 0.51 * (x - 14) + 0.86 * (z - 28)
    paint(image, ellipsoid((across, y, up), (0, 0, 0), (2.6, 12, 13)), FLUID, EDGE_MM)


def draw_hippocampus(image: Array, above: Array, depth: Array, slit_mm: float) -> None:
    """Temporal horn and choroid fissure over it, the white alveus, then the grey body with one brighter layer."""
    paint(image, np.minimum(depth + slit_mm + 0.5, above + 1), FLUID, EDGE_MM)
    paint(image, np.minimum(depth + 0.5, above + 1), 0.72, EDGE_MM)
    paint(image, depth, GREY + 0.02, EDGE_MM)
    paint(image, 0.5 - np.abs(depth - 2), GREY + 0.10, EDGE_MM)


def block_mean(fine: NDArray[np.generic]) -> Array:
    """What one voxel sees of the finer truth: the mean over FINE x FINE x FINE."""
    nx, ny, nz = SHAPE
    mean: Array = fine.reshape(nx, FINE, ny, FINE, nz, FINE).mean((1, 3, 5), dtype=np.float32)
    return mean


def scanned(rng: np.random.Generator, truth: Array) -> NDArray[np.int16]:
    """Blur, bias field, texture, noise, and a scanner's own arbitrary scale."""
    scan = gaussian_filter(block_mean(gaussian_filter(truth, 0.8)), 0.25)
    scan *= 1 + 0.06 * smooth_noise(rng, SHAPE, 14) + 0.04 * smooth_noise(rng, SHAPE, 0.9)
    scan += 0.03 * rng.standard_normal(SHAPE, dtype=np.float32)
    counts: NDArray[np.int16] = np.round(np.clip(scan, 0, None) * rng.uniform(700, 1000)).astype(np.int16)
    return counts
