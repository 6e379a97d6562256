"""Figures of two models on the same cases are compared case by case."""

from __future__ import annotations

import pytest
from benchmarks.figures import Figures, Measured


def test_a_paired_difference_has_its_interval() -> None:
    ours, theirs = (Figures(tuple(Measured(str(i), {1: d}) for i, d in enumerate(dices)), (1,))
                    for dices in ((0.8, 0.7, 0.9), (0.7, 0.6, 0.8)))  # fmt: skip
    assert ours.against(theirs) == pytest.approx((0.1, 0.1, 0.1))
    assert theirs.against(ours)[0] == pytest.approx(-0.1)
