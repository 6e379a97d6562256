"""An adaptation in a run folder: carried out, killed, followed, and finished with a model or without."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from builders import kill_trainings

from napari_ganseg.adaptation.audit import Audit
from napari_ganseg.adaptation.execution import cases_of, execute, in_words, options_of
from napari_ganseg.errors import Cancelled, FileError, UsageError
from napari_ganseg.io import write
from napari_ganseg.models import Model, load_model, save_model
from napari_ganseg.networks import weights_of
from napari_ganseg.training import Case
from napari_ganseg.training.execution import locked
from napari_ganseg.training.follow import follow, is_running, read_table, start
from napari_ganseg.training.job import Job, is_finished, read_job, write_job
from napari_ganseg.training.outcome import read_outcome
from napari_ganseg.volume import Volume

AUDIT, DECISION = (import_module(f"napari_ganseg.adaptation.{name}") for name in ("audit", "decision"))
MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path, model: Model, source: list[Case], fresh: list[Volume]) -> Iterator[MakeRun]:
    """Write scans of both kinds, the model and a job that names them; gives the run folder."""
    for place in ("data/images", "data/labels", "new"):
        (tmp_path / place).mkdir(parents=True)
    for case in source:
        write(tmp_path / "data" / "images" / case.name, case.image)
        write(tmp_path / "data" / "labels" / case.name, case.annotation.labels)
    for i, volume in enumerate(fresh):
        write(tmp_path / "new" / f"{i}.nii.gz", volume)
    save_model(tmp_path / "tiny.ganseg.safetensors", model.card, model.network)

    def make(name: str = "run", **fields: object) -> Path:
        paths = {"start": "tiny.ganseg.safetensors", "out": f"{name}.ganseg.safetensors"}
        given = {key: str(tmp_path / path) for key, path in paths.items()} | {
            "targets": (str(tmp_path / "new"),), "steps": 2, "only_better": True, "device": "cpu", "threads": 1
        } | fields  # fmt: skip
        write_job(tmp_path / name, Job((str(tmp_path / "data"),), **given))  # type: ignore[arg-type]
        return tmp_path / name

    yield make
    kill_trainings(tmp_path)


@pytest.fixture
def is_shifted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the scans look like, there is something to adapt."""
    real = AUDIT.judged
    monkeypatch.setattr(AUDIT, "consistency", lambda *_: 1.0)  # what it costs is tested elsewhere
    for module in (AUDIT, DECISION):
        monkeypatch.setattr(module, "LOOKED_AT", 2)
    monkeypatch.setattr(AUDIT, "judged", lambda *a: replace(real(*a), verdict="adapt"))


