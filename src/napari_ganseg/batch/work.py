"""Where a case of a batch stands: waiting for another process, loaded, being computed, made."""

from __future__ import annotations

from dataclasses import dataclass

from napari_ganseg.batch.case import ScanCase
from napari_ganseg.batch.record import Recipe
from napari_ganseg.io.holder import Holder
from napari_ganseg.run import Progress
from napari_ganseg.volume import LabelMap, Volume


@dataclass(frozen=True, slots=True)
class Waiting:
    """A case that another process works on; the batch comes back to it."""

    case: ScanCase
    holder: Holder


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A locked case whose scan is in memory.

    Attributes:
        why: it is computed, in words.
        seconds: spent on it so far.
    """

    case: ScanCase
    volume: Volume
    recipe: Recipe
    why: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Working:
    """How far the computation of a case is."""

    case: ScanCase
    progress: Progress


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A locked case whose labels are in memory; otherwise like Loaded."""

    case: ScanCase
    labels: LabelMap
    recipe: Recipe
    why: str
    seconds: float
