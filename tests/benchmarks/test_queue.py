"""Working the queue off: what is done stays done, what is killed goes on, and without a GPU nothing changes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
from benchmarks import queue, record
from benchmarks.entries import read_entries
from benchmarks.goals import GOALS, Goal
from builders import blob_case, tiny_config

from napari_ganseg import cli
from napari_ganseg.training import config_to_json
from napari_ganseg.training.config import Split, fold_of

ENTRY = """
[[entry]]
name = "{name}"
purpose = "to see that it works"
data = ["boxes"]
recipe = "recipe.json"
gpu_minutes = 5
cpu_minutes = {cpu}
override = {{ seed = {seed} }}
"""
CASES = [f"{letter}.nii" for letter in "abcfkt"]  # folds 0, 0, 3, 2, 3, 1


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A queue of three in an empty folder, with a tiny recipe."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(queue, "QUEUE", tmp_path / "queue.toml")
    monkeypatch.setitem(GOALS, "box", Goal("boxes", 0.0))
    monkeypatch.setenv("GANSEG_DATA", str(tmp_path))
    entries = (("one", 1, 10), ("two", 2, 10), ("slow", 3, 61))
    (tmp_path / "queue.toml").write_text("".join(ENTRY.format(name=n, seed=s, cpu=m) for n, s, m in entries))
    (tmp_path / "recipe.json").write_bytes(config_to_json(tiny_config(split=Split((0,), (1,)))))
    return tmp_path


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The trainings that were asked for; a GPU is there, and none is run."""
    asked: list[list[str]] = []
    monkeypatch.setattr(queue, "works", lambda device: True)

    def run(words: list[str], check: bool) -> SimpleNamespace:
        asked.append(words)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(queue, "find_model", lambda path: None)
    monkeypatch.setattr(queue, "line_for", lambda e, model, device: {"entry": e.name, "configuration": e.sha256})
    return asked


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def outs(commands: list[list[str]]) -> list[str]:
    return [words[words.index("--out") + 1] for words in commands]


def save_boxes(folder: Path) -> None:
    """Cases of every fold, in which a bright box is class 1."""
    for seed, name in enumerate(CASES):
        case = blob_case(name, (16, 18, 20), seed)
        for sort, array in (("images", case.image.array), ("labels", case.annotation.labels.array)):
            (folder / sort).mkdir(parents=True, exist_ok=True)
            nibabel.Nifti1Image(array.transpose(2, 1, 0), np.eye(4)).to_filename(folder / sort / name)


def in_process(words: list[str], check: bool) -> Any:
    """The training's command line, without a second interpreter."""
    return SimpleNamespace(returncode=cli.main(words[words.index("train") :]))


def test_without_a_gpu_it_says_so_and_changes_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(queue, "works", lambda device: False)
    before = files(place)
    assert queue.main([]) == 0
    assert queue.main(["--list"]) == 0
    assert files(place) == before
    said = capsys.readouterr().out
    assert "no CUDA device here; 3 entries wait" in said
    assert "one                              waits, 0% trained       5 min on a GPU\n    to see that" in said


def test_every_entry_is_trained_once_and_recorded_in_one_line(commands: list[list[str]]) -> None:
    assert queue.main([]) == queue.main([]) == 0
    assert outs(commands) == [f"runs/queue/{name}/box.ganseg.safetensors" for name in ("one", "two", "slow")]
    assert [line["entry"] for line in record.lines()] == ["one", "two", "slow"]


def test_an_entry_whose_configuration_changed_waits_again(place: Path, commands: list[list[str]]) -> None:
    queue.main([])
    (place / "queue.toml").write_text((place / "queue.toml").read_text().replace("seed = 2", "seed = 22"))
    assert [entry.name for entry in queue.waiting(read_entries(place / "queue.toml"))] == ["two"]


def test_with_few_labels_the_others_images_join_without(place: Path, commands: list[list[str]]) -> None:
    save_boxes(place / "boxes")
    few = "labels = 1\noverride = { unlabelled = { consistency = 1.0 }, "
    text = ENTRY.format(name="few", seed=1, cpu=10).replace("override = { ", few)
    (place / "queue.toml").write_text(text)
    assert queue.main([]) == 0
    folder = Path("runs/queue/few")
    words = commands[0][commands[0].index("train") + 1 :]
    assert words[0] == str(folder / "labelled" / "boxes")
    assert words[words.index("--unlabelled") + 1] == str(folder / "unlabelled" / "boxes")
    assert len(list((folder / "labelled" / "boxes" / "labels").iterdir())) == 2
    assert len(list((folder / "unlabelled" / "boxes").iterdir())) == 2


def test_it_stops_before_an_entry_that_does_not_fit(
    commands: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert queue.main(["--minutes", "4"]) == 0
    assert not commands
    assert "one needs about 5 minutes and 4 are left; stopped before it." in capsys.readouterr().out


def test_a_training_that_was_killed_needs_only_the_rest_of_its_time(place: Path, commands: list[list[str]]) -> None:
    folder = place / "runs" / "queue" / "one"
    folder.mkdir(parents=True)
    (folder / "progress.jsonl").write_text('{"step": 1}\n{"step": 3}\n{"st')  # of 6
    queue.main(["--minutes", "4"])
    assert outs(commands) == ["runs/queue/one/box.ganseg.safetensors"]


def test_a_training_that_fails_is_said_and_not_recorded(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda words, check: SimpleNamespace(returncode=1))
    assert queue.main([]) == 1
    assert record.lines() == []
    assert "slow: the training ended with 1" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "message"), [("slow", "61 minutes on a processor"), ("three", "no entry three")])
def test_a_processor_trains_only_what_it_can(
    name: str, message: str, commands: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert queue.main(["--on-cpu", name]) == 2
    assert message in capsys.readouterr().err
    assert not commands


def test_a_real_training_is_measured_and_recorded(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_boxes(place / "boxes")
    monkeypatch.setattr(subprocess, "run", in_process)
    assert queue.main(["--on-cpu", "two"]) == 0
    (line,) = [json.loads(text) for text in (place / "docs/benchmarks/runs.jsonl").read_text().splitlines()]
    assert (line["entry"], line["model"], line["seed"], line["steps"], line["device"]) == ("two", "box", 2, 6, "cpu")
    assert line["scores"]["cases"] == len([name for name in CASES if fold_of(name) == 0])
    assert 0 <= line["scores"]["test_dice"] == pytest.approx(line["scores"]["classes"]["organ 1"])
    assert str(place) not in json.dumps(line)
    assert {"split", "machine", "minutes", "configuration", "command"} <= line.keys()
