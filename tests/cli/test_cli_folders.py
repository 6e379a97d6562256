"""Folders on the command line: batches that go on, evaluations that miss no case, exit codes that say so."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from builders import write_scan

from napari_ganseg.batch import CaseResult
from napari_ganseg.cli import main
from napari_ganseg.run import Progress


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Two scans and a broken one."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("a", "b"):
        write_scan(folder / f"{name}.nii.gz")
    (folder / "broken.nii.gz").write_bytes(b"nothing")
    return folder


def test_a_folder_is_segmented_and_its_broken_case_named(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("segment", scans, tmp_path / "out", "--model", "tiny") == 3
    shown = capsys.readouterr()
    assert "FAILED  broken" in shown.err
    assert f"2 done, 1 failed; see {tmp_path / 'out'}" in shown.out
    (scans / "broken.nii.gz").unlink()
    assert run("segment", scans, tmp_path / "out", "--model", "tiny") == 0
    assert f"2 skipped; see {tmp_path / 'out'}" in capsys.readouterr().out


def test_only_some_files_are_taken_when_asked(scans: Path, tmp_path: Path) -> None:
    assert run("segment", scans, tmp_path / "out", "--model", "tiny", "--pattern", "a*") == 0
    assert [p.name for p in (tmp_path / "out").glob("*.nii.gz")] == ["a.nii.gz"]


def test_where_no_case_is_done_the_exit_code_is_four(tmp_path: Path, scans: Path) -> None:
    assert run("segment", scans, tmp_path / "out", "--model", "tiny", "--pattern", "broken*") == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--model", "tiny", "--region", "1:2,1:2,1:2"], "--region is for one scan"),
     (["--model", "tiny", "--channels"], "--channels is for one scan"),
     (["--model", "tiny", "--pattern", "*.none"], "")],
)  # fmt: skip
def test_a_folder_asked_wrongly_is_wrong_usage(
    scans: Path, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("segment", scans, tmp_path / "out", *arguments) == 2
    assert message in capsys.readouterr().err


def test_one_scan_takes_one_model(scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("segment", scans / "a.nii.gz", tmp_path / "o.nii.gz", "--model", "tiny", "tiny") == 2
    assert "One scan takes one --model" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_batch_and_says_so(
    scans: Path, tmp_path: Path, kind: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scans / "broken.nii.gz").unlink()
    from napari_ganseg.cli import batch

    in_words = batch.in_words

    def then_signal(case: CaseResult) -> str:
        if case.status == "done":
            os.kill(os.getpid(), kind)
        return in_words(case)

    monkeypatch.setattr(batch, "in_words", then_signal)
    assert run("segment", scans, tmp_path / "out", "--model", "tiny") == code
    assert not [p for p in (tmp_path / "out").rglob("*") if p.name.endswith(".lock") or ".tmp-" in p.name]
    assert Progress(0, 1).case is None


def test_two_folders_are_compared_and_a_missing_prediction_fails(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("segment", scans, tmp_path / "truth", "--model", "tiny")
    run("segment", scans, tmp_path / "pred", "--model", "tiny", "--pattern", "a*")
    capsys.readouterr()
    assert run("evaluate", tmp_path / "pred", tmp_path / "truth", "--csv", tmp_path / "scores.csv") == 3
    shown = capsys.readouterr()
    assert "FAILED b:" in shown.err
    assert "1 cases, 1 failed" in shown.out
    assert (tmp_path / "scores.csv").read_text(encoding="utf-8-sig").startswith("case,")


def test_a_file_against_a_folder_is_wrong_usage(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", scans / "a.nii.gz", scans) == 2
    assert "two files or two folders" in capsys.readouterr().err


@pytest.mark.parametrize("tolerance", ["-1", "nan", "much"])
def test_a_tolerance_is_a_distance(scans: Path, tolerance: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("evaluate", scans, scans, "--tolerance", tolerance)
    assert "give millimetres" in capsys.readouterr().err
