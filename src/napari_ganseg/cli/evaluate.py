"""napari-ganseg evaluate PRED TRUTH, for two files or two folders."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ganseg.errors import GansegError, UsageError

if TYPE_CHECKING:
    from napari_ganseg.metrics import Scores


def add(commands: Any) -> None:
    """The command and its options."""
    words = (
        "Dice, surface Dice, HD95, ASSD, volumes and lesions per class, in true millimetres. Two folders are compared "
        "file by file of the same name; a truth without a prediction is named and fails."
    )
    command = commands.add_parser("evaluate", help="compare labels with the truth", description=words)
    command.add_argument("labels", type=Path, metavar="PRED", help="a label file, or a folder of them")
    command.add_argument("truth", type=Path, metavar="TRUTH", help="the reference, a file or folder likewise")
    command.add_argument("--tolerance", type=millimetres, default=1.0, metavar="MM", help="of the surface Dice (1)")
    command.add_argument("--csv", type=Path, metavar="FILE", help="write a row per case and class there")
    command.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print the figures; 3 when some cases could not be compared, 4 when none could."""
    from napari_ganseg.metrics import summary, write_csv

    scores, faults = compared(pairs(options.labels, options.truth), options.tolerance)
    if options.csv and scores:
        write_csv(options.csv, scores)
    for name, fault in faults.items():
        print(f"FAILED {name}: {fault}", file=sys.stderr)
    if len(scores) == 1 and not faults:
        print(next(iter(scores.values())))
    elif scores:
        print(f"{summary(scores.values())}\n{len(scores)} cases, {len(faults)} failed")
    if options.truth.is_dir():
        return 0 if not faults else 3 if scores else 4
    return 1 if faults else 0


def compared(found: dict[str, tuple[Path, Path]], tolerance_mm: float) -> tuple[dict[str, Scores], dict[str, str]]:
    """Scores of each pair by its name, and why others have none."""
    from napari_ganseg.metrics import evaluate

    scores, faults = {}, {}
    for name, (labels, truth) in found.items():
        try:
            scores[name] = evaluate(labels, truth, tolerance_mm=tolerance_mm)
        except GansegError as error:
            faults[name] = str(error)
    return scores, faults


def pairs(labels: Path, truth: Path) -> dict[str, tuple[Path, Path]]:
    """Each truth with its prediction, by name.

    Raises:
        UsageError: a file against a folder, or no label file in the truth's.
    """
    from napari_ganseg.io.names import shown

    if labels.is_dir() != truth.is_dir():
        raise UsageError("Give two files or two folders, not one of each.")
    if not truth.is_dir():
        return {shown(labels): (labels, truth)}
    there = files_in(labels)
    found = {name: (there.get(name, labels / path.relative_to(truth)), path) for name, path in files_in(truth).items()}
    if not found:
        raise UsageError(f"There are no label files in {shown(truth)}.")
    return found


def files_in(folder: Path) -> dict[str, Path]:
    """Label files below a folder by their path without its ending."""
    from napari_ganseg.io import READABLE
    from napari_ganseg.io.names import stem

    files = [p for p in sorted(folder.rglob("*")) if p.name.lower().endswith(READABLE) and not p.name.startswith(".")]
    return {str(p.relative_to(folder).parent / stem(p)): p for p in files if not p.name.lower().endswith(".img")}


def millimetres(text: str) -> float:
    """Understand a distance."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < 1000:
        raise argparse.ArgumentTypeError("give millimetres, 0 or more")
    return number
