"""A class's volumes as a strip of dots in SVG: one dot a case, the median, and the range nothing is said about."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from napari_ganseg.report.case import readable
from napari_ganseg.report.distribution import Distribution

WIDTH, HEIGHT, EDGE = 560, 132, 14
TOP, AXIS = 24, 104  # where the strip begins and where its axis lies
RADIUS = 4.0
TICKS = 5


def strip(spread: Distribution) -> str:
    """The drawing; what it shows is also in its description and in the titles of the dots."""
    low, high = domain(spread)
    scale = (WIDTH - 2 * EDGE) / (high - low)
    xs = [EDGE + (ml - low) * scale for ml in spread.volumes_ml]
    median = EDGE + (spread.median_ml - low) * scale
    band = [EDGE + (min(max(end, low), high) - low) * scale for end in spread.limits_ml or (low, low)]
    words = f"{readable(spread.name)}: {len(xs)} cases, median {spread.median_ml:.4g} mL"
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words)}">',
        f'<rect class="band" x="{band[0]:.1f}" y="{TOP}" rx="3" width="{band[1] - band[0]:.1f}"'
        f' height="{AXIS - TOP}"/>',
        axis(low, high, scale),
        f'<line class="median" x1="{median:.1f}" x2="{median:.1f}" y1="{TOP - 4}" y2="{AXIS}"/>',
        f'<text class="median-label" x="{median:.1f}" y="{TOP - 10}" text-anchor="{anchor(median)}">'
        f"median {figure(spread.median_ml)} mL</text>",
        *dots(spread, xs),
        "</svg>",
    ]
    return "".join(parts)


def figure(ml: float) -> str:
    """Millilitres with three figures, zeros at the end too."""
    return f"{ml:#.3g}".rstrip(".")


def domain(spread: Distribution) -> tuple[float, float]:
    """First and last millilitre of the axis: all dots with a little room, never below nothing."""
    low, high = min(spread.volumes_ml), max(spread.volumes_ml)
    room = 0.06 * (high - low) or max(0.1 * high, 0.5)
    return max(0.0, low - room), high + room


def axis(low: float, high: float, scale: float) -> str:
    """A line with round numbers below."""
    step = round_step((high - low) / TICKS)
    digits = len(f"{step:g}".partition(".")[2])
    marks = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    ticks = [(EDGE + (float(m) - low) * scale, f"{float(m):.{digits}f}") for m in marks]
    return f'<line class="axis" x1="{EDGE}" x2="{WIDTH - EDGE}" y1="{AXIS}" y2="{AXIS}"/>' + "".join(
        f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{AXIS}" y2="{AXIS + 5}"/>'
        f'<text class="tick-label" x="{x:.1f}" y="{AXIS + 19}" text-anchor="middle">{label}</text>'
        for x, label in ticks
    )


def round_step(step: float) -> float:
    """The next larger of 1, 2, 2.5 and 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(step))
    return float(next(power * f for f in (1, 2, 2.5, 5, 10) if power * f >= step * 0.999))


def anchor(x: float) -> str:
    """Where a label is held, so that it does not run out of the drawing."""
    return "start" if x < 70 else "end" if x > WIDTH - 70 else "middle"


def dots(spread: Distribution, xs: Sequence[float]) -> list[str]:
    """A dot per case, beside each other where they would meet; those far out are marked."""
    drawn = []
    for case, ml, x, y in zip(spread.cases, spread.volumes_ml, xs, heights(xs), strict=True):
        side = spread.side_of(ml)
        look = f'class="dot far" r="{RADIUS + 1.5}"' if side else f'class="dot" r="{RADIUS}" fill="{spread.colour}"'
        title = f"{case}: {ml:.4g} mL" + (f", far {'below' if side == 'low' else 'above'} the others" if side else "")
        drawn.append(f'<circle {look} cx="{x:.1f}" cy="{y:.1f}"><title>{escape(title)}</title></circle>')
    return drawn


def heights(xs: Sequence[float]) -> list[float]:
    """A height per dot: those of one column are stacked around the middle, closer where they are many."""
    columns = [round(x / (2 * RADIUS)) for x in xs]
    most = max(columns.count(c) for c in set(columns))
    step = min(2.2 * RADIUS, (AXIS - TOP - 2 * RADIUS) / max(1, most))
    taken: dict[int, int] = {}
    made = []
    for column in columns:
        rank = taken.get(column, 0)
        taken[column] = rank + 1
        made.append((TOP + AXIS) / 2 + step * ((rank + 1) // 2) * (-1 if rank % 2 else 1))
    return made
