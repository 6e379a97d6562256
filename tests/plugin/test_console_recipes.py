"""docs/console.md: its code runs as it stands there, block after block, in a viewer with a scan open."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hands import MakeScan
from napari.layers import Labels

from napari_ganseg.plugin import commands
from napari_ganseg.plugin.worker import job_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "console.md"
Complaints = Callable[[], list[str]]


def blocks() -> list[str]:
    """Every Python block of the document."""
    return re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def library(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library whose only model has the document's name and is tiny."""
    from builders import saved

    folder = tmp_path_factory.mktemp("library")
    saved(folder, classes=2, name="hippocampus-mri")
    monkeypatch.setattr("napari_ganseg.models.library.model_folders", lambda: [folder])


def test_recipes_run_as_they_stand(
    make_napari_viewer: Any, qtbot: Any, library: None, make_scan: MakeScan, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, complaints: Complaints,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    scan = make_scan("scans/a.nii.gz", codes="PIL")
    (tmp_path / "scans" / "broken.nii.gz").write_bytes(b"nothing")
    viewer = make_napari_viewer()
    viewer.open(str(scan), plugin="napari-ganseg")
    commands.new_labels(viewer)
    viewer.layers[-1].name = "truth"
    console: dict[str, Any] = {"viewer": viewer}
    for block in blocks():
        exec(compile(block, str(DOCUMENT), "exec"), console)
        qtbot.waitUntil(lambda: job_of(viewer) is None, timeout=300_000)
    assert [case.status for case in console["batch"].result] == ["done", "failed"]
    assert repr(console["batch"]) == "<Hippocampi: 1 failed, 1 done>"
    assert isinstance(viewer.layers[-1], Labels)
    assert console["scores"].mean_dice == 0.0
    assert (tmp_path / "a_labels.nii.gz").is_file()
    assert complaints() == []
