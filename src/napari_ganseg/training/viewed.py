"""A training answers what a person looks at: the slice that is on screen, as the network labels it now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from torch import nn

from napari_ganseg.errors import GansegError
from napari_ganseg.inference.engine import segmentation
from napari_ganseg.inference.settings import Settings
from napari_ganseg.models import Card, Model
from napari_ganseg.run import Controls
from napari_ganseg.training.cases import Case
from napari_ganseg.training.preview import Shown, read_wanted, save_shown
from napari_ganseg.volume import Array

LEAST_PAUSE_S = 4.0  # between two answers: a preview must not eat the training's time


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


def slice_labels(case: Case, index: int, network: nn.Module, card: Card, controls: Controls) -> Array:
    """(y, x) labels of one slice as a user would get them."""
    is_volume = case.image.spatial_ndim == 3
    device = str(next(network.parameters()).device)
    settings = Settings(device=device, slice_index=index if is_volume else None)
    run = segmentation(case.image, Model(card, network.eval(), ""), settings)
    for _ in run:
        controls.check()
    return run.result.array[index] if is_volume else run.result.array
