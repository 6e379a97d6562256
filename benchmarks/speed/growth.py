"""How time grows with the scan: processor seconds of ours, a single convolution in place of a network."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from benchmarks.speed.claims import Finding, at_most
from benchmarks.speed.memory import TILE, row
from benchmarks.speed.peak import peak_of
from benchmarks.speed.ways import OURS

PLANE, SLICES = (192, 192), (150, 300, 600, 1200)  # voxels (y, x), and how many of them
CLASSES, EXPONENT = 25, 1.05


def growth(device: str = "cpu", plane: Sequence[int] = PLANE, slices: Sequence[int] = SLICES,
           patch: Sequence[int] = TILE) -> Finding:  # fmt: skip
    """The exponent of the voxels, from a line through the logarithms; each size in a fresh process."""
    shapes = [(n, *plane) for n in slices]
    peaks = [peak_of(OURS, shape, CLASSES, "one convolution", device, patch) for shape in shapes]
    power = exponent([prod(shape) for shape in shapes], [peak.cpu for peak in peaks])
    rows = [row(OURS, shape, CLASSES, peak) for shape, peak in zip(shapes, peaks, strict=True)]
    return Finding("growth", (at_most("processor seconds grow with voxels to the power of", power, EXPONENT),), rows)


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope of log(seconds) over log(sizes), least squares."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