@pytest.fixture
def is_welcome(is_shifted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing speaks against the adapted model."""
    for veto in ("gain_veto", "source_veto", "steady_veto", "volume_vetoes"):
        monkeypatch.setattr(DECISION, veto, lambda *_: ())


def weights(path: str | Path) -> bytes:
    tensors = weights_of(load_model(Path(path)).network)
    return b"".join(tensor.detach().numpy().tobytes() for tensor in tensors.values())


def test_where_nothing_is_to_be_adapted_there_is_an_outcome_and_no_model(make_run: MakeRun) -> None:
    outcome = execute(folder := make_run()).result
    assert outcome == read_outcome(folder)
    assert (outcome.model, outcome.parent, outcome.is_better, outcome.classes) == ("", "tiny", False, ())
    assert outcome.verdict == "The new scans look like the model's own; nothing to adapt."
    assert outcome.kept.startswith("Views of one scan agree by ")
    assert json.loads((folder / "finished.json").read_text()) == {"model": None}
    assert is_finished(folder)
    assert not list(folder.parent.glob("run.ganseg.safetensors"))


def test_an_outcome_without_a_model_is_followed_to_its_end(make_run: MakeRun) -> None:
    folder = make_run()
    start(folder)
    run = follow(folder)
    words = [progress.doing for progress in run]
    assert "trying it on restyled scans" in words
    assert run.result == read_outcome(folder)
    assert run.result.model == ""
    assert is_finished(folder)
    assert not is_running(folder)


@pytest.mark.usefixtures("is_welcome")
def test_a_better_model_is_written_where_it_was_asked_for(make_run: MakeRun) -> None:
    outcome = execute(folder := make_run()).result
    assert outcome.is_better
    assert outcome.model == read_job(folder).out
    card = load_model(Path(outcome.model)).card
    assert (card.name, card.provenance.data) == ("run", "adapted without labels to new, with data")
    assert json.loads((folder / "finished.json").read_text()) == {"model": outcome.model}
    assert is_finished(folder)
    assert [c.name for c in outcome.classes] == ["organ 1"]
    assert "Both models agree by " in outcome.kept


@pytest.mark.usefixtures("is_shifted")
def test_a_model_that_is_no_better_is_kept_in_the_run_folder(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DECISION, "gain_veto", lambda *_: ("it is no better",))
    outcome = execute(folder := make_run()).result
    assert not outcome.is_better
    assert outcome.verdict.startswith("Not adapted, the original stays: it is no better")
    assert Path(outcome.model).parent == folder
    assert is_finished(folder)
    assert not Path(read_job(folder).out).exists()


@pytest.mark.usefixtures("is_welcome")
def test_a_killed_adaptation_goes_on_in_its_folder_to_the_same_model(make_run: MakeRun) -> None:
    whole, broken = make_run("whole", steps=4), make_run("broken", steps=4)
    for progress in execute(broken):
        if progress.doing == "training" and progress.done == 2:
            break
    assert not is_finished(broken)
    assert weights(execute(broken).result.model) == weights(execute(whole).result.model)


@pytest.mark.usefixtures("is_welcome")
def test_cancel_leaves_no_model(make_run: MakeRun) -> None:
    run = execute(folder := make_run())
    for progress in run:
        if progress.doing == "training":
            run.cancel()
            break
    with pytest.raises(Cancelled):
        list(run)
    assert not is_finished(folder)
    assert not Path(read_job(folder).out).exists()
    with locked(folder):  # and whoever comes next is let in
        pass


def test_a_folder_that_is_worked_in_takes_no_second_adaptation(make_run: MakeRun) -> None:
    folder = make_run()
    with locked(folder), pytest.raises(UsageError, match="is being trained by process"):
        list(execute(folder))


def test_a_new_scan_that_cannot_be_read_is_named(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "new" / "1.nii.gz").write_bytes(b"damaged")
    with pytest.raises(FileError, match=r"Cannot open .*1\.nii\.gz"):
        list(execute(make_run()))


def test_a_new_scan_with_a_fourth_axis_is_asked_about(make_run: MakeRun, tmp_path: Path) -> None:
    import nibabel as nib

    nib.save(nib.Nifti1Image(np.zeros((20, 20, 4, 3), np.float32), np.eye(4)), tmp_path / "new" / "1.nii.gz")
    with pytest.raises(FileError, match=r"Cannot open .*1\.nii\.gz"):
        list(execute(make_run()))


def test_an_empty_folder_of_new_scans_is_named(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"no NIfTI files or pictures in .*empty"):
        list(execute(make_run(targets=(str(tmp_path / "empty"),))))


def test_faulty_pairs_are_named_and_the_others_used(make_run: MakeRun, tmp_path: Path, model: Model) -> None:
    folder = make_run()
    first, second = sorted((tmp_path / "data" / "labels").glob("*.nii.gz"))[:2]
    first.unlink()
    assert len(cases_of(folder, read_job(folder), model)) == 7
    assert [(name, fault) for name, fault, _ in read_table(folder) if fault] == [(first.name, "its label is missing")]
    second.write_bytes(b"damaged")
    with pytest.raises(UsageError, match="Only 6 of 8 pairs can be used"):
        cases_of(folder, read_job(folder), model)


def test_the_same_scan_in_two_sources_is_used_once(make_run: MakeRun, model: Model) -> None:
    folder = make_run()
    twice = replace(job := read_job(folder), data=job.data * 2)
    with pytest.raises(UsageError, match="it is the same image as"):
        cases_of(folder, twice, model)


def test_a_job_changes_the_usual_options() -> None:
    job = Job(("/a",), "/out/mine.ganseg.safetensors", targets=("/b",))
    usual = options_of(job)
    assert usual.name == "mine"
    changed = options_of(replace(job, steps=7, adversary=0.01))
    assert (changed.steps, changed.adversary) == (7, 0.01)
    assert options_of(replace(job, adversary=0.0)).adversary == 0
    assert replace(changed, steps=usual.steps, adversary=usual.adversary) == usual


def test_an_audit_is_told_in_figures() -> None:
    fields = dict.fromkeys(Audit.__dataclass_fields__, 0.5) | {"verdict": "adapt", "reason": ""}
    words = in_words(Audit(**fields | {"steady_target": 0.25, "dice_restyled": 0.125}))  # type: ignore[arg-type]
    assert "agree by 0.50 in source scans, 0.25 in the new ones" in words
    assert words.endswith("restyled.")
