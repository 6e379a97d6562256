"""napari-ganseg train: a model from a folder, a run that goes on, a start from another model."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import napari_ganseg as ganseg
from napari_ganseg.cli import main
from napari_ganseg.models import load_model, read_card
from napari_ganseg.networks import weights_of
from napari_ganseg.run import Run


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def test_train_writes_a_model_that_says_how_it_was_made(
    put: Callable[..., Path], config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, model = put(), tmp_path / "my-box.ganseg.safetensors"
    command = ["train", str(data), "--out", str(model), "--config", str(config), "--steps", "3", "--device", "cpu"]
    assert main(command) == 0
    made = load_model(model)
    assert made.card.name == "my-box"
    assert shlex.split(made.card.provenance.command) == ["napari-ganseg", *command]
    assert made.card.provenance.data == "data"
    assert made.card.provenance.metrics["steps"] == 3
    assert capsys.readouterr().out.startswith(f"wrote {model}; validation Dice ")


def test_a_trained_model_segments(put: Callable[..., Path], config: Path, tmp_path: Path, out: Path) -> None:
    data = put()
    assert run("train", data, "--out", tmp_path / "box.ganseg.safetensors", "--config", config) == 0
    scan = data / "images" / "case_0.nii.gz"
    assert run("segment", scan, out, "--model", tmp_path / "box.ganseg.safetensors") == 0
    assert [c.name for c in ganseg.read_labels(out).classes] == ["organ 1"]


def test_train_plans_for_itself(put: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "mine.ganseg.safetensors"
    assert run("train", put(), "--out", path, "--steps", 1) == 0
    card = read_card(path)
    assert [c.value for c in card.classes] == [1]
    assert "validation cases" in card.provenance.split


def test_train_keeps_its_run_and_goes_on_only_with_the_same(
    put: Callable[..., Path], config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "train",
        put(),
        "--out",
        tmp_path / "box.ganseg.safetensors",
        "--config",
        config,
        "--run",
        tmp_path / "run",
    ]
    assert run(*command) == 0
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert {"config.json", "inputs.json", "progress.jsonl", "last.train.safetensors"} <= names
    assert run(*command) == 0
    assert run(*command, "--steps", 7) == 2
    assert "run holds another training: steps is 4 there and 7 now" in capsys.readouterr().err


def test_train_names_the_pairs_it_leaves_out(
    put: Callable[..., Path], config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = put(10)
    (data / "labels" / "case_3.nii.gz").unlink()
    seven = np.full((16, 18, 20), 7, np.uint8)
    nib.save(nib.Nifti1Image(seven, np.eye(4)), data / "labels" / "case_5.nii.gz")
    command = ["train", data, "--out", tmp_path / "box.ganseg.safetensors", "--config", config]
    assert run(*command) == 0
    assert capsys.readouterr().err.splitlines()[1:3] == [
        "left out case_3.nii.gz: its label is missing",
        "left out case_5.nii.gz: its labels hold the value 7, which has no class",
    ]
    (data / "images" / "case_6.nii.gz").unlink()
    assert run(*command) == 2
    assert (
        "Only 7 of 10 pairs can be used; four in five are needed. case_3.nii.gz: its label is missing; "
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [("box.safetensors", "ends in .ganseg.safetensors"), ("my box.ganseg.safetensors", "letters, digits"),
     (".ganseg.safetensors", "letters, digits"), ("none/box.ganseg.safetensors", "There is no folder")],
)  # fmt: skip
def test_train_refuses_a_name_before_it_reads_anything(
    tmp_path: Path, name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("train", tmp_path / "none", "--out", tmp_path / name) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "Cannot read the configuration"), (b"{", "not valid JSON"), (b'{"stepz": 1}', "not valid"),
     (json.dumps({"card": {}, "lambda": 1}).encode(), "The configuration is not valid")],
)  # fmt: skip
def test_train_refuses_a_configuration_by_name(
    put: Callable[..., Path], tmp_path: Path, content: bytes | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "bad.json").write_bytes(content)
    path = tmp_path / "box.ganseg.safetensors"
    assert run("train", put(1), "--out", path, "--config", tmp_path / "bad.json") == 2
    assert message in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.parametrize("option", ["--steps", "--threads"])
@pytest.mark.parametrize("value", ["0", "-3", "many", "1.5"])
def test_train_refuses_numbers_that_are_none(
    tmp_path: Path, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        run("train", tmp_path, "--out", "box.ganseg.safetensors", option, value)
    assert end.value.code == 2
    assert "give a whole number, 1 or more" in capsys.readouterr().err


def test_train_without_data_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", tmp_path / "none", "--out", tmp_path / "box.ganseg.safetensors") == 2
    assert "none needs the folders images and labels" in capsys.readouterr().err


@pytest.fixture
def started(put: Callable[..., Path], config: Path, tmp_path: Path) -> Path:
    """The run folder of a training that was killed after its first validation."""

    def cut(work: Run[object], *_: object) -> None:
        for progress in work:
            if progress.doing == "validated":
                raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_ganseg.cli.train.with_bar", cut)
        assert run("train", put(), "--out", tmp_path / "box.ganseg.safetensors", "--config", config) == 130
    return next((tmp_path / "runs").iterdir())


def weights(path: Path) -> bytes:
    return b"".join(t.detach().numpy().tobytes() for t in weights_of(load_model(path).network).values())


def test_an_interrupted_training_says_how_to_go_on(capsys: pytest.CaptureFixture[str], started: Path) -> None:
    assert f"go on with: napari-ganseg train --run {started}" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["--run", "--resume"])
def test_a_run_folder_alone_is_enough_to_go_on(started: Path, config: Path, tmp_path: Path, how: str) -> None:
    unbroken = tmp_path / "whole" / "box.ganseg.safetensors"
    unbroken.parent.mkdir()
    assert run("train", tmp_path / "data", "--out", unbroken, "--config", config, "--run", tmp_path / "other") == 0
    config.unlink()
    assert run("train", how, *([started] if how == "--run" else [])) == 0
    assert weights(tmp_path / "box.ganseg.safetensors") == weights(unbroken)


def test_a_finished_run_is_not_done_again(started: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "--resume") == 0
    written = (tmp_path / "box.ganseg.safetensors").stat().st_mtime_ns
    assert run("train", "--run", started) == 0
    assert f"{started} is finished; its model is" in capsys.readouterr().out
    assert (tmp_path / "box.ganseg.safetensors").stat().st_mtime_ns == written
    assert run("train", "--resume") == 2
    assert "There is no unfinished training in" in capsys.readouterr().err


def test_a_folder_written_by_hand_describes_a_training(put: Callable[..., Path], config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_bytes(config.read_bytes())
    job = {"data": [str(put())], "out": str(tmp_path / "box.ganseg.safetensors")}
    (folder / "job.json").write_text(json.dumps(job))
    assert run("train", "--run", folder) == 0
    assert read_card(tmp_path / "box.ganseg.safetensors").name == "box"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "Say what to train on"), (["--resume"], "no unfinished training"), (["--run", "none"], "describes no train"),
     (["--run", "none", "--steps", "3"], "leave out --steps"), (["data", "--resume"], "leave out DATA"),
     (["--resume", "--encoder-weights", "x.pth"], "leave out --encoder-weights"), (["data"], "Say which model to wr")],
)  # fmt: skip
def test_what_to_train_must_be_said_once(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("train", *arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"{", b'{"data": []}', b'{"data": ["x"], "out": "y", "extra": 1}'])
def test_a_damaged_job_is_named(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "job.json").write_bytes(content)
    assert run("train", "--run", tmp_path) == 2
    assert "job.json in" in capsys.readouterr().err


def test_a_model_is_trained_further(put: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "further.ganseg.safetensors"
    assert run("train", put(), "--out", path, "--start", "tiny", "--steps", 1) == 0
    card, parent = read_card(path), load_model(tmp_path / "models" / "tiny.ganseg.safetensors")
    assert [c.name for c in card.classes] == ["organ 1"]
    assert (card.arch, card.spacing) == (parent.card.arch, parent.card.spacing)
    assert card.provenance.parent_sha256 == parent.sha256
    assert "starting from tiny: " in caplog.text
    assert "classes that came along: organ 1" in caplog.text


def test_a_start_that_does_not_exist_is_named(
    put: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("train", put(), "--out", tmp_path / "x.ganseg.safetensors", "--start", "nothing") == 1
    assert 'There is no model "nothing"' in capsys.readouterr().err


def test_tensorboard_gets_curves_and_pictures(put: Callable[..., Path], config: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    model, folder = tmp_path / "box.ganseg.safetensors", tmp_path / "run"
    assert run("train", put(), "--out", model, "--config", config, "--run", folder, "--tensorboard") == 0
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    assert {"loss", "dice", "best"} <= set(events.Tags()["scalars"])
    assert [e.step for e in events.Scalars("dice")] == [2, 4]
    assert events.Tags()["images"] == ["image, truth, prediction"]
