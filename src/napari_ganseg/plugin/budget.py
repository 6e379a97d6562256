"""How long a training may take, in plain words: a number of steps, and the time they take on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from napari_ganseg.plugin.clock import duration

OVERHEAD = 1.25  # of the steps alone: preparing, validating, writing


@dataclass(frozen=True, slots=True)
class Budget:
    """A choice of the form."""

    name: str
    steps: int


BUDGETS = (Budget("Quick look", 300), Budget("Standard", 1000), Budget("Thorough", 4000))
CUSTOM = Budget("Custom...", 0)


def in_words(budget: Budget, pace_s: float | None) -> str:
    """A budget with its estimate; without one while that is being measured."""
    if budget is CUSTOM:
        return budget.name
    if pace_s is None:
        return f"{budget.name} ({budget.steps} steps)"
    return f"{budget.name}, about {duration(budget.steps * pace_s * OVERHEAD)} ({budget.steps} steps)"
