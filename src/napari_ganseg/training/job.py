"""A job: what a run folder trains on, starts from and writes, so that the folder alone is enough to go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from platformdirs import user_data_path
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from napari_ganseg.errors import FileError, UsageError
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.io.names import shown
from napari_ganseg.models.card import STRICT
from napari_ganseg.training.files import FINISHED, JOB, LAST, PREVIOUS

Words = Annotated[str, Field(max_length=10_000)]


@dataclass(frozen=True, config=STRICT)
class Job:
    """Everything about a training that is not its configuration; paths are absolute.

    Attributes:
        data: folders of `images/` and `labels/`.
        out: the model file to write.
        start: a model to start from, by name or file; empty for fresh weights.
        unlabelled: folders of scans without labels that join in.
        targets: scans, or folders of them, that `start` shall be adapted to; `data` are then scans like its own.
        config: a configuration file; empty to plan one from the data.
        steps, adversary: instead of the configuration's, where given.
        only_better: write the model beside its checkpoints instead of to `out` where it is no better than `start`.
        device, threads: where it computes; 0 threads are torch's own choice.
        encoder_weights: "imagenet" or a file, for a generator on a ResNet; empty for fresh weights.
        command: as the card will say.
    """

    data: Annotated[tuple[Words, ...], Field(min_length=1)]
    out: Words
    start: Words = ""
    unlabelled: tuple[Words, ...] = ()
    targets: tuple[Words, ...] = ()
    config: Words = ""
    steps: Annotated[int, Field(ge=0)] = 0
    adversary: Annotated[float, Field(ge=0, le=10)] | None = None
    only_better: bool = False
    device: Words = "auto"
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    encoder_weights: Words = ""
    command: Words = ""


ADAPTER = TypeAdapter(Job)


def write_job(folder: Path, job: Job) -> None:
    """Put a job into its run folder, which is made.

    Raises:
        UsageError: the folder holds another job.
    """
    if (folder / JOB).exists() and (there := read_job(folder)).out != job.out:
        raise UsageError(f"{shown(folder)} holds the training of {there.out}. Choose another folder to start anew.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"Cannot make the folder {shown(folder)}: {error.strerror}.") from error
    write_bytes(folder / JOB, (json.dumps(ADAPTER.dump_python(job, mode="json"), indent=1) + "\n").encode())


def read_job(folder: Path) -> Job:
    """The job of a run folder.

    Raises:
        UsageError: there is none, or it is not valid; the message names the key.
    """
    try:
        return ADAPTER.validate_json((folder / JOB).read_bytes())
    except OSError as error:
        raise UsageError(
            f"{shown(folder)} describes no training: it has no {JOB}. Start one with DATA --out MODEL --run FOLDER."
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "as a whole"
        raise UsageError(f"{JOB} in {shown(folder)} is not valid: {where}: {first['msg']}.") from error


def finish(folder: Path, model: Path | None) -> None:
    """Note that a run folder's model is written, or that there is none to write; a folder that nobody chose gives the
    room of its checkpoints back.
    """
    path = str(model.absolute()) if model else None
    write_bytes(folder / FINISHED, (json.dumps({"model": path}) + "\n").encode())
    if folder.parent == user_runs():
        for name in (LAST, PREVIOUS):
            (folder / name).unlink(missing_ok=True)


def is_finished(folder: Path) -> bool:
    """Whether a run folder's model was written and is still there, or it ended without one."""
    try:
        path = json.loads((folder / FINISHED).read_bytes())["model"]
        return path is None or Path(path).is_file()
    except (OSError, ValueError, KeyError, TypeError):
        return False


def user_runs() -> Path:
    """Where trainings are kept that were given no folder; it need not exist."""
    return Path(user_data_path("napari-ganseg", appauthor=False)) / "runs"


def newest_run(folder: Path | None = None) -> Path:
    """The run folder that was worked on last and is not finished.

    Args:
        folder: of run folders; the user's own by default.

    Raises:
        UsageError: there is none.
    """
    place = folder or user_runs()
    runs = [path.parent for path in place.glob(f"*/{JOB}") if not is_finished(path.parent)]
    if not runs:
        raise UsageError(f"There is no unfinished training in {shown(place)}.")
    return max(runs, key=lambda run: max(path.stat().st_mtime_ns for path in run.iterdir()))
