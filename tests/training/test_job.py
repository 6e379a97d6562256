"""A run folder says what it trains, and which of several was worked on last."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_ganseg.errors import UsageError
from napari_ganseg.training.job import Job, finish, is_finished, newest_run, read_job, write_job


def put(folder: Path, name: str, seconds: int) -> Path:
    run = folder / name
    write_job(run, Job((str(folder),), str(folder / f"{name}.ganseg.safetensors")))
    for path in run.iterdir():
        os.utime(path, (seconds, seconds))
    return run


def test_a_job_comes_back_as_it_was(tmp_path: Path) -> None:
    job = Job(
        ("/a b", "/ü"), "/out/x.ganseg.safetensors", "parent", unlabelled=("/c",), steps=3, adversary=0.0, command="x y"
    )
    write_job(tmp_path / "deep" / "run", job)
    assert read_job(tmp_path / "deep" / "run") == job


def test_a_folder_keeps_to_its_model(tmp_path: Path) -> None:
    write_job(tmp_path, Job(("/a",), "/x.ganseg.safetensors"))
    write_job(tmp_path, Job(("/a", "/b"), "/x.ganseg.safetensors"))
    with pytest.raises(UsageError, match=r"holds the training of /x\.ganseg\.safetensors"):
        write_job(tmp_path, Job(("/a",), "/y.ganseg.safetensors"))


def test_the_newest_unfinished_run_is_found(tmp_path: Path) -> None:
    older, newer, done = (put(tmp_path, name, t) for name, t in (("b", 100), ("a", 200), ("c", 300)))
    (tmp_path / "c.ganseg.safetensors").touch()
    finish(done, tmp_path / "c.ganseg.safetensors")
    assert newest_run(tmp_path) == newer
    (older / "progress.jsonl").touch()
    assert newest_run(tmp_path) == older


def test_a_run_whose_model_was_deleted_is_not_finished(tmp_path: Path) -> None:
    run, model = put(tmp_path, "a", 1), tmp_path / "a.ganseg.safetensors"
    model.touch()
    finish(run, model)
    assert is_finished(run)
    model.unlink()
    assert not is_finished(run)


def test_only_a_folder_that_nobody_chose_gives_its_checkpoints_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_ganseg.training.job.user_runs", lambda: tmp_path / "own")
    for place in ("own", "chosen"):
        run = put(tmp_path / place, "a", 1)
        (run / "last.train.safetensors").touch()
        finish(run, tmp_path / "a.ganseg.safetensors")
        assert (run / "last.train.safetensors").exists() == (place == "chosen")


def test_without_runs_there_is_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no unfinished training in"):
        newest_run(tmp_path / "none")
