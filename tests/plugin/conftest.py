"""Scans on disk, viewers with and without a window, and an engine in the place of the real one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.notifications import NotificationSeverity, notification_manager

from napari_ganseg.plugin.beside_mesa import load_triton_apart

load_triton_apart()  # before anything here imports torch: a viewer may bring Mesa

from hands import AFFINE, SHAPE, Desk, Engine, MakeScan, reoriented  # noqa: E402

from napari_ganseg.plugin.upright import watch  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a screen where there is none: Qt would end the whole process."""
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="needs a display: xvfb-run -a pytest tests/plugin"))


@pytest.fixture
def voxels() -> np.ndarray:
    """Voxels (x, y, z) of which no two are alike."""
    return np.random.default_rng(0).permutation(int(np.prod(SHAPE))).reshape(SHAPE).astype(np.int16)


@pytest.fixture
def make_scan(tmp_path: Path, voxels: np.ndarray) -> MakeScan:
    """Write a scan in any stored orientation."""

    def make(name: str = "scan.nii.gz", codes: str = "RAS", array: Any = None, affine: Any = AFFINE) -> Path:
        image = nib.Nifti1Image(voxels if array is None else array, affine)
        image.header.set_xyzt_units("mm")
        image = reoriented(image, codes) if image.ndim == 3 else image
        nib.save(image, tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def viewer() -> Iterator[ViewerModel]:
    """A viewer without a window, upright as our reader makes it."""
    model = ViewerModel()
    watch(model)
    yield model
    model.layers.clear()


@pytest.fixture
def complaints() -> Iterator[Callable[[], list[str]]]:
    """Every warning and error shown so far."""
    notification_manager.records.clear()
    yield lambda: [r.message for r in notification_manager.records if r.severity >= NotificationSeverity.WARNING]
    notification_manager.records.clear()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The stand-in, in place of the real engine."""
    engine = Engine()
    monkeypatch.setattr("napari_ganseg.plugin.segment_widget.make_run", engine)
    yield engine
    engine.go.set()


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny 3D model of two classes, "tiny", and a 2D one, "flat"."""
    from builders import saved

    folder = tmp_path_factory.mktemp("models")
    saved(folder, classes=2)
    saved(folder, dims=2, name="flat")
    return folder


@pytest.fixture
def models(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny model, in the library."""
    monkeypatch.setenv("GANSEG_MODELS", str(tiny_models))
    return tiny_models


@pytest.fixture
def desk(make_napari_viewer: Any, qtbot: Any, models: Path) -> Desk:
    """A viewer with the widget and the tiny model."""
    return Desk(make_napari_viewer(), qtbot)
