"""The command `napari-ganseg`: segment, evaluate, train, adapt, models and doctor, without napari."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence

from napari_ganseg import __version__
from napari_ganseg.cli import adapt, doctor, evaluate, models, segment, train
from napari_ganseg.errors import GansegError, UsageError

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
    for command in (segment, evaluate, train, adapt, models, doctor):
        command.add(commands)
    return top
