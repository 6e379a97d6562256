"""The record: one line a training, and no path of this machine in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.record import add_line, lines, public_command


@pytest.mark.parametrize(
    ("command", "public"),
    [
        ("train /srv/data/heart --threads 1", "train $GANSEG_DATA/heart --threads 1"),
        ("train ../shared/data/a/ /mnt/data/b", "train $GANSEG_DATA/a $GANSEG_DATA/b"),
        ("train /scans/ct --run /home/me/runs/plain/ct", "train $GANSEG_DATA/ct --run plain/ct"),
        ("train x --config=/home/me/recipes/ct.json", "train x --config=recipes/ct.json"),
        ("train x --config benchmarks/recipes/ct.json", "train x --config benchmarks/recipes/ct.json"),
        ("train '/home/me/my scans'", "train 'me/my scans'"),
        ("train /x", "train x"),
    ],
)  # fmt: skip
def test_a_command_line_names_no_place_of_this_machine(
    command: str, public: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANSEG_DATA", "/scans/")
    assert public_command(command) == public
    assert public_command(public) == public


def test_lines_come_back_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "runs.jsonl"
    assert lines(path) == []
    for n in range(3):
        add_line({"n": n}, path)
    assert [line["n"] for line in lines(path)] == [0, 1, 2]
