"""napari-ganseg evaluate PRED TRUTH."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """The command and its options."""
    command = commands.add_parser(
        "evaluate", help="compare labels with the truth", description="Dice and volume per class."
    )
    command.add_argument("labels", type=Path, metavar="PRED")
    command.add_argument("truth", type=Path, metavar="TRUTH")
    command.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print Dice and volumes per class."""
    from napari_ganseg.metrics import evaluate

    print(evaluate(options.labels, options.truth))
    return 0
