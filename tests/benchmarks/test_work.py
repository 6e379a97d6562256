"""Working off what waits: each run once, whoever else is at it, and a failed one not again."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.work import name_of, next_run, work

from napari_ganseg.errors import UsageError
from napari_ganseg.io.lock import Lock


def test_each_is_done_once_and_no_lock_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left, done = [("a b", 0), ("c", 1)], []

    def carry_out(run: tuple[str, int]) -> str:
        left.remove(run)
        done.append(run)
        return "well"

    assert work(lambda: list(left), carry_out, tmp_path) == 0
    assert done == [("a b", 0), ("c", 1)]
    assert capsys.readouterr().out == "a-b-0: well\nc-1: well\n"
    assert not list(tmp_path.iterdir())


def test_what_another_works_on_is_left_to_it(tmp_path: Path) -> None:
    taken = next_run(lambda: ["one", "two"], set(), tmp_path)
    other = next_run(lambda: ["one", "two"], set(), tmp_path)
    assert taken is not None
    assert other is not None
    assert (taken[0], other[0]) == ("one", "two")
    assert next_run(lambda: ["one", "two"], set(), tmp_path) is None
    assert isinstance(taken[1], Lock)


def test_what_another_finished_in_between_is_not_done_again(tmp_path: Path) -> None:
    answers = [["one"], []]
    assert next_run(lambda: answers.pop(0), set(), tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_one_that_fails_is_said_and_not_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tried: list[str] = []

    def carry_out(run: str) -> str:
        tried.append(run)
        raise UsageError("no data")

    assert work(lambda: ["one", "two"], carry_out, tmp_path) == 1
    assert tried == ["one", "two"]
    assert capsys.readouterr().err == "one: no data\ntwo: no data\n"


def test_no_run_begins_after_the_minutes(tmp_path: Path) -> None:
    assert work(lambda: ["one"], lambda run: pytest.fail("it began"), tmp_path, minutes=-1) == 0


@pytest.mark.parametrize(("run", "name"), [(("a, b", 0), "a-b-0"), ("heart-8-equal_time-1", "heart-8-equal_time-1")])
def test_a_name_is_one_for_a_file(run: object, name: str) -> None:
    assert name_of(run) == name
