"""napari-ganseg: segment CT and MRI in napari; each public name is imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_ganseg.adaptation import adapt
    from napari_ganseg.batch import CaseResult, segment_folder
    from napari_ganseg.errors import GansegError
    from napari_ganseg.inference import segment, segment_with_confidence
    from napari_ganseg.io import read, read_labels, write
    from napari_ganseg.metrics import evaluate
    from napari_ganseg.models import list_models
    from napari_ganseg.plugin.console import in_background, segment_layers
    from napari_ganseg.training.loop import fit
    from napari_ganseg.volume import Annotation, LabelMap, Volume

__version__ = "0.1.0"

_HOMES = {
    "CaseResult": "batch",
    "segment_folder": "batch",
    "write_report": "report",
    "GansegError": "errors",
    "adapt": "adaptation",
    "segment": "inference",
    "segment_with_confidence": "inference",
    "read": "io",
    "read_labels": "io",
    "write": "io",
    "evaluate": "metrics",
    "list_models": "models",
    "in_background": "plugin.console",
    "segment_layers": "plugin.console",
    "fit": "training",
    "Annotation": "volume",
    "LabelMap": "volume",
    "Volume": "volume",
}

__all__ = [
    "Annotation", "CaseResult", "GansegError", "LabelMap", "Volume", "adapt", "evaluate", "fit", "in_background",
    "list_models", "read", "read_labels", "segment", "segment_folder", "segment_layers", "segment_with_confidence",
    "write", "write_report",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"napari_ganseg.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'napari_ganseg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
