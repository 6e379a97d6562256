"""A head-and-neck planning CT in Hounsfield units (HU), with its true labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from phantom_ct_body import (
    AIR,
    AIRWAY,
    BRAIN,
    FLUID,
    STEP_MM,
    Frame,
    bone,
    draw_body,
    draw_face,
    draw_neck,
    draw_skull,
    draw_table,
    draw_trunk,
    lay,
)
from phantom_shapes import Array, Knots, Sample, bend, loft, millimetres, smooth_noise, tube
from scipy.ndimage import gaussian_filter

SHAPE, FIRST = (184, 120, 112), (-228.75, -150.0, -197.5)
# Where organs touch, the later one in this list wins.
LABELS = {
    "oesophagus": 5,
    "larynx": 6,
    "right parotid": 3,
    "left parotid": 4,
    "mandible": 7,
    "spinal cord": 2,
    "brainstem": 1,
}
# Stacks of ellipses from the feet up: z, centre x, centre y, half-width, half-depth. Cord, oesophagus and larynx are
# in neck coordinates; the jaw is a curve (x, y, z).
BRAINSTEM = [
    (-30, 0, -3, 7.5, 7), (-22, 0, -2.5, 9, 8.3), (-12, 0, -0.5, 12, 10), (-2, 0, 1, 15.3, 13),
    (8, 0, 1.5, 16.5, 13.5), (18, 0, 0, 16.5, 12.5), (29, 0, -1, 16, 11),
]  # fmt: skip
CORD = [(-220, 0, 0, 6.7, 6.3), (-160, 0, 0, 7, 6.4), (-120, 0, 0, 7.2, 5.4), (-60, 0, 0, 7.4, 5.7), (-30, 0, 0, 8, 7)]
PAROTID = [
    (-73, 54, 22, 3, 4), (-66, 55, 22, 8.5, 10), (-55, 57.5, 22, 12, 14.5), (-42, 59, 21, 14, 16),
    (-28, 61, 24, 11.5, 14), (-18, 62, 26, 7.5, 9), (-13, 62, 26, 3, 4),
]  # fmt: skip
OESOPHAGUS = [(-220, -6, 38, 8.2, 6), (-190, -4, 38, 8.5, 5.6), (-160, -2, 37, 8.4, 5.5), (-138, 0, 36, 8, 5)]
LARYNX = [(-137, 0, 48, 13, 14), (-128, 0, 47, 15, 16), (-110, 0, 46, 17, 16), (-98, 0, 46, 16, 15)]
JAW = [(0, 99, -74), (13, 96, -74), (27, 82, -71), (36, 66, -68), (42, 50, -64), (45, 37, -60)]


def make_ct(seed: int) -> Sample:
    """Image of 460 x 300 x 280 mm in HU, stored with LPS axes; labels as in LABELS."""
    rng = np.random.default_rng(seed)
    affine = np.diag([STEP_MM, STEP_MM, STEP_MM, 1.0])
    affine[:3, 3] = FIRST
    straight = millimetres(affine, SHAPE)
    x, y, z = bend(rng, straight, bend_mm=1.5, reach=25 / STEP_MM)
    nod = np.float32(rng.normal(0, 0.03)) * np.minimum(z + 30, 0)
    frame = Frame((x, y - nod, z), rng)

    organs = draw_organs(frame)
    labels = np.zeros(SHAPE, np.uint8)
    for name, value in LABELS.items():
        labels[organs[name] > 0] = value

    hu = np.full(SHAPE, AIR, np.float32)
    draw_table(hu, straight)
    for draw in (draw_body, draw_trunk, draw_skull, draw_face, draw_neck):
        draw(hu, frame)
    fill_organs(hu, frame, organs)
    hu = gaussian_filter(hu, 0.35)
    hu += np.where(hu < -900, 0.4, 1) * rng.uniform(8, 13) * smooth_noise(rng, SHAPE, 0.5)
    return to_lps(np.round(np.clip(hu, -1024, 3071)).astype(np.int16), labels, affine)


def draw_organs(frame: Frame) -> dict[str, Array]:
    """The truth: the signed depth of every labelled organ."""
    rng, space, x = frame.rng, frame.folded, frame.plain[0]
    column = (x, *frame.neck[1:])
    gland = loft(space, jittered(rng, PAROTID, 0.05))
    body = tube(space, JAW, 5.6, (1, 1, 0.38))
    ramus = tube(space, [(45, 40, -60), (46, 39, -26)], 5.0, (1, 0.36, 1))
    condyle = tube(space, [(47, 30, -28), (50, 22, -7)], 4.5)
    coronoid = tube(space, [(46, 48, -28), (45, 50, -10)], 3.5)
    return {
        "oesophagus": loft(column, jittered(rng, OESOPHAGUS, 0.05)),
        "larynx": loft(column, jittered(rng, LARYNX, 0.05)),
        "right parotid": np.minimum(gland, x),
        "left parotid": np.minimum(gland, -x),
        "mandible": np.maximum.reduce([body, ramus, condyle, coronoid]),
        "spinal cord": loft(column, jittered(rng, CORD, 0.03)),
        "brainstem": loft(frame.plain, jittered(rng, BRAINSTEM, 0.03)),
    }


def jittered(rng: np.random.Generator, knots: Knots, spread: float) -> NDArray[np.float64]:
    """The same stack of ellipses, a few percent wider and deeper or slimmer."""
    width, depth = np.exp(rng.normal(0, spread, 2))
    table: NDArray[np.float64] = np.asarray(knots) * [1, 1, 1, width, depth]
    return table


def fill_organs(hu: Array, frame: Frame, organs: dict[str, Array]) -> None:
    """Give the labelled organs their tissue; the airway through the larynx stays open."""
    _, y, _ = frame.neck
    gullet, larynx, mandible = organs["oesophagus"], organs["larynx"], organs["mandible"]
    parotids = np.maximum(organs["right parotid"], organs["left parotid"])
    lay(hu, parotids, frame.rng.uniform(-20, 5) + 25 * frame.noise(2.5))
    lay(hu, gullet, 35)
    lay(hu, gullet - 3.5, -100 + 100 * frame.noise(5))
    lay(hu, larynx, 40 + 15 * frame.noise(3))
    lay(hu, np.minimum(1.6 - np.abs(larynx - 2.2), y - 42), 170)
    lay(hu, loft(frame.neck, AIRWAY), AIR)
    lay(hu, mandible, bone(frame, 1200))
    lay(hu, mandible - 2, bone(frame, 300))
    lay(hu, organs["brainstem"] + 3, FLUID)
    lay(hu, organs["brainstem"], BRAIN - 3)
    lay(hu, organs["spinal cord"], BRAIN + 3)


def to_lps(image: NDArray[np.int16], labels: NDArray[np.uint8], affine: NDArray[np.float64]) -> Sample:
    """Turn the first two axes round, as DICOM converters store them; every voxel keeps its place."""
    turned = affine @ np.diag([-1.0, -1.0, 1.0, 1.0])
    turned[:2, 3] += STEP_MM * (np.asarray(image.shape[:2]) - 1)
    return Sample(np.ascontiguousarray(image[::-1, ::-1]), np.ascontiguousarray(labels[::-1, ::-1]), turned)
