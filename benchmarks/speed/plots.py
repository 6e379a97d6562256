"""A picture: peaks of memory and processor seconds over voxels, both axes logarithmic."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

Rows = Sequence[dict[str, Any]]


def plot(latest: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw what was measured with one convolution into a PNG, without a window."""
    figure = import_module("matplotlib.figure").Figure(figsize=(9, 3.4), layout="constrained")
    import_module("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    rows = [row for name in ("memory", "growth") for row in latest.get(name, {}).get("rows", [])]
    draw(left, rows, "peak_mib", "MiB beyond scan and labels")
    draw(right, rows, "cpu", "processor seconds")
    figure.savefig(path, dpi=110)


def draw(panel: Any, rows: Rows, key: str, label: str) -> None:
    """One figure over voxels, a line per way and number of classes; hollow where it is reckoned."""
    for way, classes in dict.fromkeys((row["way"], row["classes"]) for row in rows):
        mine = [row for row in rows if (row["way"], row["classes"]) == (way, classes) and row[key]]
        mine.sort(key=lambda row: prod(row["shape"]))
        voxels = [prod(row["shape"]) for row in mine]
        [drawn] = panel.plot(voxels, [row[key] for row in mine], label=f"{way}, {classes} classes")
        for row in mine:
            fill = "none" if row["is_reckoned"] else drawn.get_color()
            panel.plot(prod(row["shape"]), row[key], "o", markeredgecolor=drawn.get_color(), markerfacecolor=fill)
    panel.set(xscale="log", yscale="log", xlabel="voxels", ylabel=label)
    if rows:
        panel.legend(fontsize=7)
