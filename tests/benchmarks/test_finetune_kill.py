"""A training survives five kills at the worst of times; the command does twenty."""

from __future__ import annotations

from pathlib import Path

from benchmarks.finetune_kill import INTERVAL, KINDS, in_words, survived


def test_killed_trainings_go_on_lose_one_interval_at_most_and_end_the_same(tmp_path: Path) -> None:
    tally = survived(tmp_path, kills=len(KINDS))
    assert tally.faults == [], in_words(tally)
    assert len(tally.kills) == len(KINDS)
    assert max(tally.lost) <= INTERVAL
    assert tally.same == tally.trainings >= 1
