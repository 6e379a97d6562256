"""napari-ganseg adapt MODEL VOLUMES --source DATA --out MODEL: fit a model to a scanner without labels."""

from __future__ import annotations

import argparse
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ganseg.cli.bar import with_bar
from napari_ganseg.cli.train import name_to_write, positive, run_in
from napari_ganseg.errors import UsageError

if TYPE_CHECKING:
    from napari_ganseg.training.job import Job
    from napari_ganseg.training.outcome import Outcome

WORDS = (
    "Adapt a model to scans without labels, for example of a new scanner. Labelled scans like those it was trained on "
    "are made to look like the new ones, and the model learns from them; the new ones themselves are learnt from "
    "without labels. It first says whether there is anything to adapt, and in the end whether the result is better: "
    "only then is it written to --out."
)


def add(commands: Any) -> None:
    """The command and its options."""
    command = commands.add_parser("adapt", help="fit a model to a scanner without labels", description=WORDS)
    command.add_argument("model", metavar="MODEL", help="a name that `models` shows, or a model file")
    command.add_argument("volumes", type=Path, nargs="+", metavar="VOLUMES", help="new scans, or folders of them")
    command.add_argument(
        "--source", type=Path, action="append", metavar="DATA", help="images/ and labels/ like the model's own"
    )
    command.add_argument("--out", type=Path, required=True, metavar="MODEL", help="NAME.ganseg.safetensors")
    command.add_argument("--run", type=Path, metavar="FOLDER", help="keep checkpoints and progress here")
    command.add_argument("--steps", type=positive, help="instead of the usual number")
    command.add_argument("--adversary", type=float, metavar="WEIGHT", help="of the second discriminator; 0: without")
    command.add_argument("--device", help="auto (default), cuda, mps or cpu")
    command.add_argument("--threads", type=positive, help="of the processor; fewer are faster on a busy machine")
    command.set_defaults(command=run, tensorboard=False, allow_download=False)


def run(options: argparse.Namespace) -> int:
    """Describe the adaptation in a run folder, and carry it out there; `train --run FOLDER` goes on with it."""
    from napari_ganseg.training.job import user_runs, write_job

    name, now = name_to_write(options.out), datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    folder = options.run or user_runs() / f"{name}-{now}"
    write_job(folder, new_job(options))
    return run_in(folder, True, options)


def new_job(options: argparse.Namespace) -> Job:
    """What the command line asks for, with absolute paths.

    Raises:
        UsageError: there is no source, or a new scan is not there.
    """
    from napari_ganseg.training.job import Job

    if not options.source:
        raise UsageError(no_source(options.model))
    for path in options.volumes:
        if not path.exists():
            raise UsageError(f"There is no {path}.")
    if Path(options.model).is_file() and options.out.exists() and options.out.samefile(options.model):
        raise UsageError(f"{options.out} is the model to adapt; give --out another name, so that the original stays.")
    return Job(
        data=tuple(str(folder.absolute()) for folder in options.source),
        out=str(options.out.absolute()),
        start=str(Path(options.model).absolute()) if Path(options.model).is_file() else options.model,
        targets=tuple(str(path.absolute()) for path in options.volumes),
        steps=options.steps or 0,
        adversary=options.adversary,
        only_better=True,
        device=options.device or "auto",
        threads=options.threads or 0,
        command=shlex.join(["napari-ganseg", *map(str, options.arguments)]),
    )


def no_source(name: str) -> str:
    """What is missing, and where it may be had."""
    from napari_ganseg.adaptation import words
    from napari_ganseg.models import find_model

    return words.no_source(find_model(name).card, "--source DATA with images/ and labels/", "napari-ganseg train")


def adapted(folder: Path, options: argparse.Namespace) -> Outcome:
    """Carry out what a run folder describes; whoever writes into its control file steers it."""
    import torch

    from napari_ganseg.adaptation.execution import execute
    from napari_ganseg.io.names import shown
    from napari_ganseg.training.control import steered
    from napari_ganseg.training.follow import read_table
    from napari_ganseg.training.job import read_job

    if threads := options.threads or read_job(folder).threads:
        torch.set_num_threads(threads)
    work = execute(folder, options.device or "")
    with steered(work, folder):
        outcome = with_bar(work)
    for name, fault, odd in read_table(folder):
        if fault or odd:
            print(f"{'left out ' if fault else ''}{shown(name)}: {fault or odd}", file=sys.stderr)
    return outcome
