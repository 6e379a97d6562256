"""The doctor: what is wrong, and what to type."""

from __future__ import annotations

import builtins
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from builders import saved

from napari_ganseg import doctor
from napari_ganseg.inference import device


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Make packages look as if they were not installed, and others as if they were."""
    there = {"napari": "0.9.2", "PyQt6": "6.11", "PySide6": "6.11"}
    monkeypatch.setattr(doctor, "installed", lambda name: "" if name in packages else there.get(name, ""))


def failing(monkeypatch: pytest.MonkeyPatch, package: str, error: Exception) -> None:
    """Make the import of a package fail."""
    real = builtins.__import__

    def fake(name: str, *rest: Any) -> Any:
        if name == package:
            raise error
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", fake)


def test_everything_is_looked_at() -> None:
    findings = doctor.check_all()
    assert [f.what for f in findings] == ["Python", "Memory", "napari", "Qt", "torch", "torchvision", "GPU", "Models"]
    assert all(f.state for f in findings)


def test_whatever_is_not_fine_comes_with_a_fix() -> None:
    assert all(f.fix for f in doctor.check_all() if not f.is_fine)


def test_this_python_will_do() -> None:
    assert doctor.check_python().is_fine


def test_an_old_python_will_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    assert doctor.check_python().fix == "Install Python 3.11 or newer."


@pytest.mark.parametrize(("free", "is_fine"), [(8e9, True), (1e9, False)])
def test_memory(monkeypatch: pytest.MonkeyPatch, free: float, is_fine: bool) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: namedtuple("M", "available")(free))
    finding = doctor.check_memory()
    assert finding.is_fine is is_fine
    assert finding.state == f"{free / 1e9:.1f} GB free"


def test_no_napari(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "napari")
    finding = doctor.check_napari()
    assert not finding.is_fine
    assert 'pip install "napari[all]"' in finding.fix


def test_no_qt(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "PyQt6", "PySide6")
    finding = doctor.check_qt()
    assert not finding.is_fine
    assert "napari[pyqt6]" in finding.fix


def test_two_qts_are_no_fault_but_worth_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch)
    finding = doctor.check_qt()
    assert finding.is_fine
    assert finding.state == "PyQt6 6.11, PySide6 6.11"
    assert "QT_API" in finding.fix


def test_one_qt_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "PySide6")
    assert doctor.check_qt() == doctor.Finding("Qt", True, "PyQt6 6.11")


@pytest.mark.parametrize("error", [ImportError("no module"), OSError("libcudart.so: cannot open")])
def test_a_torch_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    failing(monkeypatch, "torch", error)
    (finding,) = doctor.check_torch()
    assert not finding.is_fine
    assert str(error) in finding.state
    assert finding.fix == "pip install --force-reinstall torch torchvision"


def test_a_torchvision_made_for_another_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "torchvision", RuntimeError("operator torchvision::nms does not exist"))
    finding = doctor.check_torchvision()
    assert not finding.is_fine
    assert "does not fit torch (operator torchvision::nms does not exist)" in finding.state


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "works", lambda name: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
def test_no_gpu_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert doctor.check_gpu() == doctor.Finding("GPU", True, "none; the CPU is used")


@pytest.mark.usefixtures("no_gpu")
def test_a_torch_without_cuda_on_windows_comes_with_the_wheel_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(torch.version, "cuda", None)
    finding = doctor.check_gpu()
    assert finding.is_fine
    assert "--index-url https://download.pytorch.org/whl/cu" in finding.fix


@pytest.mark.usefixtures("no_gpu")
def test_a_gpu_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    finding = doctor.check_gpu()
    assert not finding.is_fine
    assert "driver" in finding.fix


@pytest.mark.usefixtures("no_gpu")
def test_a_gpu_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "works", lambda name: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H200")
    assert doctor.check_gpu().state.startswith("H200 (CUDA ")


def test_models_good_and_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_ganseg.models.library.model_folders", lambda: [tmp_path])
    none = doctor.check_models()
    assert (none.is_fine, none.state) == (False, "none")
    assert "Install the plugin again" in none.fix
    saved(tmp_path, dims=2)
    assert doctor.check_models() == doctor.Finding("Models", True, "tiny")
    (tmp_path / "bad.ganseg.safetensors").write_bytes(b"nothing of the kind")
    damaged = doctor.check_models()
    assert (damaged.is_fine, damaged.state) == (False, "tiny")
    assert damaged.fix.startswith("Cannot load bad.ganseg.safetensors")


def test_a_package_that_is_not_there_has_no_version() -> None:
    assert doctor.installed("numpy").count(".") == 2
    assert doctor.installed("no-such-package-anywhere") == ""


@pytest.mark.parametrize(
    ("python", "pyside6", "is_fine"), [((3, 11), "6.12.0", False), ((3, 12), "6.12.0", True), ((3, 11), "6.11.3", True)]
)
def test_a_pyside6_that_crashes_its_python_is_named(
    monkeypatch: pytest.MonkeyPatch, python: tuple[int, int], pyside6: str, is_fine: bool
) -> None:
    monkeypatch.setattr(doctor.sys, "version_info", python)
    monkeypatch.setattr(doctor, "installed", {"PySide6": pyside6, "PyQt6": "", "PyQt5": "", "PySide2": ""}.get)
    finding = doctor.check_qt()
    assert finding.is_fine is is_fine
    assert is_fine or "PySide6<6.12" in finding.fix
