"""What a click on Adapt asks for: open scans become a run folder, which a process of its own adapts a model to."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from napari.layers import Image

from napari_ganseg.errors import GansegError, UsageError
from napari_ganseg.io import write
from napari_ganseg.models.file import SUFFIX
from napari_ganseg.models.library import user_models
from napari_ganseg.plugin.finetune_task import file_name
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.registry import placement_of
from napari_ganseg.training.cases import is_case
from napari_ganseg.training.job import Job, read_job, user_runs, write_job
from napari_ganseg.training.nnunet import is_nnunet
from napari_ganseg.training.pace import spare_threads
from napari_ganseg.volume import Array

TARGET = "target"  # in the run folder: the open scans


@dataclass(frozen=True, slots=True, eq=False)
class NewScan:
    """An image without labels, as it was at the click.

    Attributes:
        case: the file name it gets.
        array: the image layer's.
        placement: where the image lies.
    """

    case: str
    array: Array
    placement: Placement


@dataclass(frozen=True, slots=True, eq=False)
class Adapting:
    """An adaptation to be: all that the background needs, and no layer.

    Attributes:
        name: of the new model.
        start: the model's file.
        scans, folders: the new scans, from layers and on disk.
        source: a folder of labelled scans like the model's own.
        steps: the budget.
        threads: of the processor.
    """

    name: str
    start: Path
    scans: Sequence[NewScan]
    folders: tuple[Path, ...]
    source: Path
    steps: int = 0
    device: str = "auto"
    threads: int = field(default_factory=spare_threads)


def new_scans(images: Sequence[Image]) -> list[NewScan]:
    """Image layers at this moment, each under a file name of its own.

    Raises:
        UsageError: one is no single scan.
    """
    scans: list[NewScan] = []
    for image in images:
        taken = [scan.case for scan in scans]
        scans.append(NewScan(file_name(image.name, taken), image.data, placement_of(image)))
    return scans


def scans_in(folder: Path) -> int:
    """How many scans a folder holds, by their names.

    Raises:
        UsageError: it is not there.
    """
    try:
        return sum(is_case(path.name) for path in folder.iterdir())
    except OSError as error:
        raise UsageError(f"The folder {folder} cannot be read ({error.strerror}).") from error


def check_source(folder: Path) -> None:
    """Raise UsageError unless a folder looks like one of labelled scans; the scans are checked when they are read."""
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.")
    if not is_nnunet(folder) and not all((folder / place).is_dir() for place in ("images", "labels")):
        raise UsageError(f"{folder} needs the folders images and labels, with files of the same names.")


def make_folder(task: Adapting) -> Path:
    """Write a run folder that describes the whole adaptation.

    Raises:
        FileError: the disk is full, or cannot be written.
    """
    folder = user_runs() / f"{task.name}-{datetime.now(UTC).strftime('%Y%m%d-%H%M%S-%f')}"
    targets = [str(path.absolute()) for path in task.folders]
    if task.scans:
        write_scans(task.scans, folder / TARGET)
        targets.insert(0, str(folder / TARGET))
    user_models().mkdir(parents=True, exist_ok=True)
    job = Job(
        (str(task.source.absolute()),), str(user_models() / f"{task.name}{SUFFIX}"), str(task.start),
        targets=tuple(targets), steps=task.steps, only_better=True, device=task.device, threads=task.threads,
        command="Adapt without labels in napari",
    )  # fmt: skip
    write_job(folder, job)
    return folder


def write_scans(scans: Sequence[NewScan], folder: Path) -> None:
    """Each as a file, in the voxels and the place of the scan it was opened from."""
    folder.mkdir(parents=True, exist_ok=True)
    for scan in scans:
        write(folder / scan.case, replace(scan.placement.volume(scan.array), stored=None))


def is_adaptation(folder: Path) -> bool:
    """Whether a run folder adapts a model instead of training one."""
    with suppress(GansegError):
        return bool(read_job(folder).targets)
    return False
