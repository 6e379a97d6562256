"""What a click on Fine-tune asks for: painted layers become a run folder, which a process of its own trains."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

from napari.layers import Image, Labels

from napari_ganseg.errors import UsageError
from napari_ganseg.io import write
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.models.file import SUFFIX
from napari_ganseg.models.library import user_models
from napari_ganseg.plugin.belonging import laid_on
from napari_ganseg.plugin.layers import label_map_of
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.registry import placement_of
from napari_ganseg.run import Run
from napari_ganseg.training.follow import follow, start
from napari_ganseg.training.job import Job, user_runs, write_job
from napari_ganseg.training.meaning import Meaning, annotated
from napari_ganseg.training.outcome import Outcome
from napari_ganseg.training.pace import spare_threads
from napari_ganseg.training.partial import KNOWN, NOT_CONTOURED, TABLE
from napari_ganseg.volume import Annotation, Array


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """An image with what was painted on it, as it was at the click.

    Attributes:
        case: the file name it gets, which the training calls it by.
        array: the image layer's.
        placement: where the image lies.
        annotation: the labels and what is known of them.
    """

    case: str
    array: Array
    placement: Placement
    annotation: Annotation


@dataclass(frozen=True, slots=True, eq=False)
class FineTune:
    """A training to be: all that the background needs, and no layer.

    Attributes:
        name: of the new model.
        lessons: from layers.
        data, unlabelled: folders that join in.
        start: the model it starts from; empty for fresh weights.
        steps: the budget; 0 where a whole configuration says it.
        config: a whole configuration in JSON; empty to plan one.
        threads: of the processor.
    """

    name: str
    lessons: Sequence[Lesson]
    data: tuple[Path, ...] = ()
    unlabelled: tuple[Path, ...] = ()
    start: str = ""
    steps: int = 0
    config: str = ""
    device: str = "auto"
    threads: int = field(default_factory=spare_threads)


def lesson_of(
    image: Image, labels: Labels, meaning: Meaning, *, layer_axis: int = 0, taken: Sequence[str] = ()
) -> Lesson:
    """An image layer and its labels at this moment.

    Args:
        image, labels: the layers.
        meaning: of what is not painted.
        layer_axis: the image's axis across which slices were painted.
        taken: file names that other lessons have.

    Raises:
        UsageError: nothing is painted, or the image is no single scan. GeometryError: they do not lie on each other.
    """
    placement = placement_of(image)
    axis = placement.axes.index(layer_axis) if layer_axis in placement.axes else 0
    painted = label_map_of(labels, placement, laid_on(labels, image).copy())
    annotation = annotated(painted, meaning, labels.name, axis)
    unpainted = frozenset(value for value, voxels in painted.counts().items() if not voxels)
    return Lesson(file_name(image.name, taken), image.data, placement, replace(annotation, missing=unpainted))


def file_name(name: str, taken: Sequence[str]) -> str:
    """A file name for a layer's name that no other has."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or "scan"
    names = [f"{stem}.nii", *[f"{stem}-{i}.nii" for i in range(2, len(taken) + 3)]]
    return next(n for n in names if n not in taken)


def make_folder(task: FineTune) -> Path:
    """Write a run folder that describes the whole training.

    Raises:
        FileError: the disk is full, or cannot be written.
    """
    folder = user_runs() / f"{task.name}-{datetime.now(UTC).strftime('%Y%m%d-%H%M%S-%f')}"
    data = [str(path) for path in task.data]
    if task.lessons:
        write_lessons(task.lessons, folder / "data")
        data.insert(0, str(folder / "data"))
    if task.config:
        write_bytes(folder / "asked.json", task.config.encode())
    user_models().mkdir(parents=True, exist_ok=True)
    job = Job(
        tuple(data), str(user_models() / f"{task.name}{SUFFIX}"), task.start, tuple(map(str, task.unlabelled)),
        config=str(folder / "asked.json") if task.config else "", steps=task.steps, only_better=True,
        device=task.device, threads=task.threads, command="Fine-tune in napari",
    )  # fmt: skip
    write_job(folder, job)
    return folder


def write_lessons(lessons: Sequence[Lesson], folder: Path) -> None:
    """Images, labels and what is known, as files of the same names."""
    for place in ("images", "labels"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for lesson in lessons:
        volume, labels = lesson.placement.volume(lesson.array), lesson.annotation.labels
        write(folder / "images" / lesson.case, replace(volume, stored=None))
        write(folder / "labels" / lesson.case, replace(labels, stored=None))
        if not lesson.annotation.known.all():
            known = labels.derive(array=lesson.annotation.known.astype("uint8"), classes=(), stored=None)
            write(folder / "labels" / (Path(lesson.case).stem + KNOWN), known)
    write_bytes(folder / TABLE, not_contoured(lessons).encode())


def not_contoured(lessons: Sequence[Lesson]) -> str:
    """The table of classes that nobody painted in an image: there they are unknown, not absent."""
    names = sorted({c.name for lesson in lessons for c in lesson.annotation.labels.classes})
    table = StringIO()
    writer = csv.writer(table)
    writer.writerow(["name", *names])
    for lesson in lessons:
        labels, missing = lesson.annotation.labels, lesson.annotation.missing
        absent = {labels.name_of(value) for value in missing}
        writer.writerow([lesson.case, *[NOT_CONTOURED if name in absent else "" for name in names]])
    return table.getvalue()


def begin(folder: Path) -> Run[Outcome]:
    """Start, or go on with, the training of a run folder, and follow it."""
    start(folder)
    return follow(folder)


def adopt(outcome: Outcome, *, is_wanted: bool) -> Path:
    """Put the new model among the user's own, or lay it aside, as often as one likes.

    Raises:
        UsageError: its file has gone.
    """
    there, aside = places_of(outcome)
    source, target = (aside, there) if is_wanted else (there, aside)
    try:
        write_bytes(target, source.read_bytes())
    except OSError as error:
        raise UsageError(f"{source} cannot be read any more ({error.strerror}).") from error
    if source.parent == there.parent:
        source.unlink(missing_ok=True)
    return target


def places_of(outcome: Outcome) -> tuple[Path, Path]:
    """Where the new model's file is among the user's own, and where it is laid aside."""
    there = user_models() / Path(outcome.model).name
    aside = Path(outcome.model) if Path(outcome.model) != there else there.with_name(f"{there.name}.unused")
    return there, aside


def file_of(outcome: Outcome) -> Path:
    """The new model's file, wherever it is now."""
    there, aside = places_of(outcome)
    return there if there.exists() else aside
