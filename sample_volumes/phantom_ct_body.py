"""The patient around the labelled organs of the CT phantom: outline, skeleton, air, muscle, fat, and the couch.

The origin is the middle of the brainstem. Three frames keep the tables short: `plain` coordinates, `folded` ones (x
is |x|, so that one solid makes a pair), and `neck` ones (folded, and y counts from the spinal cord, which bends
backwards on its way down).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from phantom_shapes import Array, Space, ellipsoid, follow, loft, paint, smooth_noise, tube

STEP_MM = 2.5
AIR, FAT, MUSCLE, FLUID, BRAIN = -1000.0, -100.0, 55.0, 12.0, 35.0
CORD_Y = [(-220, -58), (-195, -47), (-170, -34), (-145, -20), (-120, -11), (-90, -5), (-60, -3), (-30, -2.5)]
# Stacks of ellipses from the feet up: z, centre x, centre y, half-width, half-depth; the last two in neck coordinates.
HEAD = [
    (-220, 0, -6, 55, 62), (-150, 0, -6, 58, 62), (-130, 0, -6, 60, 64), (-115, 0, -1, 62, 65), (-102, 0, 14, 64, 74),
    (-91, 0, 25, 67, 83), (-81, 0, 27, 68, 85), (-70, 0, 27, 70, 85), (-55, 0, 27, 74, 87), (-40, 0, 22, 78, 90),
    (-25, 0, 15, 81, 92), (-10, 0, 10, 80, 94), (5, 0, 8, 78, 96), (35, 0, 6, 76, 95), (65, 0, 6, 70, 86),
    (85, 0, 5, 60, 74), (110, 0, 4, 30, 40),
]  # fmt: skip
TRUNK = [
    (-220, 0, -26, 232, 94), (-195, 0, -27, 224, 89), (-175, 0, -32, 213, 78), (-160, 0, -36, 196, 67),
    (-145, 0, -39, 165, 54), (-130, 0, -42, 110, 42), (-118, 0, -42, 65, 32), (-108, 0, -42, 40, 24),
]  # fmt: skip
AIRWAY = [
    (-220, 0, 53, 8.5, 8.5), (-142, 0, 52, 8.5, 8.5), (-130, 0, 49, 6.5, 10), (-120, 0, 49, 4.5, 10),
    (-106, 0, 46, 8, 9), (-95, 0, 42, 12, 7), (-80, 0, 37, 13, 7), (-60, 0, 35, 12, 5.5), (-45, 0, 36, 12, 6),
    (-25, 0, 44, 11, 8), (-8, 0, 48, 9, 8),
]  # fmt: skip
VERTEBRAE = [(-220, 0, 20, 15, 12), (-150, 0, 19, 13.5, 10.5), (-60, 0, 17, 11, 8.5), (-50, 0, 16, 10, 8)]

lay = partial(paint, edge_mm=STEP_MM)


@dataclass(frozen=True, eq=False)
class Frame:
    """One patient's bent coordinates and source of randomness."""

    plain: tuple[Array, Array, Array]
    rng: np.random.Generator

    @property
    def folded(self) -> tuple[Array, Array, Array]:
        x, y, z = self.plain
        return np.abs(x), y, z

    @property
    def neck(self) -> tuple[Array, Array, Array]:
        x, y, z = self.folded
        return x, y - follow(z, CORD_Y), z

    def noise(self, reach_mm: float) -> Array:
        return smooth_noise(self.rng, self.plain[0].shape, reach_mm / STEP_MM)


def draw_table(hu: Array, straight: Space) -> None:
    """A flat carbon couch with a foam core under the back, and a foam head rest."""
    x, y, z = straight
    rest = np.minimum(np.minimum(70 - np.abs(x), z + 100), np.minimum(y + 120, -70 - y))
    lay(hu, rest, -950)
    couch = np.minimum(205 - np.abs(x), 11 - np.abs(y + 131))
    lay(hu, couch, -300)
    lay(hu, couch - 3, -930)


def draw_body(hu: Array, frame: Frame) -> None:
    """Outline, skin, subcutaneous fat, and muscle marbled with fat."""
    z = frame.plain[2]
    head = loft(frame.plain, HEAD, follow(z, [(-130, 0.0), (-95, 0.35), (-40, 0.3), (0, 0.2), (60, 0.1)]))
    nose = ellipsoid(frame.plain, (0, 108, -10), (13, 18, 20))
    ears = ellipsoid(frame.folded, (80, -6, -8), (4, 14, 26))
    body = np.maximum.reduce([head, loft(frame.plain, TRUNK), nose, ears])
    layer = follow(z, [(-200, 13.0), (-150, 8.0), (-90, 7.0), (-40, 7.0), (20, 5.0)]) * frame.rng.uniform(0.8, 1.2)
    streaks = np.clip(frame.noise(4) - follow(z, [(-200, 0.7), (-60, 0.9), (0, 1.5)]), 0, 1)
    lay(hu, body, -10)
    lay(hu, body - 2, FAT + 8 * frame.noise(6))
    lay(hu, body - layer, MUSCLE + 6 * frame.noise(5) - 140 * streaks)


