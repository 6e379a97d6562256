"""napari-ganseg train DATA --out MODEL, or --run FOLDER, or --resume."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ganseg.cli.bar import with_bar
from napari_ganseg.errors import UsageError

if TYPE_CHECKING:
    from napari_ganseg.models import Model
    from napari_ganseg.training import Case, TrainConfig
    from napari_ganseg.training.job import Job

NEW = ("config", "out", "start", "steps", "adversary", "encoder_weights")  # options that only a new training takes


def add(commands: Any) -> None:
    """The command and its options."""
    words = (
        "Train on DATA/images and DATA/labels, files of the same names. A killed training goes on where it was: with "
        "--run FOLDER, which describes it whole, or with --resume, the newest one that is not finished."
    )
    command = commands.add_parser("train", help="train a model", description=words)
    command.add_argument("data", type=Path, nargs="*", metavar="DATA", help="one folder, or several")
    command.add_argument("--out", type=Path, metavar="MODEL", help="NAME.ganseg.safetensors")
    command.add_argument("--run", type=Path, metavar="FOLDER", help="keep checkpoints and progress here")
    command.add_argument("--resume", action="store_true", help="go on with the newest unfinished training")
    command.add_argument("--config", type=Path, help="a configuration (JSON); without one it is planned from the data")
    command.add_argument("--start", metavar="MODEL", help="start from this model's weights, by name or file")
    command.add_argument("--adversary", type=float, metavar="WEIGHT", help="instead of the configuration's; 0: without")
    command.add_argument("--steps", type=positive, help="instead of the configuration's")
    command.add_argument("--encoder-weights", metavar="FILE", help="of a ResNet; 'imagenet' with --allow-download")
    command.add_argument("--allow-download", action="store_true", help="fetch ImageNet weights from pytorch.org")
    command.add_argument("--tensorboard", action="store_true", help="write curves and pictures for TensorBoard")
    command.add_argument("--device", default="auto", help="auto (default), cuda, mps or cpu")
    command.add_argument("--threads", type=positive, help="of the processor; fewer are faster on a busy machine")
    command.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Find or make the run folder, train with a bar, save the model."""
    folder, is_new = run_folder(options)
    from napari_ganseg.training.job import finish, is_finished, read_job, write_job

    if is_new:
        write_job(folder, new_job(options))
    job = read_job(folder)
    out = Path(job.out)
    name_to_write(out)
    if not is_new and is_finished(folder):
        print(f"{folder} is finished; its model is {out}")
        return 0
    print(f"training in {folder}", file=sys.stderr)
    try:
        model = trained(folder, job, options, is_new)
    except KeyboardInterrupt:
        print(f"\ngo on with: napari-ganseg train --run {shlex.quote(str(folder))}", file=sys.stderr)
        raise
    from napari_ganseg.models import save_model

    save_model(out, model.card, model.network)
    finish(folder, out)
    print(f"wrote {out}; validation Dice {model.card.provenance.metrics['validation_dice']:.3f}")
    return 0


def run_folder(options: argparse.Namespace) -> tuple[Path, bool]:
    """The run folder, and whether the command line describes the training instead of the folder.

    Raises:
        UsageError: neither does, or both do.
    """
    from napari_ganseg.training.job import newest_run, user_runs

    if options.data:
        if options.resume:
            raise UsageError("--resume goes on with the training its folder describes; leave out DATA.")
        if options.out is None:
            raise UsageError("Say which model to write: --out NAME.ganseg.safetensors.")
        name, now = name_to_write(options.out), datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        return options.run or user_runs() / f"{name}-{now}", True
    if options.run is None and not options.resume:
        raise UsageError("Say what to train on: DATA --out MODEL. To go on with a training: --run FOLDER, or --resume.")
    if given := [f"--{name.replace('_', '-')}" for name in NEW if getattr(options, name) is not None]:
        raise UsageError(
            f"The run folder describes the training; leave out {', '.join(given)}, or give DATA and --out."
        )
    return options.run or newest_run(), False


