"""Series of figures: bounded however long, honest about steps, smooth without a bias."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_ganseg.plugin.series import MOST, Series, limits, smoothed

FINITE = st.floats(-1e6, 1e6)


def filled(values: list[float], most: int = MOST) -> Series:
    series = Series(most)
    for step, value in enumerate(values, start=1):
        series.add(step, value)
    return series


@given(st.lists(FINITE, max_size=300))
def test_never_longer_than_it_may_be_and_always_ascending(values: list[float]) -> None:
    series = filled(values, most=16)
    assert len(series.steps) == len(series.values) < 16
    assert series.steps == sorted(set(series.steps))


def test_full_series_keeps_the_mean_and_the_last_step() -> None:
    series = filled([float(n) for n in range(64)], most=16)
    assert (series.steps[-1], len(series.steps)) == (64, 8)
    assert sum(series.values) / 8 == pytest.approx(31.5)


def test_long_training_stays_short() -> None:
    series = filled([0.5] * 72_000)
    assert MOST / 2 <= len(series.steps) < MOST
    assert set(series.values) == {0.5}


def test_what_is_no_number_is_left_out() -> None:
    assert filled([1.0, nan, inf, 2.0]).steps == [1, 4]


def test_training_that_goes_on_from_a_checkpoint_takes_the_place_of_what_was_lost() -> None:
    series = filled([1.0, 2.0, 3.0, 4.0])
    series.add(3, 9.0)
    assert (series.steps, series.values) == ([1, 2, 3], [1.0, 2.0, 9.0])


def test_cleared_series_counts_every_step_again() -> None:
    series = filled([1.0] * 40, most=16)
    series.clear()
    series.add(1, 2.0)
    assert (series.steps, series.values) == ([1], [2.0])


@given(st.floats(-10, 10), st.integers(1, 200))
def test_smoothing_leaves_a_constant_as_it_is(value: float, count: int) -> None:
    assert smoothed([value] * count) == pytest.approx([value] * count)


@given(st.lists(FINITE, min_size=1, max_size=100))
def test_smoothed_figures_stay_among_the_figures(values: list[float]) -> None:
    assert min(values) - 1e-3 <= min(smoothed(values)) <= max(smoothed(values)) <= max(values) + 1e-3


def test_limits_leave_out_the_rare_spike_but_nothing_of_the_smooth_line() -> None:
    noisy = [1.0] * 300 + [1e6]
    assert limits(noisy, [0.5, 2.0]) == pytest.approx((0.425, 2.075))
    assert limits([], []) == (0.0, 1.0)
    low, high = limits([0.0], [0.0])
    assert low < 0 < high
