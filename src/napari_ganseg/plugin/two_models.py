"""One scan as two models see it: what each finds, where they differ, and by how much."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ganseg.errors import UsageError
from napari_ganseg.models import load_model
from napari_ganseg.models.file import SUFFIX
from napari_ganseg.plugin.figure_table import Figures
from napari_ganseg.plugin.layers import LayerData, labels_layer
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.volume import LabelClass, LabelMap

if TYPE_CHECKING:
    from napari_ganseg.metrics import Scores
    from napari_ganseg.models import Model
    from napari_ganseg.volume import Volume

COLUMNS = ("class", "Dice", "mL before", "mL after")
DIFFERS = LabelClass(1, "differs", "#ff00c8")


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is to be compared: all that the background needs, and no layer.

    Attributes:
        array: the image layer's.
        placement: where it lies.
        old, new: files of the models.
    """

    array: Any
    placement: Placement
    old: Path
    new: Path
    device: str = "auto"


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What both found, and the voxels in which they differ."""

    before: LabelMap
    after: LabelMap
    differing: LabelMap
    scores: Scores


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The same as layers, as a table, and in a sentence."""

    before: LayerData
    after: LayerData
    differing: LayerData
    figures: Figures
    words: str


def make_run(asked: Question) -> Run[Answer]:
    """Segment with one model after the other, and compare."""
    return Run(lambda controls: work(asked, controls))


def work(asked: Question, controls: Controls) -> Generator[Progress, None, Answer]:
    """Both halves take the same time."""
    from napari_ganseg.metrics import evaluate

    volume, found = asked.placement.volume(asked.array), []
    for turn, path in enumerate((asked.old, asked.new)):
        found.append((yield from segmented(volume, path, asked.device, turn, controls)))
    yield Progress(0, 0, "comparing")
    before, after = found
    differs = (before.array != after.array).astype(np.uint8)
    differing = after.derive(array=differs, classes=(DIFFERS,), provenance={}, notes=())
    return Answer(before, after, differing, evaluate(after, before))


def segmented(
    volume: Volume, path: Path, device: str, turn: int, controls: Controls
) -> Generator[Progress, None, LabelMap]:
    """What one model finds; its progress is a half of the whole."""
    from napari_ganseg.inference.engine import segmentation
    from napari_ganseg.inference.settings import Settings

    run = segmentation(volume, loaded(path), Settings(device=device))
    for step in run:
        controls.check()
        yield Progress(turn * step.total + step.done, 2 * step.total, f"{step.doing}, {('before', 'after')[turn]}")
    return run.result


def loaded(path: Path) -> Model:
    """A model, also one whose file was laid aside under another name than its own."""
    from napari_ganseg.models.library import load_trusted

    if path.name.endswith(SUFFIX):
        return load_trusted(path)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            copy = Path(copyfile(path, Path(folder) / path.with_suffix("").name))
        except OSError as error:
            raise UsageError(f"{path} cannot be read any more ({error.strerror}).") from error
        return load_model(copy)


def shown(answer: Answer, placement: Placement) -> Shown:
    """Ready for the viewer; the new labels are seen at once, the old ones wait for their eye."""
    before, after, differing = (
        labels_layer(labels, "result", placement) for labels in (answer.before, answer.after, answer.differing)
    )
    before[1]["visible"] = False
    after[1]["opacity"], differing[1]["opacity"] = 0.4, 0.9
    return Shown(before, after, differing, figures_of(answer), in_words(answer))


def figures_of(answer: Answer) -> Figures:
    """A row per class under its value."""
    return Figures(COLUMNS, {
        value: [s.name, "-" if s.dice is None else f"{s.dice:.3f}", f"{s.truth_ml:.3f}", f"{s.volume_ml:.3f}"]
        for value, s in answer.scores.per_class.items()
    })  # fmt: skip


def in_words(answer: Answer) -> str:
    """How far both agree, which is not how right either is."""
    dice, voxels = answer.scores.mean_dice, int(np.count_nonzero(answer.differing.array))
    if dice is None:
        return "Neither model finds anything."
    if not voxels:
        return "Both models find the same."
    volume = f"{voxels:,} voxels ({voxels * answer.differing.voxel_ml:.3f} mL)"
    return f"Both models agree by a mean Dice of {dice:.3f} and differ in {volume}. Which is right, only you can see."
