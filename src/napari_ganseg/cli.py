"""The command `napari-ganseg`: segment, evaluate, train, models and doctor, without napari."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from napari_ganseg import __version__
from napari_ganseg.errors import GansegError, UsageError
from napari_ganseg.run import Run

T = TypeVar("T")
OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    options = parser().parse_args(arguments)
    options.arguments = list(arguments) if arguments is not None else sys.argv[1:]
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except UsageError as error:
        print(f"napari-ganseg: {error}", file=sys.stderr)
        return USAGE
    except GansegError as error:
        print(f"napari-ganseg: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("napari-ganseg: interrupted; nothing half-written was left.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(
        prog="napari-ganseg", description="Segment CT and MRI: named labels on the scan's own grid."
    )
    top.add_argument("--version", action="version", version=f"napari-ganseg {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    add_segment(commands)
    add_evaluate(commands)
    add_train(commands)
    add_models(commands)
    doctor = commands.add_parser("doctor", help="check Python, napari, Qt, torch, the GPU and the models")
    doctor.set_defaults(command=run_doctor)
    return top


def add_segment(commands: Any) -> None:
    """napari-ganseg segment IN OUT --model NAME."""
    command = commands.add_parser(
        "segment", help="segment one scan", description="Segment one NIfTI scan onto its own grid."
    )
    command.add_argument("scan", type=Path, metavar="IN", help="the scan: .nii, .nii.gz or .hdr/.img")
    command.add_argument(
        "labels", type=Path, metavar="OUT", help="the labels to write: .nii or .nii.gz; names go to a .json beside it"
    )
    command.add_argument("--model", required=True, help="a name that 'napari-ganseg models' shows, or a model file")
    command.add_argument("--device", default="auto", help="auto (default), cuda, mps or cpu")
    command.add_argument("--strict", action="store_true", help="refuse a scan that is not what the model knows")
    axes = "voxels to look at, in the order bottom-top, back-front, left-right; labels elsewhere are 0"
    command.add_argument("--region", type=box, metavar="Z0:Z1,Y0:Y1,X0:X1", help=axes)
    command.add_argument("--frame", type=int, help="which image along the fourth axis, from 0")
    command.add_argument("--channels", action="store_true", help="the fourth axis holds channels")
    command.add_argument("--voxel-sizes-only", action="store_true", help="ignore an invalid orientation")
    command.set_defaults(command=run_segment)


def add_evaluate(commands: Any) -> None:
    """napari-ganseg evaluate PRED TRUTH."""
    command = commands.add_parser(
        "evaluate", help="compare labels with the truth", description="Dice and volume per class."
    )
    command.add_argument("labels", type=Path, metavar="PRED")
    command.add_argument("truth", type=Path, metavar="TRUTH")
    command.set_defaults(command=run_evaluate)


def add_train(commands: Any) -> None:
    """napari-ganseg train DATA --out MODEL."""
    words = (
        "Train on DATA/images and DATA/labels, files of the same names. "
        "A killed training goes on where it was when given the same --run."
    )
    command = commands.add_parser("train", help="train a model", description=words)
    command.add_argument("data", type=Path, nargs="+", metavar="DATA", help="one folder, or several")
    command.add_argument("--out", type=Path, required=True, metavar="MODEL", help="NAME.ganseg.safetensors")
    command.add_argument("--config", type=Path, help="a configuration (JSON); without one it is planned from the data")
    command.add_argument("--run", type=Path, metavar="FOLDER", help="keep checkpoints and progress here")
    command.add_argument("--adversary", type=float, metavar="WEIGHT", help="instead of the configuration's; 0: without")
    command.add_argument("--steps", type=positive, help="instead of the configuration's")
    command.add_argument("--device", default="auto", help="auto (default), cuda, mps or cpu")
    command.add_argument("--threads", type=positive, help="of the processor; fewer are faster on a busy machine")
    command.set_defaults(command=run_train)


def add_models(commands: Any) -> None:
    """napari-ganseg models."""
    command = commands.add_parser(
        "models", help="list the models", description="Every model found, and what is wrong with others."
    )
    command.add_argument("name", nargs="?", help="show this one's whole card")
    command.set_defaults(command=run_models)


def run_segment(options: argparse.Namespace) -> int:
    """Check the target before computing, segment, write, print the volumes."""
    from napari_ganseg.io import check_target, read, write
    from napari_ganseg.io.nifti import Orientation

    check_target(options.labels)
    orientation: Orientation = "voxel-sizes" if options.voxel_sizes_only else "file"
    channels = options.channels or (channels_of(options.model) > 1) or None
    volume = read(options.scan, frame=options.frame, channels=channels, orientation=orientation)
    check_target(options.labels, volume.stored)
    from napari_ganseg.inference.engine import Settings, segmentation

    settings = Settings(region=options.region, device=options.device, strict=options.strict)
    labels = with_bar(segmentation(volume, options.model, settings))
    for note in labels.notes:
        print(f"Note: {note}", file=sys.stderr)
    write(options.labels, labels)
    for value, voxels in labels.counts().items():
        print(f"{value:>4}  {labels.name_of(value):<32} {voxels:>10} voxels {voxels * labels.voxel_ml:>10.3f} mL")
    print(f"wrote {options.labels}")
    return OK


def channels_of(model: str) -> int:
    """How many channels a model wants, from its card alone."""
    from napari_ganseg.models import find_card

    return len(find_card(model).channels)


def run_evaluate(options: argparse.Namespace) -> int:
    """Print Dice and volumes per class."""
    from napari_ganseg.metrics import evaluate

    print(evaluate(options.labels, options.truth))
    return OK


def run_train(options: argparse.Namespace) -> int:
    """Check the pairs, train with a bar, save the model."""
    name = name_to_write(options.out)
    import torch

    from napari_ganseg.io.names import shown
    from napari_ganseg.models import save_model
    from napari_ganseg.training import fit, good_cases, scan_folder
    from napari_ganseg.training.cases import with_values
    from napari_ganseg.training.provenance import Place

    if options.threads:
        torch.set_num_threads(options.threads)
    config = read_config(options.config)
    channels, classes = (len(config.card.channels), config.card.classes) if config else (1, ())
    verdicts = [v for folder in options.data for v in scan_folder(folder, channels, classes)]
    if config:
        verdicts = [with_values(v, [c.value for c in config.card.classes]) for v in verdicts]
    for verdict in verdicts:
        if verdict.case is None:
            print(f"left out {shown(verdict.name)}: {verdict.fault}", file=sys.stderr)
    cases = good_cases(verdicts)
    config = finished_config(config, cases, name, options.steps)
    if options.adversary is not None:
        config = replace(config, adversary=replace(config.adversary, weight=options.adversary))
    command = shlex.join(["napari-ganseg", *map(str, options.arguments)])
    place = Place(options.run, options.device, data=", ".join(folder.name for folder in options.data), command=command)
    model = with_bar(fit(cases, config, place))
    save_model(options.out, model.card, model.network)
    print(f"wrote {options.out}; validation Dice {model.card.provenance.metrics['validation_dice']:.3f}")
    return OK


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


def read_config(path: Path | None) -> Any:
    """The configuration in a file, or None."""
    from napari_ganseg.training import config_from_json

    if path is None:
        return None
    try:
        return config_from_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"Cannot read the configuration {path}: {error.strerror}.") from error


def finished_config(config: Any, cases: Any, name: str, steps: int | None) -> Any:
    """The configuration of this training: planned where none was given, under the name of the file to write."""
    from napari_ganseg.training import plan

    config = config or plan(cases, name)
    config = replace(config, card=replace(config.card, name=name))
    return replace(config, steps=steps) if steps else config


def run_models(options: argparse.Namespace) -> int:
    """List models by name, or print one card."""
    from napari_ganseg.models import find_card, search_models
    from napari_ganseg.models.card import card_to_json

    if options.name:
        import json

        print(json.dumps(json.loads(card_to_json(find_card(options.name))), indent=1))
        return OK
    for found in search_models():
        if found.card is None:
            print(f"{found.path.name}\n    CANNOT BE USED: {found.fault}")
            continue
        card = found.card
        dice = card.provenance.metrics.get("test_dice", card.provenance.metrics.get("validation_dice"))
        score = f", Dice {dice:.3f}" if dice is not None else ""
        print(f"{card.name} ({card.dims}D {card.modality}{score}, {card.licence})\n    {card.summary}")
        print("    " + ", ".join(f"{c.value} {c.name}" for c in card.classes))
    return OK


def run_doctor(options: argparse.Namespace) -> int:
    """Print what works and how to mend what does not."""
    from napari_ganseg.doctor import check_all

    findings = check_all()
    for finding in findings:
        print(f"{'ok  ' if finding.is_fine else 'FIX '} {finding.what}: {finding.state}")
        if finding.fix:
            print(f"       -> {finding.fix}")
    return OK if all(f.is_fine for f in findings) else FAILED


def with_bar(run: Run[T]) -> T:
    """Run to the end with a bar on the terminal (none where standard error is not one)."""
    from tqdm import tqdm

    with tqdm(disable=None, leave=False, dynamic_ncols=True) as bar:
        for progress in run:
            bar.total = progress.total or None
            bar.set_description(progress.doing, refresh=False)
            bar.set_postfix({k: f"{v:.3f}" for k, v in progress.figures.items()}, refresh=False)
            bar.update(progress.done - bar.n)
    return run.result


def box(text: str) -> list[slice]:
    """Understand "10:50,0:60,20:60" as voxel ranges, one per axis."""
    try:
        bounds = [[int(n) if n else None for n in part.split(":")] for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError("write it like 10:50,0:60,20:60") from error
    if any(len(pair) != 2 for pair in bounds):
        raise argparse.ArgumentTypeError("write it like 10:50,0:60,20:60")
    return [slice(start, stop) for start, stop in bounds]


def positive(text: str) -> int:
    """Understand a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("give a whole number, 1 or more")
    return int(text)
