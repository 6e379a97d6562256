"""The prediction on the slice a person looks at: the viewer asks by a small file, the training answers by another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.training.files import SHOWN, WANTED
from napari_ganseg.volume import Array


@dataclass(frozen=True, slots=True)
class Wanted:
    """The slice that somebody looks at: of which case, and its index along the first axis (0 in 2D)."""

    case: str
    index: int


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The labels of one slice, (y, x) on the case's own grid, as predicted after so many steps."""

    wanted: Wanted
    step: int
    labels: Array


def ask_preview(folder: Path, wanted: Wanted) -> None:
    """Ask the training in a run folder for a slice; the newest question counts."""
    write_bytes(folder / WANTED, json.dumps({"case": wanted.case, "index": wanted.index}).encode())


def read_preview(folder: Path) -> Shown | None:
    """The newest answer, whole or not at all."""
    try:
        head, voxels = (folder / SHOWN).read_bytes().split(b"\n", 1)
        content = json.loads(head)
        labels = np.frombuffer(voxels, np.int32).reshape(content["shape"])
        return Shown(Wanted(str(content["case"]), int(content["index"])), int(content["step"]), labels)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_wanted(folder: Path) -> Wanted | None:
    """The newest question."""
    try:
        content = json.loads((folder / WANTED).read_bytes())
        return Wanted(str(content["case"]), int(content["index"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_shown(folder: Path, shown: Shown) -> None:
    """Write an answer: a line that says of what, then the voxels."""
    head = {"case": shown.wanted.case, "index": shown.wanted.index, "step": shown.step, "shape": shown.labels.shape}
    write_bytes(folder / SHOWN, json.dumps(head).encode() + b"\n" + shown.labels.astype(np.int32).tobytes())
