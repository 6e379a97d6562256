"""napari-ganseg train DATA --out MODEL, or --run FOLDER, or --resume."""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ganseg.cli.bar import with_bar
from napari_ganseg.errors import GansegError, UsageError

if TYPE_CHECKING:
    from napari_ganseg.training.job import Job
    from napari_ganseg.training.outcome import Outcome

NEW = (
    "config",
    "out",
    "start",
    "steps",
    "adversary",
    "encoder_weights",
    "unlabelled",
)  # options that only a new training takes


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
    command.add_argument(
        "--unlabelled", type=Path, action="append", metavar="DIR", help="scans without labels that join in"
    )
    command.add_argument("--adversary", type=float, metavar="WEIGHT", help="instead of the configuration's; 0: without")
    command.add_argument("--steps", type=positive, help="instead of the configuration's")
    command.add_argument("--encoder-weights", metavar="FILE", help="of a ResNet; 'imagenet' with --allow-download")
    command.add_argument("--allow-download", action="store_true", help="fetch ImageNet weights from pytorch.org")
    command.add_argument("--tensorboard", action="store_true", help="write curves and pictures for TensorBoard")
    command.add_argument("--device", help="auto (default), cuda, mps or cpu")
    command.add_argument("--threads", type=positive, help="of the processor; fewer are faster on a busy machine")
    command.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Train alone, or together with the processes that torchrun started beside this one."""
    from napari_ganseg.training import ranks

    with ranks.together(), ranks.first_speaks():
        code = run_in(*ranks.from_first(lambda: described(options)), options)
    return ranks.leave(code)


def described(options: argparse.Namespace) -> tuple[Path, bool]:
    """The run folder, which describes the training, and whether it is the command line that does so."""
    from napari_ganseg.training.job import write_job

    folder, is_new = run_folder(options)
    if is_new:
        write_job(folder, new_job(options))
    return folder, is_new


def run_in(folder: Path, is_new: bool, options: argparse.Namespace) -> int:
    """Train in a run folder with a bar, say what came of it."""
    from napari_ganseg.training.job import is_finished, read_job

    job = read_job(folder)
    name_to_write(Path(job.out))
    if not is_new and is_finished(folder):
        made = f"its model is {job.out}" if Path(job.out).is_file() else f"it wrote no model to {job.out}"
        print(f"{folder} is finished; {made}")
        return 0
    print(f"training in {folder}", file=sys.stderr)
    try:
        outcome = trained(folder, options, is_new)
    except KeyboardInterrupt:
        print(f"\ngo on with: napari-ganseg train --run {shlex.quote(str(folder))}", file=sys.stderr)
        raise
    except Exception as error:
        from napari_ganseg.training.follow import note_fault

        note_fault(folder, str(error) if isinstance(error, GansegError) else f"{type(error).__name__}: {error}")
        raise
    print(said(outcome, is_adapted=bool(job.targets)))
    return 0


def said(outcome: Outcome, *, is_adapted: bool) -> str:
    """The last line."""
    if not outcome.model:
        return outcome.verdict
    dice = "" if is_adapted else f"validation Dice {in_words(outcome.after)}. "
    return f"wrote {outcome.model}; {dice}{outcome.verdict}"


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
        unlabelled=tuple(str(folder.absolute()) for folder in options.unlabelled or ()),
        config=str(options.config.absolute()) if options.config else "",
        steps=options.steps or 0,
        adversary=options.adversary,
        device=options.device or "auto",
        threads=options.threads or 0,
        encoder_weights=options.encoder_weights or "",
        command=shlex.join(["napari-ganseg", *map(str, options.arguments)]),
    )


def trained(folder: Path, options: argparse.Namespace, is_new: bool) -> Outcome:
    """Read and check the cases, then train; whoever writes into the folder's control file steers it."""
    import torch

    from napari_ganseg.io.names import shown
    from napari_ganseg.training import ranks
    from napari_ganseg.training.board import Board
    from napari_ganseg.training.control import steered
    from napari_ganseg.training.execution import execute, remark, set_up
    from napari_ganseg.training.job import read_job

    if read_job(folder).targets:
        from napari_ganseg.cli.adapt import adapted

        return adapted(folder, options)
    execution = set_up(folder, is_new=is_new)
    if options.device:
        execution = replace(execution, job=replace(execution.job, device=options.device))
    if threads := options.threads or execution.job.threads:
        torch.set_num_threads(threads)
    for verdict in execution.verdicts:
        if verdict.case is None:
            print(f"left out {shown(verdict.name)}: {verdict.fault}", file=sys.stderr)
        elif odd := remark(verdict):
            print(f"{shown(verdict.name)}: {odd}", file=sys.stderr)
    work = execute(execution, may_download=options.allow_download)
    if not ranks.is_first():
        return work.result
    with Board(folder) if options.tensorboard else nullcontext() as board, steered(work, folder):
        return with_bar(work, *([board.note] if board else []))


def in_words(dice: float | None) -> str:
    """A Dice for people."""
    return "not measured" if dice is None else f"{dice:.3f}"


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
