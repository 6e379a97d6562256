"""A run folder goes on only with the training it was made for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import blob_cases, tiny_config

from napari_ganseg.errors import FileError, UsageError
from napari_ganseg.run import Progress
from napari_ganseg.training import Case, TrainConfig, config_from_json
from napari_ganseg.training.files import CONFIG, INPUTS, LAST, PROGRESS
from napari_ganseg.training.progress import note_progress, read_progress
from napari_ganseg.training.run_folder import open_folder


@pytest.fixture
def cases() -> list[Case]:
    return blob_cases()


@pytest.fixture
def folder(tmp_path: Path, cases: list[Case]) -> Path:
    """A folder with a checkpoint in it."""
    made = tmp_path / "deep" / "run"
    open_folder(made, tiny_config(), cases[:2], cases[2:])
    (made / LAST).touch()
    return made


def test_a_folder_holds_the_configuration_and_the_inputs_by_hash(folder: Path) -> None:
    assert config_from_json((folder / CONFIG).read_bytes()) == tiny_config()
    inputs = json.loads((folder / INPUTS).read_text())
    assert list(inputs["training"]) == ["b.nii", "d.nii"]
    assert list(inputs["validation"]) == ["e.nii"]
    assert len({*inputs["training"].values(), *inputs["validation"].values()}) == 3


def test_the_same_training_goes_on(folder: Path, cases: list[Case]) -> None:
    open_folder(folder, tiny_config(), blob_cases()[:2], blob_cases()[2:])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (tiny_config(steps=9), "steps is 6 there and 9 now"),
        (tiny_config(seed=1), "seed is 11 there and 1 now"),
        (tiny_config(2), r"card\.arch\.strides is .* there and .* now"),
        (
            replace(tiny_config(), card=replace(tiny_config().card, name="other")),
            'card.name is "box" there and "other"',
        ),
    ],
)
def test_another_configuration_is_refused_by_name(
    folder: Path, cases: list[Case], config: TrainConfig, message: str
) -> None:
    with pytest.raises(UsageError, match=f"run holds another training: {message}.*choose another folder"):
        open_folder(folder, config, cases[:2], cases[2:])


def test_other_cases_are_refused_by_name(folder: Path, cases: list[Case]) -> None:
    changed = replace(cases[0], image=cases[0].image.derive(array=np.zeros_like(cases[0].image.array)))
    for training, name in (([changed, cases[1]], "b"), (cases[:1], "d")):
        with pytest.raises(UsageError, match=rf"holds another training: training\.{name}\.nii is "):
            open_folder(folder, tiny_config(), training, cases[2:])


def test_a_refused_folder_stays_as_it_was(folder: Path, cases: list[Case]) -> None:
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(UsageError):
        open_folder(folder, tiny_config(steps=9), cases[:2], cases[2:])
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


@pytest.mark.parametrize("name", [CONFIG, INPUTS])
@pytest.mark.parametrize("content", [b"{", None])
def test_a_folder_that_cannot_say_what_it_holds_is_refused(
    folder: Path, cases: list[Case], name: str, content: bytes | None
) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(UsageError, match=f"holds a training whose {name} cannot be read"):
        open_folder(folder, tiny_config(), cases[:2], cases[2:])


def test_before_the_first_checkpoint_anything_may_change(folder: Path, cases: list[Case]) -> None:
    (folder / LAST).unlink()
    open_folder(folder, tiny_config(steps=9), cases[:1], cases[1:])
    assert config_from_json((folder / CONFIG).read_bytes()).steps == 9


def test_a_file_in_the_way_is_said(tmp_path: Path, cases: list[Case]) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(FileError, match="Cannot make the folder run"):
        open_folder(tmp_path / "run", tiny_config(), cases[:2], cases[2:])


def test_progress_is_one_json_line_each(tmp_path: Path) -> None:
    said = [Progress(1, 9, "training", {"loss": 0.5}), Progress(2, 9, "validated", {"dice": 0.25})]
    for progress in said:
        note_progress(tmp_path, progress)
    assert [json.loads(line)["step"] for line in (tmp_path / PROGRESS).read_text().splitlines()] == [1, 2]
    assert read_progress(tmp_path)[0] == said


def test_a_half_written_line_waits_and_a_broken_one_is_passed_over(tmp_path: Path) -> None:
    note_progress(tmp_path, Progress(1, 9, "training"))
    with open(tmp_path / PROGRESS, "a") as file:
        file.write('{"step": 2, "to')
    first, place = read_progress(tmp_path)
    with open(tmp_path / PROGRESS, "a") as file:
        file.write("\n")
    note_progress(tmp_path, Progress(3, 9, "training"))
    rest, _ = read_progress(tmp_path, place)
    assert [p.done for p in first + rest] == [1, 3]
