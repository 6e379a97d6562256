"""Check the installation: what is there, what is not, and the command that mends it."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import psutil

LEAST_MEMORY_GB = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `fix` says what to type where it is not fine."""

    what: str
    is_fine: bool
    state: str
    fix: str = ""


def check_all() -> list[Finding]:
    """Look at everything a user's trouble may come from."""
    return [check_python(), check_memory(), check_napari(), check_qt(), *check_torch(), check_models()]


def check_python() -> Finding:
    """Python 3.11 or newer."""
    is_fine = sys.version_info >= (3, 11)
    return Finding(
        "Python",
        is_fine,
        f"{platform.python_version()} on {platform.platform()}",
        "" if is_fine else "Install Python 3.11 or newer.",
    )


def check_memory() -> Finding:
    """Free memory."""
    free = psutil.virtual_memory().available / 1e9
    is_fine = free >= LEAST_MEMORY_GB
    return Finding(
        "Memory",
        is_fine,
        f"{free:.1f} GB free",
        "" if is_fine else "Close other programs; whole scans need about 4 GB.",
    )


def check_napari() -> Finding:
    """napari is only needed for the viewer."""
    if found := installed("napari"):
        return Finding("napari", True, found)
    return Finding("napari", False, "not installed", 'pip install "napari[all]"   (only needed for the viewer)')


def check_qt() -> Finding:
    """One Qt binding, of Qt 6."""
    bindings = {name: installed(name) for name in ("PyQt6", "PySide6", "PyQt5", "PySide2")}
    present = [f"{name} {found}" for name, found in bindings.items() if found]
    if not present:
        return Finding("Qt", False, "no Qt binding", 'pip install "napari[pyqt6]"   (only needed for the viewer)')
    if miscounts(bindings["PySide6"]):
        fix = 'pip install "PySide6<6.12"   (or use Python 3.12 or newer)'
        return Finding("Qt", False, f"{', '.join(present)}: on Python 3.11 PySide6 6.12 ends in a crash", fix)
    if len(present) > 1:
        return Finding(
            "Qt",
            True,
            ", ".join(present),
            "More than one binding; should the viewer fail, set QT_API or uninstall one.",
        )
    return Finding("Qt", True, present[0])


def miscounts(pyside6: str) -> bool:
    """Whether this PySide6 gives back references to None it never took, which kills Pythons that count them."""
    return sys.version_info < (3, 12) and pyside6.startswith("6.12")


def check_torch() -> list[Finding]:
    """torch, torchvision beside it, and the GPU."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return [
            Finding("torch", False, f"cannot be imported ({error})", "pip install --force-reinstall torch torchvision")
        ]
    return [Finding("torch", True, str(torch.__version__)), check_torchvision(), check_gpu()]


def check_torchvision() -> Finding:
    """torchvision must be the one made for this torch."""
    try:
        import torchvision
    except (ImportError, OSError, RuntimeError) as error:
        return Finding(
            "torchvision", False, f"does not fit torch ({error})", "pip install --force-reinstall torch torchvision"
        )
    return Finding("torchvision", True, str(torchvision.__version__))


def check_gpu() -> Finding:
    """The device that will compute; on Windows the default wheel of torch has no CUDA."""
    import torch

    from napari_ganseg.inference.device import works

    if works("cuda"):
        return Finding("GPU", True, f"{torch.cuda.get_device_name()} (CUDA {torch.version.cuda})")
    if torch.backends.mps.is_available():
        return Finding("GPU", True, "Apple GPU (MPS)")
    if torch.cuda.is_available():
        return Finding(
            "GPU", False, "CUDA is there but does not answer", "Update the NVIDIA driver, or choose the CPU as device."
        )
    if sys.platform == "win32" and torch.version.cuda is None:
        fix = "With an NVIDIA card: pip install --force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/cu130"
        return Finding("GPU", True, "none; the CPU is used (this torch has no CUDA)", fix)
    return Finding("GPU", True, "none; the CPU is used")


def check_models() -> Finding:
    """Every model in the library loads as far as its card."""
    from napari_ganseg.models import search_models

    models = search_models()
    broken = [m for m in models if m.card is None]
    names = ", ".join(m.card.name for m in models if m.card) or "none"
    if broken:
        return Finding("Models", False, names, "; ".join(m.fault for m in broken))
    return Finding("Models", bool(models), names, "" if models else "Install the plugin again: its models are missing.")


def installed(package: str) -> str:
    """Version of a package, or nothing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
