"""Is the engine near the machine's limit? Exits 0 when every claim that was asked for holds.

python -m benchmarks.speed --quick      # the shipped network, 25 classes, 128 x 128 x 96: under a minute
python -m benchmarks.speed --scan       # head-and-neck patients at full resolution; needs GANSEG_DATA
python -m benchmarks.speed --overhead   # seconds beyond the bare network at 3, 25 and 117 classes
python -m benchmarks.speed --memory     # peaks, twice the slices, the whole body
python -m benchmarks.speed --growth     # seconds over voxels
python -m benchmarks.speed              # all of these
python -m benchmarks.speed --report     # the page on the latest runs
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import torch

from benchmarks.record import add_line
from benchmarks.speed.claims import RECORD, Finding
from benchmarks.speed.growth import growth
from benchmarks.speed.memory import memory
from benchmarks.speed.report import report
from benchmarks.speed.scan import scan
from benchmarks.speed.table import overhead, quick
from benchmarks.speed.ways import quiet

COMMANDS: dict[str, Callable[[str], Finding]] = {
    "quick": quick, "scan": scan, "overhead": overhead, "memory": memory, "growth": growth,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked, or report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=(__doc__ or "").splitlines()[0])
    for name, command in COMMANDS.items():
        parser.add_argument(f"--{name}", action="store_true", help=(command.__doc__ or "").partition("\n")[0])
    parser.add_argument("--report", action="store_true", help="write the page on the latest runs")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    if options.report:
        return report()
    asked = [name for name in COMMANDS if getattr(options, name)] or list(COMMANDS)
    with quiet():
        findings = [measured(name, options.device) for name in asked]
    print("; ".join(str(claim) for finding in findings for claim in finding.claims))
    return 0 if all(finding.holds for finding in findings) else 1


def measured(name: str, device: str) -> Finding:
    """Carry out a command, print its figures, keep them."""
    finding = COMMANDS[name](device)
    for row in finding.rows:
        print(", ".join(f"{key} {value}" for key, value in row.items()))
    print(*finding.claims, sep="\n", flush=True)
    add_line(finding.line, RECORD)
    return finding


if __name__ == "__main__":
    raise SystemExit(main())
