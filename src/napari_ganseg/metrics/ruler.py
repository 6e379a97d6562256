"""How a grid is measured in millimetres: exact on straight, anisotropic, oblique and sheared grids."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from napari_ganseg.volume import Grid

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

STRAIGHT = 1e-5  # cosine of two axes: files keep affines in 32 bits


@dataclass(frozen=True, slots=True, eq=False)
class Ruler:
    """Millimetres of a grid.

    Attributes:
        steps_mm: triangular n x n matrix that maps a step in voxels to millimetres, lengths and angles as in the
            affine (its R of QR): diagonal where the axes are at right angles, however the scan lay in the scanner.
        axes: those along which the image is more than one voxel thick; only they have neighbours, and surfaces.
        diagonal_mm: the image's longest diagonal, from corner to corner of its outermost voxels.
        tolerance_mm: how far a surface may be off.
    """

    steps_mm: Floats
    axes: tuple[int, ...]
    diagonal_mm: float
    tolerance_mm: float

    @classmethod
    def of(cls, grid: Grid, tolerance_mm: float) -> Self:
        """The ruler of a grid."""
        steps = np.linalg.qr(grid.affine[:3, 3 - len(grid.shape) : 3])[1]
        axes = tuple(axis for axis, voxels in enumerate(grid.shape) if voxels > 1) or (0,)
        return cls(steps, axes, longest_diagonal(steps, grid.shape), tolerance_mm)

    @property
    def is_straight(self) -> bool:
        """The axes are at right angles."""
        units = self.steps_mm / np.linalg.norm(self.steps_mm, axis=0)
        return bool(np.abs(np.triu(units.T @ units, k=1)).max() < STRAIGHT)

    def mm(self, voxels: Indices) -> Floats:
        """Voxel indices (n, dims) in millimetres (n, dims), in axes of the ruler's own."""
        return np.asarray(voxels @ self.steps_mm.T)


def longest_diagonal(steps_mm: Floats, shape: tuple[int, ...]) -> float:
    """Millimetres between the two corners that are farthest apart."""
    signs = np.array(list(itertools.product((-1, 1), repeat=len(shape))))
    return float(np.linalg.norm((signs * shape) @ steps_mm.T, axis=1).max())
