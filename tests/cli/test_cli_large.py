"""The command line leaves a scan that is large against the free memory in its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import write_scan

import napari_ganseg as ganseg
from napari_ganseg.cli import main


@pytest.mark.parametrize("options", [[], ["--region", "2:14,:,5:"]])
def test_a_large_scan_gets_the_labels_of_a_small_one(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    scan = write_scan(tmp_path / "scan.nii")
    assert main(["segment", str(scan), str(out), "--model", "tiny", *options]) == 0
    expected = ganseg.read_labels(out)
    monkeypatch.setattr("napari_ganseg.io.pieces.LARGE", 0.0)
    monkeypatch.setattr("napari_ganseg.io.reading.load", None)
    assert main(["segment", str(scan), str(out), "--model", "tiny", *options]) == 0
    monkeypatch.undo()
    assert np.array_equal(ganseg.read_labels(out).array, expected.array)