def bone(frame: Frame, mean: float) -> Array:
    """Trabecular bone: HU that vary from place to place."""
    return mean * (1 + 0.2 * frame.noise(3))


def draw_trunk(hu: Array, frame: Frame) -> None:
    """Lung tops with ribs, shoulder girdle, breastbone."""
    _, y, z = space = frame.folded
    lung = ellipsoid(space, (58, -18, -240), (44, 60, 72))
    ribs = np.minimum(np.minimum(lung + 9, -2 - lung), 4 - np.abs((z + 0.4 * y) % 24 - 12))
    lay(hu, ribs, bone(frame, 450))
    lay(hu, lung, -850 + 40 * frame.noise(4))
    joint = ellipsoid(space, (166, -42, -172), (23, 23, 21))
    for shape in (
        tube(space, [(14, 44, -192), (60, 28, -174), (110, -15, -156), (150, -42, -151)], 6),
        tube(space, [(110, -75, -166), (140, -68, -153), (160, -52, -150)], 6),
        tube(space, [(142, -55, -172), (100, -88, -205)], 3.5, (1, 1, 0.25)),
        ellipsoid(space, (138, -50, -178), (8, 12, 16)),
        ellipsoid(space, (0, 44, -202), (26, 7, 14)),
        np.maximum(joint, tube(space, [(170, -42, -175), (178, -40, -225)], 12)),
    ):
        lay(hu, shape, bone(frame, 650))
        lay(hu, shape - 3, bone(frame, 250))


def draw_skull(hu: Array, frame: Frame) -> None:
    """Braincase with brain, ventricles and skull base."""
    _, y, z = space = frame.folded
    floor = z - follow(y, [(15, -60), (45, 28), (90, 36)])
    cerebrum = np.minimum(ellipsoid(space, (0, 3, 42), (63, 75, 60)), floor)
    temporal = ellipsoid(space, (37, 20, 22), (23, 28, 24))
    cerebellum = ellipsoid(space, (0, -29, 6), (56, 41, 35))
    cavity = np.maximum.reduce([cerebrum, temporal, cerebellum])
    lay(hu, cavity + 6.5, bone(frame, 1000))
    lay(hu, 1.5 - np.abs(cavity + 3.2), bone(frame, 600))
    lay(hu, cavity, FLUID)
    lay(hu, cavity - 2, BRAIN + 3 * frame.noise(3))
    lay(hu, tube(space, [(9, 38, 42), (8, 10, 52), (20, -30, 45), (30, -5, 22)], 5), FLUID)
    for shape, mean in (
        (tube(space, [(0, 20, -30), (0, 29, 8)], 6, (0.5, 1, 1)), 500),
        (ellipsoid(space, (0, 40, 8), (20, 16, 14)), 600),
        (tube(space, [(22, 17, -5), (56, 0, -8)], 8), 1100),
        (tube(space, [(22, 22, -14), (50, 22, -10)], 5), 600),
        (ellipsoid(space, (57, -12, -20), (10, 13, 15)), 600),
        (ellipsoid(space, (20, 2, -33), (10, 15, 9)), 700),
    ):
        lay(hu, shape, bone(frame, mean))
    cells = np.minimum(ellipsoid(space, (57, -12, -16), (8, 11, 12)), 3 * frame.noise(2))
    lay(hu, cells, -500)
    lay(hu, tube(space, [(50, 3, -8), (82, 0, -9)], 3.5), AIR)


