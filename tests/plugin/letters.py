"""A phantom with letters: which side of the patient is which can be read off a picture of it."""

from __future__ import annotations

import numpy as np

GLYPHS = {  # asymmetric, A and I by a dot: none is its own mirror image
    "R": ("####.", "#...#", "#...#", "####.", "#.#..", "#..#.", "#...#"),
    "L": ("#....", "#....", "#....", "#....", "#....", "#....", "#####"),
    "A": (".##.#", "#..#.", "#..#.", "####.", "#..#.", "#..#.", "#..#."),
    "P": ("####.", "#...#", "#...#", "####.", "#....", "#....", "#...."),
    "S": (".####", "#....", "#....", ".###.", "....#", "....#", "####."),
    "I": ("###.#", ".#...", ".#...", ".#...", ".#...", ".#...", "###.."),
}
VALUES = {letter: i for i, letter in enumerate("RLAPSI", start=1)}
COLOURS = {
    "R": (255, 0, 0),
    "L": (0, 255, 255),
    "A": (0, 255, 0),
    "P": (255, 0, 255),
    "S": (0, 0, 255),
    "I": (255, 255, 0),
}
SIDES = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}  # RAS axis, direction
# Planes as a radiologist sees them: the slice's axis, then what is up and what is left on the screen.
PLANES = {"axial": (2, "A", "R"), "coronal": (1, "S", "R"), "sagittal": (0, "S", "A")}
SIZE = (48, 40, 44)  # voxels along R, A, S


def glyph(letter: str) -> np.ndarray:
    """A letter as booleans (row, column), two voxels a stroke, as it is read."""
    rows = np.array([[c == "#" for c in row] for row in GLYPHS[letter]])
    return rows.repeat(2, axis=0).repeat(2, axis=1)


def on_screen(plane: str, array: np.ndarray, index: int) -> np.ndarray:
    """A view of one slice (x, y, z) as (row, column) on a radiologist's screen; writing to it draws."""
    axis, up, left = PLANES[plane]
    sheet = np.moveaxis(array, axis, 0)[index]
    rows_first = sheet if SIDES[up][0] < SIDES[left][0] else sheet.T
    return rows_first[::-1, ::-1]  # rows grow down, away from `up`; columns to the right, away from `left`


def flat_letters(plane: str) -> np.ndarray:
    """Letters (x, y, z) at the four sides of the middle slice of a plane, upright for a radiologist."""
    array = np.zeros(SIZE, np.int16)
    axis, up, left = PLANES[plane]
    sheet = on_screen(plane, array, SIZE[axis] // 2)
    height, width = sheet.shape
    opposite = dict(zip("RLAPSI", "LRPAIS", strict=True))
    spots = {up: (1, width // 2 - 5), opposite[up]: (height - 15, width // 2 - 5),
             left: (height // 2 - 7, 1), opposite[left]: (height // 2 - 7, width - 11)}  # fmt: skip
    for letter, (row, column) in spots.items():
        sheet[row : row + 14, column : column + 10][glyph(letter)] = VALUES[letter]
    return array


def letter_cube() -> np.ndarray:
    """A block of 7 (x, y, z) in air, with the letter of each side engraved on it, to be read from outside."""
    array = np.full(SIZE, 7, np.int16)
    for letter, (axis, direction) in SIDES.items():
        plane = next(name for name, (a, _, _) in PLANES.items() if a == axis)
        seen_from = {"axial": -1, "coronal": 1, "sagittal": -1}[plane]  # a radiologist looks from I, from A, and from L
        for depth in range(3):
            sheet = on_screen(plane, array, -1 - depth if direction > 0 else depth)
            sheet = sheet if direction == seen_from else sheet[:, ::-1]  # from the other side left and right change
            top, start = (sheet.shape[0] - 14) // 2, (sheet.shape[1] - 10) // 2
            sheet[top : top + 14, start : start + 10][glyph(letter)] = VALUES[letter]
    return np.pad(array, 2)
