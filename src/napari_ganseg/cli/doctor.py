"""napari-ganseg doctor."""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    """The command; it has no options."""
    command = commands.add_parser("doctor", help="check Python, napari, Qt, torch, the GPU and the models")
    command.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print what works and how to mend what does not."""
    from napari_ganseg.doctor import check_all

    findings = check_all()
    for finding in findings:
        print(f"{'ok  ' if finding.is_fine else 'FIX '} {finding.what}: {finding.state}")
        if finding.fix:
            print(f"       -> {finding.fix}")
    return 0 if all(f.is_fine for f in findings) else 1