def draw_face(hu: Array, frame: Frame) -> None:
    """Orbits, sinuses, nose, palate, teeth, tongue, chewing muscles and the fat between them."""
    side, y, _ = space = frame.folded
    lay(hu, ellipsoid(space, (46, 78, -42), (9, 13, 20)), FAT)
    lay(hu, ellipsoid(space, (26, 33, -45), (9, 10, 20)), FAT + 15)
    lay(hu, ellipsoid(space, (56, 52, -46), (7, 17, 27)), MUSCLE + 8)
    lay(hu, ellipsoid(space, (34, 46, -35), (7, 15, 20)), MUSCLE + 8)
    lay(hu, ellipsoid(space, (0, 68, -54), (26, 32, 22)), MUSCLE + 3 * frame.noise(5))
    orbit = ellipsoid(space, (31, 68, 12), (17, 27, 16))
    sinuses = np.maximum.reduce(
        [
            ellipsoid(space, (29, 72, -13), (14, 16, 15)),
            ellipsoid(space, (0, 43, 8), (13, 11, 10)),
            ellipsoid(space, (0, 85, 38), (18, 4, 9)),
            ellipsoid(space, (0, 67, 10), (12, 24, 10)),
            ellipsoid(space, (0, 80, -10), (14, 32, 17)),
        ]
    )
    arch = [(28, 56), (26, 70), (20, 86), (10, 96), (0, 99)]
    for shape, mean in (
        (orbit + 2.5, 500),
        (sinuses + 2, 450),
        (tube(space, [(48, 78, -10), (64, 56, -5), (69, 35, -3), (65, 14, -6)], 4), 700),
        (tube(space, [(47, 78, -8), (50, 78, 12), (44, 84, 30)], 4), 700),
        (ellipsoid(space, (0, 70, -27), (24, 28, 3)), 500),
        (tube(space, [(u, v, -32) for u, v in arch], 5.5), 600),
    ):
        lay(hu, shape, bone(frame, mean))
    lay(hu, orbit, FAT + 15)
    lay(hu, tube(space, [(33, 74, 12), (14, 44, 12)], 3), MUSCLE)
    lay(hu, ellipsoid(space, (33, 82, 12), (12, 12, 12)), FLUID)
    walls = np.where((frame.noise(2) > 0.9) & (side < 15) | (side < 1.3), 50, AIR)
    lay(hu, sinuses, walls)
    lay(hu, ellipsoid(space, (7, 78, -14), (4, 24, 6)), MUSCLE)
    lay(hu, ellipsoid(space, (0, 66, -34), (18, 20, 2.5)), AIR)
    for height in (-40, -52):
        lay(hu, tube(space, [(u, v, height) for u, v in arch], 3.8, (1, 1, 0.7)), 1500 + 700 * np.sin(0.9 * y))


def draw_neck(hu: Array, frame: Frame) -> None:
    """Spine, vessels in their fat, neck muscles, glands, hyoid bone and airway."""
    side, y, z = space = frame.neck
    contrast = frame.rng.uniform(60, 170)
    lay(hu, tube(space, [(32, 26, -55), (32, 36, -150)], 12), FAT + 35)
    lay(hu, tube(space, [(57, -10, -32), (52, 12, -80), (40, 42, -130), (18, 66, -180)], 9), MUSCLE + 8)
    lay(hu, tube(space, [(23, 28, -50), (25, 36, -100), (24, 42, -140), (18, 44, -200)], 3.8), contrast)
    lay(hu, tube(space, [(34, 22, -45), (35, 32, -100), (30, 44, -160)], 5.5), contrast - 10)
    lay(hu, ellipsoid(space, (18, 50, -146), (8, 9, 18)), 100)
    lay(hu, ellipsoid(frame.folded, (30, 54, -82), (9, 14, 11)), 45)
    lay(hu, tube(space, [(0, 66, -92), (14, 60, -91), (25, 48, -90)], 2.5), 450)

    level = (z + 50) % 18 - 9
    bodies = loft(space, VERTEBRAE)
    ring = np.minimum(loft(space, [(-220, 0, -1, 17, 14), (-38, 0, -1, 18, 15)]), 7.0 - np.abs(level))
    spine = np.minimum(np.minimum(3.5 - side, 4.5 - np.abs(level + 3)), np.minimum(y + 36, -8 - y))
    wings = np.minimum(np.minimum(29 - side, 5 - np.abs(y - 4)), 4 - np.abs(level))
    pillars = loft(space, [(-220, 17, -2, 6, 6), (-50, 18, 3, 8, 7)])
    arch = np.minimum(loft(space, [(-60, 0, -1, 23, 20), (-30, 0, -1, 23, 20)]), 6 - np.abs(z + 45))
    atlas = np.maximum(arch, tube(space, [(20, 5, -45), (36, 3, -45)], 6))
    dens = tube(space, [(0, 15, -36), (0, 16, -60)], 6.5)
    for shape in (ring, spine, np.minimum(wings, -50 - z), pillars, atlas, dens):
        lay(hu, np.minimum(shape, -36 - z), bone(frame, 600))
    lay(hu, bodies, bone(frame, 650))
    lay(hu, bodies - 1.5, bone(frame, 350))
    lay(hu, np.minimum(bodies, np.abs(level) - 6.8), 90)
    lay(hu, loft(space, [(-220, 0, 0, 10, 8.5), (-30, 0, 0, 12, 10), (-26, 0, 0, 13, 11)]), 18)
    lay(hu, loft(space, AIRWAY), AIR)
