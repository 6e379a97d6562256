"""A run folder brought to its end: cases read and named, trained, compared with the parent, the model written."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from napari_ganseg.errors import UsageError
from napari_ganseg.io import read
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.io.holder import Holder
from napari_ganseg.io.lock import take
from napari_ganseg.io.names import shown
from napari_ganseg.models import Model, find_model, save_model
from napari_ganseg.models.file import name_of
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.training import ranks
from napari_ganseg.training.cases import Case, Verdict, good_cases, is_case, scan_folder, with_values, without_copies
from napari_ganseg.training.checkpoint import has_state, sweep
from napari_ganseg.training.comparison import Trained, outcome_of
from napari_ganseg.training.config import TrainConfig, config_from_json
from napari_ganseg.training.files import CASES, CONFIG, LOCK
from napari_ganseg.training.job import Job, finish, read_job
from napari_ganseg.training.loop import training
from napari_ganseg.training.outcome import Outcome, write_outcome
from napari_ganseg.training.pace import note_pace
from napari_ganseg.training.planning import plan
from napari_ganseg.training.provenance import Place
from napari_ganseg.volume import Volume

CONSISTENCY = 1.0  # weight of the mean teacher where a job names images without labels


@dataclass(frozen=True, slots=True, eq=False)
class Execution:
    """A training that is ready to begin or to go on.

    Attributes:
        verdicts: what became of each pair of files.
        parent: the model it starts from; None also where checkpoints have taken its place.
    """

    folder: Path
    job: Job
    config: TrainConfig
    cases: Sequence[Case]
    verdicts: Sequence[Verdict]
    parent: Model | None


def set_up(folder: Path, *, is_new: bool = False) -> Execution:
    """Read what a run folder describes: its job, its cases, its configuration or a planned one.

    Args:
        folder: holds a job.
        is_new: whether the job, rather than what the folder trained before, says the configuration.

    Raises:
        UsageError: a case or an option cannot be used; the message names it.
    """
    job = read_job(folder)
    config = read_config(folder / CONFIG) if not is_new and (folder / CONFIG).exists() else None
    is_decided = config is not None
    if config is None and job.config:
        config = read_config(Path(job.config))
    verdicts = read_cases(job.data, config)
    if ranks.is_first():
        write_bytes(folder / CASES, (json.dumps(table(verdicts), indent=1) + "\n").encode())
    cases = good_cases(verdicts)
    parent = find_model(job.start) if job.start and not has_state(folder) else None
    config = config or plan(cases, name_of(job.out), parent.card if parent else None, job.steps)
    return Execution(folder, job, config if is_decided else as_asked(config, job, parent), cases, verdicts, parent)


def read_config(path: Path) -> TrainConfig:
    """The configuration in a file."""
    try:
        return config_from_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"Cannot read the configuration {shown(path)}: {error.strerror}.") from error


def read_cases(data: Sequence[str], config: TrainConfig | None) -> list[Verdict]:
    """What became of every pair in the folders."""
    channels, classes = (len(config.card.channels), config.card.classes) if config else (1, ())
    verdicts = without_copies([v for folder in data for v in scan_folder(folder, channels, classes)])
    return [with_values(v, [c.value for c in classes]) for v in verdicts] if config else verdicts


def table(verdicts: Sequence[Verdict]) -> list[dict[str, str]]:
    """A row per pair: its name, why it is left out if it is, and what is odd about it if it is not."""
    return [{"name": v.name, "fault": v.fault, "remark": remark(v)} for v in verdicts]


def remark(verdict: Verdict) -> str:
    """What somebody should look at in a pair that is used."""
    if verdict.case is None or verdict.case.annotation.labels.array.any():
        return ""
    return "nothing is labelled in it; it is learnt from as background alone"


def as_asked(config: TrainConfig, job: Job, parent: Model | None) -> TrainConfig:
    """The configuration under the name of the file to write, with what the job changes."""
    card = replace(config.card, name=name_of(job.out))
    if parent is not None and parent.sha256:
        card = replace(card, provenance=replace(card.provenance, parent_sha256=parent.sha256))
    config = replace(config, card=card, steps=job.steps or config.steps)
    if job.unlabelled and not config.unlabelled.is_used:
        config = replace(config, unlabelled=replace(config.unlabelled, consistency=CONSISTENCY))
    if job.adversary is None:
        return config
    return replace(config, adversary=replace(config.adversary, weight=job.adversary))


def execute(execution: Execution, *, may_download: bool = False) -> Run[Outcome]:
    """Train to the end and write the model; its result is what the training came to.

    Raises:
        UsageError: another process trains in the same folder. Otherwise as `fit`.
    """
    return Run(lambda controls: work(execution, may_download, controls))


def work(execution: Execution, may_download: bool, controls: Controls) -> Generator[Progress, None, Outcome]:
    """Train while nobody else does, then compare and write."""
    folder, job = execution.folder, execution.job
    place = Place(
        folder, job.device, ", ".join(Path(d).name for d in job.data), job.command, execution.parent,
        "" if has_state(folder) else job.encoder_weights, may_download,
        read_unlabelled(job.unlabelled, len(execution.config.card.channels)),
    )  # fmt: skip
    with locked(folder) if ranks.is_first() else nullcontext():
        trained = yield from training(execution.cases, execution.config, place)(controls)
        return ranks.from_first(lambda: written(trained, folder, job))


def written(trained: Trained, folder: Path, job: Job) -> Outcome:
    """The model and what it came to, in their files."""
    outcome = outcome_of(trained, job.out)
    if job.only_better and not outcome.is_better:
        outcome = replace(outcome, model=str(folder / Path(job.out).name))
    sweep(Path(outcome.model).parent, Path(outcome.model).name)  # of a process that was killed here before
    save_model(Path(outcome.model), trained.model.card, trained.model.network)
    write_outcome(folder, outcome)
    finish(folder, Path(outcome.model))
    if trained.pace_s and not ranks.are_several():
        note_pace(trained.model.card.dims, job.start, job.device, trained.pace_s)
    return outcome


def read_unlabelled(places: Sequence[str], channels: int) -> list[Volume]:
    """Scans without labels: files, or all that folders hold.

    Raises:
        UsageError: a folder holds none. FileError: one cannot be read; the message names it.
    """
    volumes = []
    for place in map(Path, places):
        paths = sorted(p for p in place.glob("*") if is_case(p.name)) if place.is_dir() else [place]
        if not paths:
            raise UsageError(f"There are no NIfTI files or pictures in {shown(place)}.")
        volumes += [read(path, channels=channels > 1 or None) for path in paths]
    return volumes


@contextmanager
def locked(folder: Path) -> Generator[None, None, None]:
    """Keep other processes out of a run folder; one that was killed keeps nobody out."""
    lock = take(folder / LOCK)
    if isinstance(lock, Holder):
        raise UsageError(f"{shown(folder)} is being trained by {lock} already.")
    try:
        yield
    finally:
        lock.release()
