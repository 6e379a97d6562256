"""How long a training may take, in plain words; and the clock of one that runs."""

from __future__ import annotations

import pytest

from napari_ganseg.plugin.budget import BUDGETS, CUSTOM, in_words
from napari_ganseg.plugin.clock import Clock, duration
from napari_ganseg.run import Progress


def test_a_budget_says_its_steps_and_its_time_once_that_is_known() -> None:
    assert in_words(BUDGETS[0], None) == "Quick look (300 steps)"
    assert in_words(BUDGETS[0], 0.5) == "Quick look, about 3 min (300 steps)"
    assert in_words(CUSTOM, 0.5) == "Custom..."


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (60, "60 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations_are_for_people(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_clock_counts_from_its_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("napari_ganseg.plugin.clock.time.monotonic", lambda: now[0])
    clock = Clock()
    clock.note(first := Progress(10, 30, "training"))
    assert clock.in_words(first) == "Step 10 of 30"
    now[0] += 20
    clock.note(later := Progress(20, 30, "training"))
    assert clock.in_words(later) == "Step 20 of 30, about 20 s left"
    assert clock.in_words(Progress(0, 0, "paused")) == "Step 20 of 30 (paused), about 20 s left"