def new_job(options: argparse.Namespace) -> Job:
    """What the command line asks for, with absolute paths."""
    from napari_ganseg.training.job import Job

    start = options.start or ""
    return Job(
        data=tuple(str(folder.absolute()) for folder in options.data),
        out=str(options.out.absolute()),
        start=str(Path(start).absolute()) if Path(start).is_file() else start,
        encoder_weights=options.encoder_weights or "",
        command=shlex.join(["napari-ganseg", *map(str, options.arguments)]),
    )


def trained(folder: Path, job: Job, options: argparse.Namespace, is_new: bool) -> Model:
    """Read and check the cases, then train."""
    import torch

    from napari_ganseg.training import fit
    from napari_ganseg.training.board import Board
    from napari_ganseg.training.provenance import Place

    if options.threads:
        torch.set_num_threads(options.threads)
    config = read_config(options.config if is_new else folder / "config.json", is_needed=is_new)
    cases = read_cases(job.data, config)
    parent, encoder_weights = first_weights(job, folder)
    config = config or planned(cases, job, parent)
    if is_new:
        config = as_asked(config, options, parent)
    place = Place(
        folder, options.device, ", ".join(Path(d).name for d in job.data), job.command, parent,
        encoder_weights, options.allow_download,
    )  # fmt: skip
    with Board(folder) if options.tensorboard else nullcontext() as board:
        return with_bar(fit(cases, config, place), *([board.note] if board else []))


def read_cases(data: Sequence[str], config: TrainConfig | None) -> list[Case]:
    """Every usable case of the folders; the others are named."""
    from napari_ganseg.io.names import shown
    from napari_ganseg.training import good_cases, scan_folder
    from napari_ganseg.training.cases import with_values

    channels, classes = (len(config.card.channels), config.card.classes) if config else (1, ())
    verdicts = [v for folder in data for v in scan_folder(folder, channels, classes)]
    if config:
        verdicts = [with_values(v, [c.value for c in classes]) for v in verdicts]
    for verdict in verdicts:
        if verdict.case is None:
            print(f"left out {shown(verdict.name)}: {verdict.fault}", file=sys.stderr)
    return good_cases(verdicts)


def read_config(path: Path | None, *, is_needed: bool) -> TrainConfig | None:
    """The configuration in a file; None where none was given."""
    from napari_ganseg.training import config_from_json

    if path is None or not (is_needed or path.exists()):
        return None
    try:
        return config_from_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"Cannot read the configuration {path}: {error.strerror}.") from error


def first_weights(job: Job, folder: Path) -> tuple[Model | None, str]:
    """The model and the encoder's weights to start from; a training that has checkpoints needs neither any more."""
    from napari_ganseg.models import find_model
    from napari_ganseg.training.checkpoint import has_state

    if has_state(folder):
        return None, ""
    return (find_model(job.start) if job.start else None), job.encoder_weights


def planned(cases: Sequence[Case], job: Job, parent: Model | None) -> TrainConfig:
    """A configuration for data nobody described."""
    from napari_ganseg.training import plan

    return plan(cases, name_to_write(Path(job.out)), parent.card if parent else None)


def as_asked(config: TrainConfig, options: argparse.Namespace, parent: Model | None) -> TrainConfig:
    """The configuration under the name of the file to write, with what the options change."""
    card = replace(config.card, name=name_to_write(options.out))
    if parent is not None and parent.sha256:
        card = replace(card, provenance=replace(card.provenance, parent_sha256=parent.sha256))
    config = replace(config, card=card, steps=options.steps or config.steps)
    if options.adversary is None:
        return config
    return replace(config, adversary=replace(config.adversary, weight=options.adversary))


def name_to_write(path: Path) -> str:
    """The name of the model that a path stands for, checked before anything is computed."""
    from napari_ganseg.models import is_model_name
    from napari_ganseg.models.file import SUFFIX

    name = path.name.removesuffix(SUFFIX)
    if name == path.name or not is_model_name(name):
        raise UsageError(f"--out must be a name of letters, digits, '.', '-' and '_' that ends in {SUFFIX}, "
                         f"for example liver{SUFFIX}.")  # fmt: skip
    if not path.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {path.absolute().parent}. Make it first.")
    return name


def positive(text: str) -> int:
    """Understand a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("give a whole number, 1 or more")
    return int(text)
