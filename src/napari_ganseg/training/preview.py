"""The prediction on the slice a person looks at: the viewer asks by a small file, the training answers by another."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from torch import nn

from napari_ganseg.errors import GansegError
from napari_ganseg.inference.engine import Settings, segmentation
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.models import Card, Model
from napari_ganseg.run import Controls
from napari_ganseg.training.cases import Case
from napari_ganseg.volume import Array

WANTED, SHOWN = "preview.json", "preview.npz"
LEAST_PAUSE_S = 4.0  # between two answers: a preview must not eat the training's time


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
        with np.load(BytesIO((folder / SHOWN).read_bytes()), allow_pickle=False) as content:
            wanted = Wanted(str(content["case"]), int(content["index"]))
            return Shown(wanted, int(content["step"]), content["labels"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


class Viewed:
    """Answers for a training, between its steps, no more often than it can afford.

    Args:
        folder: the run folder; None never answers.
        cases: those that may be asked for.
    """

    def __init__(self, folder: Path | None, cases: Sequence[Case]) -> None:
        self._folder, self._cases = folder, {case.name: case for case in cases}
        self._next_s = 0.0

    def answer(self, network: nn.Module, card: Card, step: int, controls: Controls) -> None:
        """Segment the slice that is wanted now, if any."""
        if self._folder is None or time.monotonic() < self._next_s:
            return
        began_s = time.monotonic()
        wanted = read_wanted(self._folder)
        case = self._cases.get(wanted.case) if wanted else None
        if wanted is not None and case is not None:
            with suppress(GansegError):
                save_shown(self._folder, Shown(wanted, step, slice_labels(case, wanted.index, network, card, controls)))
        self._next_s = time.monotonic() + max(LEAST_PAUSE_S, 9 * (time.monotonic() - began_s))


def read_wanted(folder: Path) -> Wanted | None:
    """The newest question."""
    try:
        content = json.loads((folder / WANTED).read_bytes())
        return Wanted(str(content["case"]), int(content["index"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def slice_labels(case: Case, index: int, network: nn.Module, card: Card, controls: Controls) -> Array:
    """(y, x) labels of one slice as a user would get them."""
    is_volume = case.image.spatial_ndim == 3
    device = str(next(network.parameters()).device)
    settings = Settings(device=device, slice_index=index if is_volume else None)
    run = segmentation(case.image, Model(card, network.eval(), ""), settings)
    for _ in run:
        controls.check()
    return run.result.array[index] if is_volume else run.result.array


def save_shown(folder: Path, shown: Shown) -> None:
    """Write an answer."""
    content = BytesIO()
    np.savez_compressed(
        content, case=np.array(shown.wanted.case), index=np.array(shown.wanted.index), step=np.array(shown.step),
        labels=shown.labels,
    )  # fmt: skip
    write_bytes(folder / SHOWN, content.getvalue())
