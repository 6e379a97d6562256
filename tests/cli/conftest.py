"""A library with one model, a scan and training pairs for the commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from builders import Z_SCORE, saved, tiny_config, write_scan

from napari_ganseg.training import config_to_json


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models that has nothing but one called tiny in it."""
    folder = tmp_path / "models"
    folder.mkdir()
    saved(folder, classes=2, preprocessing=Z_SCORE)
    monkeypatch.setenv("GANSEG_MODELS", str(folder))
    monkeypatch.setattr("napari_ganseg.models.library.SHIPPED", tmp_path / "none")
    monkeypatch.setattr("napari_ganseg.models.library.user_models", lambda: tmp_path / "none")
    monkeypatch.setattr("napari_ganseg.training.job.user_runs", lambda: tmp_path / "runs")
    return folder


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return write_scan(tmp_path / "scan.nii.gz")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "seg.nii.gz"


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """A folder of small training pairs."""

    def put(count: int = 5, value: int = 1) -> Path:
        for place in ("images", "labels"):
            (tmp_path / "data" / place).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            rng = np.random.default_rng(i)
            labels = np.zeros((16, 18, 20), np.uint8)
            labels[4:12, 5:12, 6:14] = value
            image = (rng.normal(0, 10, labels.shape) + 100 * (labels > 0)).astype(np.float32)
            for place, array in (("images", image), ("labels", labels)):
                nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "data" / place / f"case_{i}.nii.gz")
        return tmp_path / "data"

    return put


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_bytes(config_to_json(tiny_config(steps=4, validate_every=2)))
    return path
