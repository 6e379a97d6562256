"""napari-ganseg adapt: what it needs, what it says, and what it writes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from builders import write_scan

from napari_ganseg.cli import main
from napari_ganseg.models import load_model, read_card, save_model
from napari_ganseg.run import Run
from napari_ganseg.training.outcome import read_outcome

AUDIT, DECISION = (import_module(f"napari_ganseg.adaptation.{name}") for name in ("audit", "decision"))
NAME = "mine.ganseg.safetensors"
Put = Callable[..., Path]


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """A folder of two scans without labels."""
    (tmp_path / "new").mkdir()
    for name, size in (("a", 16), ("b", 18)):
        write_scan(tmp_path / "new" / f"{name}.nii.gz", (size, 17, 18))
    return tmp_path / "new"


@pytest.fixture
def command(put: Put, new: Path, tmp_path: Path) -> list[object]:
    return ["adapt", "tiny", new, "--source", put(8), "--out", tmp_path / NAME, "--steps", 1, "--device", "cpu"]


def decided(patch: pytest.MonkeyPatch, verdict: str, vetoes: tuple[str, ...] = ()) -> None:
    """Let the audit and the decision come to this."""
    real = AUDIT.judged
    patch.setattr(AUDIT, "judged", lambda *a: replace(real(*a), verdict=verdict, reason=f"It is {verdict}."))
    for name in ("source_veto", "steady_veto", "volume_vetoes"):
        patch.setattr(DECISION, name, lambda *_: ())
    patch.setattr(DECISION, "gain_veto", lambda *_: vetoes)
    patch.setattr(AUDIT, "consistency", lambda *_: 1.0)  # what it costs is tested elsewhere
    for module in (AUDIT, DECISION):
        patch.setattr(module, "LOOKED_AT", 1)
    patch.setattr(DECISION, "JUDGED_BY", 1)


def test_without_a_source_it_names_the_data_and_the_next_step(
    new: Path, tmp_path: Path, library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = library / "tiny.ganseg.safetensors"
    model = load_model(path)
    card = replace(model.card, provenance=replace(model.card.provenance, data="Task04, 200 scans"))
    save_model(path, card, model.network)
    assert run("adapt", "tiny", new, "--out", tmp_path / NAME) == 2
    said = capsys.readouterr().err
    assert "Adapting tiny needs labelled scans like those it was trained on" in said
    assert "It learnt from: Task04, 200 scans." in said
    assert "--source DATA with images/ and labels/" in said
    assert "label three of the new scans and fine-tune: napari-ganseg train." in said


@pytest.mark.parametrize(
    ("changes", "message"),
    [({1: "nothing"}, 'There is no model "nothing"'), ({2: "missing.nii.gz"}, "There is no missing.nii.gz."),
     ({4: "missing"}, "missing needs the folders images and labels"), ({6: "mine.pt"}, "ends in .ganseg.safetensors"),
     ({6: "none/mine.ganseg.safetensors"}, "There is no folder")],
)  # fmt: skip
def test_what_is_missing_is_named(
    command: list[object], changes: dict[int, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [changes.get(i, word) for i, word in enumerate(command)]
    assert run(*given) == (1 if 1 in changes else 2)
    assert message in capsys.readouterr().err


def test_the_original_is_not_overwritten(
    command: list[object], library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = library / "tiny.ganseg.safetensors"
    before = path.read_bytes()
    assert run("adapt", path, *command[2:5], "--out", path) == 2
    assert "is the model to adapt; give --out another name" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_too_few_scans_are_counted(put: Put, new: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("adapt", "tiny", new, "--source", put(7), "--out", tmp_path / NAME) == 2
    assert "needs 8 or more labelled scans like those it was trained on; 7 came" in capsys.readouterr().err
    assert run("adapt", "tiny", new / "a.nii.gz", "--source", put(8), "--out", tmp_path / NAME) == 2
    assert "needs 2 or more of the new scans; 1 came" in capsys.readouterr().err


def test_a_faulty_pair_is_named(
    command: list[object], put: Put, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decided(monkeypatch, "too far")
    (put(9) / "labels" / "case_3.nii.gz").unlink()
    assert run(*command) == 0
    assert "left out case_3.nii.gz: its label is missing" in capsys.readouterr().err


@pytest.mark.parametrize("verdict", ["nothing to adapt", "too far"])
def test_where_nothing_is_trained_the_reason_is_all(
    command: list[object],
    verdict: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    decided(monkeypatch, verdict)
    assert run(*command) == 0
    assert capsys.readouterr().out == f"It is {verdict}.\n"
    assert not (tmp_path / NAME).exists()


def test_a_better_model_is_written_and_says_how_it_was_made(
    command: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decided(monkeypatch, "adapt")
    assert run(*command) == 0
    assert capsys.readouterr().out.startswith(f"wrote {tmp_path / NAME}; Adapted: Dice ")
    card = read_card(tmp_path / NAME)
    assert card.name == "mine"
    assert shlex.split(card.provenance.command) == ["napari-ganseg", *map(str, command)]
    assert card.provenance.data == "adapted without labels to new, with data"


def test_a_model_that_is_no_better_is_not_written_there(
    command: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decided(monkeypatch, "adapt", ("it is no better",))
    assert run(*command, "--run", tmp_path / "run") == 0
    assert "Not adapted, the original stays: it is no better." in capsys.readouterr().out
    assert not (tmp_path / NAME).exists()
    assert (tmp_path / "run" / NAME).is_file()


def test_its_run_folder_goes_on_and_is_not_done_again(
    command: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cut(work: Run[object], *_: object) -> None:
        for progress in work:
            if progress.doing == "training":
                raise KeyboardInterrupt

    decided(monkeypatch, "adapt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_ganseg.cli.adapt.with_bar", cut)
        assert run(*command, "--run", tmp_path / "run") == 130
    assert f"go on with: napari-ganseg train --run {tmp_path / 'run'}" in capsys.readouterr().err
    assert run("train", "--run", tmp_path / "run") == 0
    assert read_outcome(tmp_path / "run").model == str(tmp_path / NAME)
    assert json.loads((tmp_path / "run" / "finished.json").read_text())["model"] == str(tmp_path / NAME)
    capsys.readouterr()
    assert run("train", "--run", tmp_path / "run") == 0
    assert "is finished; its model is" in capsys.readouterr().out


def test_a_finished_folder_without_a_model_is_not_done_again(
    command: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decided(monkeypatch, "nothing to adapt")
    assert run(*command, "--run", tmp_path / "run") == 0
    assert run("train", "--run", tmp_path / "run") == 0
    assert "run is finished; it wrote no model to" in capsys.readouterr().out
    assert run("train", "--resume") == 2


@pytest.mark.parametrize(("option", "value"), [("--steps", "0"), ("--threads", "x"), ("--adversary", "much")])
def test_numbers_that_are_none_are_refused(command: list[object], option: str, value: str) -> None:
    with pytest.raises(SystemExit) as end:
        run(*command, option, value)
    assert end.value.code == 2
