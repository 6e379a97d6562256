"""A folder of small scans, and a small model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from builders import Z_SCORE, saved

from napari_ganseg.batch import CaseResult, segment_folder

Scan = Callable[..., Path]
Segment = Callable[..., tuple[CaseResult, ...]]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two classes called tiny."""
    return saved(tmp_path_factory.mktemp("model"), classes=2, preprocessing=Z_SCORE)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """An empty folder for scans."""
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


@pytest.fixture
def scan(scans: Path) -> Scan:
    """Write a scan of noise, each name another."""

    def write(name: str, shape: tuple[int, ...] = (12, 13, 14), spacing: float = 1.0) -> Path:
        path = scans / name
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = sum(name.encode("utf-8", "surrogateescape"))
        image = nib.Nifti1Image(np.random.default_rng(seed).normal(0, 200, shape).astype(np.float32), np.eye(4))
        image.header.set_zooms((spacing,) * len(shape))
        image.header.set_xyzt_units("mm")
        nib.save(image, path)
        return path

    return write


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where labels go; it is not there yet."""
    return tmp_path / "out"


@pytest.fixture
def segment(scans: Path, out: Path, model: Path) -> Segment:
    """Segment the folder to the end."""

    def segment(models: Any = model, **options: Any) -> tuple[CaseResult, ...]:
        return segment_folder(scans, out, models, **{"device": "cpu", **options}).result

    return segment
