"""A training in its own process: followed, steered, killed, found again; and a run folder brought to its end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import random_model, tiny_config

from napari_ganseg.errors import Cancelled, ComputeError, UsageError
from napari_ganseg.io import read_labels, write
from napari_ganseg.io.holder import holder_of
from napari_ganseg.models import load_model, save_model
from napari_ganseg.models.file import digest
from napari_ganseg.networks import weights_of
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.training import follow as module
from napari_ganseg.training.control import FOLLOWED, steer, steered, word_in
from napari_ganseg.training.execution import execute, locked, read_cases, set_up
from napari_ganseg.training.files import LOCK
from napari_ganseg.training.follow import follow, forget, is_running, left_runs, read_table, reason, start
from napari_ganseg.training.job import is_finished
from napari_ganseg.training.outcome import Outcome, read_outcome

MakeRun = Callable[..., Path]
LONG = {"steps": 100_000, "validate_every": 4}


def sha256(path: Path | str) -> str:
    return digest(b"", weights_of(load_model(Path(path)).network.requires_grad_(False)))


def until(run: Run[Outcome], doing: str) -> None:
    """Follow up to a word."""
    for progress in run:
        if progress.doing.startswith(doing):
            return
    raise AssertionError(f"it never said {doing}")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's folder is the user's own folder of runs."""
    monkeypatch.setattr(module, "user_runs", lambda: tmp_path)
    return tmp_path


def test_a_run_folder_is_enough_to_train(make_run: MakeRun) -> None:
    folder = make_run()
    outcome = execute(set_up(folder)).result
    assert outcome == read_outcome(folder)
    assert outcome.held_out == "1 of 3 cases"
    assert load_model(Path(outcome.model)).card.name == "run"
    assert is_finished(folder)


def test_the_same_training_in_its_own_process_gives_the_same_model(make_run: MakeRun) -> None:
    here, there = make_run("here"), make_run("there")
    start(there)
    seen = list(run := follow(there))
    assert [p.done for p in seen if p.doing == "validated"] == [2, 4, 6]
    assert sha256(run.result.model) == sha256(execute(set_up(here)).result.model)
    assert not is_running(there)


def test_a_killed_training_goes_on_to_the_same_model(make_run: MakeRun) -> None:
    config = tiny_config(steps=40, validate_every=4)
    whole, broken = make_run("whole", config=config), make_run("broken", config=config)
    start(broken)
    until(run := follow(broken), "validated")
    holder = holder_of(broken / LOCK)
    assert holder is not None
    os.kill(holder.pid, signal.SIGKILL)
    with pytest.raises(ComputeError, match=r"ended unexpectedly\. It can go on where it was"):
        list(run)
    start(broken)
    assert sha256(follow(broken).result.model) == sha256(execute(set_up(whole)).result.model)


def test_pause_holds_resume_goes_on_and_stop_keeps_the_best_so_far(make_run: MakeRun) -> None:
    folder = make_run(config=tiny_config(**LONG))
    start(folder)
    until(run := follow(folder), "training")
    run.pause()
    until(run, "paused")
    run.resume()
    until(run, "validated")
    run.stop()
    assert Path(run.result.model).is_file()


def test_a_training_is_found_again_goes_on_alone_and_cancelled_keeps_nothing(make_run: MakeRun, runs: Path) -> None:
    folder = make_run(config=tiny_config(**LONG))
    start(folder)
    until(follow(folder), "validated")  # and nobody follows any more
    (left,) = left_runs(runs)
    assert (left.folder, left.name, left.state, left.total) == (folder, "run", "running", 100_000)
    start(folder)  # nothing happens: it runs
    until(run := follow(folder), "validated")
    run.cancel()
    with pytest.raises(Cancelled, match="nothing was kept"):
        list(run)
    assert not folder.exists()
    assert left_runs(runs) == []


def test_an_interrupted_training_is_found_and_can_be_forgotten(make_run: MakeRun, runs: Path) -> None:
    folder = make_run()
    (left,) = left_runs(runs)
    assert (left.state, left.step) == ("interrupted", 0)
    forget(folder)
    assert left_runs(runs) == []


def test_a_training_that_fails_says_why(make_run: MakeRun) -> None:
    folder = make_run(start="no-such-model")
    start(folder)
    with pytest.raises(ComputeError, match="no-such-model"):
        list(follow(folder))
    assert "no-such-model" in reason(folder)


