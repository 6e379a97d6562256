"""The page on the stored runs: the latest of every command, its claims, its figures, how memory and time grow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.accuracy.plots import can_plot
from benchmarks.accuracy.tables import table
from benchmarks.record import lines
from benchmarks.speed.claims import RECORD
from benchmarks.speed.plots import plot

PAGE = Path("docs/benchmarks/speed.md")
OPENING = """\
# How near the machine's limit

One scan, one network, the same weights: MONAI's `sliding_window_inference` as it is commonly called (float32, overlap
0.5, Gaussian weights, one window at a time, argmax over the finished scores), the same under bfloat16, the network
alone on the same tiles, and this engine as it comes. Times are medians over rounds in one process that take every way
in turn; ratios are formed within a round. Peaks are those of a fresh process each, less what it held before and less
the labels; *reckoned* stands where MONAI's scores did not fit, and is arithmetic. Shapes are (z, y, x). *unet* is a
DynUNet of 16 to 128 features with random weights and tiles of 96 x 96 x 96; *shipped* is the head-and-neck model,
widened to more classes that never win, on the sample scan; *one convolution* leaves what surrounds a network.

```bash
python -m benchmarks.speed --quick      # under a minute on a quiet machine
python -m benchmarks.speed --overhead   # seconds beyond the network
python -m benchmarks.speed --memory     # peaks
python -m benchmarks.speed --growth     # seconds over voxels
export GANSEG_DATA=...                  # the folder of the project's data
python -m benchmarks.speed --scan       # held-out patients
python -m benchmarks.speed --report     # this page
```
"""
COMMANDS = ("quick", "scan", "overhead", "memory", "growth")


def report(record: Path = RECORD, page: Path = PAGE) -> int:
    """Write the page; 0 where all claims of all commands hold in their latest run."""
    latest = {line["command"]: line for line in lines(record)}
    page.parent.mkdir(parents=True, exist_ok=True)
    if can_plot():
        plot(latest, page.with_suffix(".png"))
    text = "\n".join(written(latest, page, has_picture=can_plot()))
    page.write_text(text + "\n", encoding="utf-8")
    print(text)
    missing = [command for command in COMMANDS if command not in latest]
    failed = [command for command, line in latest.items() if not line["holds"]]
    print(f"not run: {', '.join(missing) or 'none'}; do not hold: {', '.join(failed) or 'none'}")
    return 1 if missing or failed else 0


def written(latest: dict[str, dict[str, Any]], page: Path, has_picture: bool) -> Iterator[str]:
    """Lines of the page."""
    yield OPENING
    if has_picture:
        yield from (f"![How memory and time grow]({page.with_suffix('.png').name})", "")
    for command in (c for c in COMMANDS if c in latest):
        line = latest[command]
        yield from (f"## {command.capitalize()}", "")
        yield from (f"{line['date']}, load {line['load']}: {line['machine']}.", "")
        yield from (f"- {'PASS' if claim['holds'] else 'FAIL'} {claim['words']}" for claim in line["claims"])
        yield ""
        yield from figures(line["rows"])
        yield ""


def figures(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The rows as a table, columns in the order in which they come up."""
    headings = [*dict.fromkeys(key for row in rows for key in row)]
    cells = [[shown(row.get(key)) for key in headings] for row in rows]
    yield from table([key.replace("_", " ") for key in headings], cells)


def shown(value: object) -> str:
    """A figure, short."""
    if isinstance(value, list):
        return "x".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else ""
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
