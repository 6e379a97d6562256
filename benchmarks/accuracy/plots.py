"""A picture per study: how far every arm is from the plain network, with its interval and its seeds."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.results import PLAIN_ARM, Results
from benchmarks.ship import NOISE


def can_plot() -> bool:
    """Whether matplotlib is here; the project does not depend on it."""
    return find_spec("matplotlib") is not None


def plot(results: Sequence[Results], path: Path) -> None:
    """Draw one panel per budget of labels of which there are runs into a PNG, without a window."""
    results = [budget for budget in results if budget.lines]
    figure = import_module("matplotlib.figure").Figure(figsize=(4.5 * len(results), 3.2), layout="constrained")
    import_module("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(results), sharex=True, squeeze=False)[0]
    for panel, budget in zip(panels, results, strict=True):
        draw(panel, budget)
    figure.savefig(path, dpi=110)


def draw(panel: Any, results: Results) -> None:
    """The differences of one budget; what lies in the grey band is noise."""
    arms = [arm for arm in results.arms if arm != PLAIN_ARM]
    panel.axvspan(-NOISE, NOISE, color="0.9")
    panel.axvline(0, color="0.5", linewidth=0.8)
    for place, arm in enumerate(arms):
        draw_arm(panel, results, arm, place)
    panel.set_yticks(range(len(arms)), arms)
    panel.set_ylim(len(arms) - 0.5, -0.5)
    panel.set_title(f"{results.study.name}, {results.labels} labelled patients", fontsize=10)
    panel.locator_params(axis="x", nbins=4)
    panel.set_xlabel(f"test Dice less {PLAIN_ARM}")


def draw_arm(panel: Any, results: Results, arm: str, place: int) -> None:
    """Mean and interval of an arm, and below them its mean at each seed."""
    difference, seeds = results.difference(arm), results.shared_seeds(arm, PLAIN_ARM)
    if difference is None:
        return
    panel.plot([difference.low, difference.high], [place, place], color="#3182bd", linewidth=2)
    panel.plot(difference.mean, place, "o", color="#3182bd")
    each = np.subtract(results.dices(arm, seeds), results.dices(PLAIN_ARM, seeds)).mean(axis=1)
    panel.plot(each, [place + 0.22] * len(seeds), "|", color="0.3")