def test_a_folder_that_is_trained_in_takes_no_second_training(make_run: MakeRun) -> None:
    folder = make_run()
    with locked(folder), pytest.raises(UsageError, match="is being trained by process"):
        list(execute(set_up(folder)))


def test_what_was_said_to_an_earlier_process_is_old(tmp_path: Path) -> None:
    steer(tmp_path, "stop")
    assert word_in(tmp_path) == "stop"
    with steered(Run(forever), tmp_path):
        assert word_in(tmp_path) == "go"


def test_what_was_said_to_a_process_before_it_listens_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLLOWED, "1")
    steer(tmp_path, "cancel")
    run = Run(forever)
    with steered(run, tmp_path), pytest.raises(Cancelled):
        list(run)


def test_a_run_obeys_while_it_is_steered(tmp_path: Path) -> None:
    run = Run(forever)
    with steered(run, tmp_path):
        steps = iter(run)
        next(steps)
        steer(tmp_path, "cancel")
        with pytest.raises(Cancelled):
            list(run)


def forever(controls: Controls) -> Generator[Progress, None, None]:
    """Work without an end."""
    while True:
        controls.check()
        yield Progress(0, 0, "on")


def test_every_pair_that_is_left_out_is_named_before_the_first_step(make_run: MakeRun) -> None:
    folder = make_run(count=10)
    (folder.parent / "run-data" / "labels" / "4.nii.gz").write_bytes(b"damaged")
    (folder.parent / "run-data" / "labels" / "7.nii.gz").unlink()
    execution = set_up(folder)
    faults = {name: fault for name, fault, _ in read_table(folder) if fault}
    assert set(faults) == {"4.nii.gz", "7.nii.gz"}
    assert faults["7.nii.gz"] == "its label is missing"
    assert len(execution.cases) == 8


def test_a_pair_without_any_label_is_used_and_named(make_run: MakeRun) -> None:
    folder = make_run(count=5)
    path = folder.parent / "run-data" / "labels" / "2.nii.gz"
    labels = read_labels(path)
    write(path, labels.derive(array=np.zeros_like(labels.array)))
    assert len(set_up(folder).cases) == 5
    assert [(name, odd) for name, _, odd in read_table(folder) if odd] == [
        ("2.nii.gz", "nothing is labelled in it; it is learnt from as background alone")
    ]


def test_a_model_that_was_thrown_away_is_no_unfinished_training(make_run: MakeRun, runs: Path) -> None:
    outcome = execute(set_up(make_run())).result
    Path(outcome.model).unlink()
    assert left_runs(runs) == []


def test_a_folder_that_nobody_understands_is_passed_over(make_run: MakeRun, runs: Path) -> None:
    (make_run() / "job.json").write_text("{")
    assert left_runs(runs) == []


def test_the_same_case_in_two_folders_is_used_once(make_run: MakeRun) -> None:
    data = str(make_run().parent / "run-data")
    verdicts = read_cases([data, data], None)
    assert [v.fault for v in verdicts if v.case is None] == [f"it is the same image as {i}.nii.gz" for i in range(3)]


def test_a_model_that_is_no_better_is_kept_aside(make_run: MakeRun, tmp_path: Path) -> None:
    parent = random_model(3, 1, preprocessing=tiny_config().card.preprocessing)
    save_model(tmp_path / "tiny.ganseg.safetensors", parent.card, parent.network)
    still = replace(tiny_config(learning_rate=1e-9), card=parent.card)
    folder = make_run(config=still, start=str(tmp_path / "tiny.ganseg.safetensors"), only_better=True)
    outcome = execute(set_up(folder)).result
    assert not outcome.is_better
    assert outcome.verdict.startswith("Not better; tiny stays.")
    assert Path(outcome.model).parent == folder
    assert not (tmp_path / "run.ganseg.safetensors").exists()


def test_a_resumed_training_still_knows_what_it_started_from(make_run: MakeRun, tmp_path: Path) -> None:
    parent = random_model(3, 1, preprocessing=tiny_config().card.preprocessing)
    path = tmp_path / "tiny.ganseg.safetensors"
    save_model(path, parent.card, parent.network)
    folder = make_run(config=replace(tiny_config(), card=parent.card), start=str(path))
    for progress in execute(set_up(folder)):
        if progress.doing == "validated":
            break
    path.unlink()
    outcome = execute(set_up(folder)).result
    assert (outcome.parent, outcome.before is not None) == ("tiny", True)
