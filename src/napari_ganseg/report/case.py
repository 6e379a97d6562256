"""One case as a report tells it: its result, what its record adds, and its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from napari_ganseg.batch.result import CaseResult, Status
from napari_ganseg.io.labels import class_from_json, colour_for, read_sidecar
from napari_ganseg.io.names import sidecar_path
from napari_ganseg.metrics import Scores

STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True, slots=True)
class Measured:
    """One class of a case.

    Attributes:
        colour: "#rrggbb".
        voxels: None where no record says.
        dice: None without a truth, or where both are empty.
    """

    name: str
    colour: str
    ml: float
    voxels: int | None = None
    dice: float | None = None


@dataclass(frozen=True, slots=True)
class ReportCase:
    """One case.

    Attributes:
        classes: what was found, empty classes too.
        record: of its output; empty where there is none.
        mean_dice: over the classes; None without a truth.
    """

    result: CaseResult
    classes: tuple[Measured, ...]
    record: Mapping[str, Any]
    mean_dice: float | None = None

    @property
    def name(self) -> str:
        """The case's name, as it may stand on a screen."""
        return readable(self.result.name)

    @property
    def seconds(self) -> float:
        """What it took to make: of a skipped case, when it was made."""
        kept = self.record.get("seconds")
        is_kept = self.result.status == "skipped" and isinstance(kept, int | float)
        return float(kept) if is_kept and kept is not None else self.result.seconds


def make_case(result: CaseResult, scores: Scores | None = None) -> ReportCase:
    """A result with what lies beside its output."""
    if not result.is_good:
        return ReportCase(result, (), {})
    sidecar = read_sidecar(sidecar_path(result.output))
    listed = {c.name: c for c in measured(sidecar)}
    volumes = enumerate(result.volumes_ml.items(), 1)
    classes = [listed.get(name) or Measured(name, colour_for(i), ml) for i, (name, ml) in volumes]
    record = sidecar.get("record")
    kept = record if isinstance(record, dict) else {}
    return ReportCase(result, scored(classes, scores), kept, scores.mean_dice if scores else None)


def measured(sidecar: Mapping[str, Any]) -> list[Measured]:
    """Classes of a sidecar with their voxels; those of one name are one."""
    found: dict[str, Measured] = {}
    listed = sidecar.get("classes")
    for entry in listed if isinstance(listed, list) else []:
        known = class_from_json(entry)
        if known is None or not isinstance(ml := entry.get("ml"), int | float):
            continue
        voxels = entry.get("voxels") if type(entry.get("voxels")) is int else None
        before = found.get(known.name, Measured(known.name, known.colour, 0.0, 0))
        both = None if voxels is None or before.voxels is None else before.voxels + voxels
        found[known.name] = replace(before, ml=before.ml + float(ml), voxels=both)
    return list(found.values())


def scored(classes: Sequence[Measured], scores: Scores | None) -> tuple[Measured, ...]:
    """The classes with their Dice, by name."""
    dice = {s.name: s.dice for s in scores.per_class.values()} if scores else {}
    return tuple(replace(c, dice=dice.get(c.name)) for c in classes)


def readable(text: str) -> str:
    """Text without control, bidirectional and undecodable characters: they are escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
