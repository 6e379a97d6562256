"""What unpainted means: asked, never guessed, and turned into a mask of what is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_ganseg.errors import UsageError
from napari_ganseg.io.names import shown
from napari_ganseg.volume import Annotation, Array, LabelMap

Meaning = Literal["slices", "range", "background", "painted"]
SHORT: Mapping[Meaning, str] = {
    "slices": "unknown outside painted slices",
    "range": "unknown between painted slices",
    "background": "background",
    "painted": "unknown",
}
WORDS: Mapping[Meaning, str] = {
    "slices": "Slices with any paint are complete, the others unknown.",
    "range": "Slices with any paint are complete, those between them unknown, and before the first and after the last "
    "there is nothing.",
    "background": "Everything unpainted is background.",
    "painted": "Only painted voxels are known.",
}
Known = npt.NDArray[np.bool_]


def annotated(labels: LabelMap, meaning: Meaning, name: str, axis: int = 0) -> Annotation:
    """Labels with what is known of them.

    Args:
        labels: as painted.
        meaning: of the voxels that were not.
        name: of the labels, for messages.
        axis: across which slices were painted; in three dimensions 0 is axial.

    Raises:
        UsageError: nothing is painted.
    """
    if not labels.array.any():
        raise UsageError(f"Nothing is painted in {shown(name)}. Paint each structure with its own label first.")
    return Annotation(labels, known_by(labels.array, meaning, axis))


def known_by(array: Array, meaning: Meaning, axis: int = 0) -> Known:
    """Which voxels of painted labels are known, under a meaning."""
    if meaning == "background":
        return np.ones(array.shape, np.bool_)
    painted: Known = array != 0
    if meaning == "painted":
        return painted
    planes = in_planes(painted, axis)
    if meaning == "range":
        first, last = np.flatnonzero(planes)[[0, -1]]
        planes = planes.copy()
        planes[:first] = planes[last + 1 :] = True
    shape = [1] * array.ndim
    shape[axis] = -1
    return np.broadcast_to(planes.reshape(shape), array.shape).copy()


def in_planes(painted: Known, axis: int) -> Known:
    """(n,) whether each plane across an axis holds any paint."""
    return np.asarray(painted.any(axis=tuple(a for a in range(painted.ndim) if a != axis)))
