"""Training: labelled cases and a configuration make a model; names are imported on first use, since torch is slow."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_ganseg.training.cases import Case, Verdict, good_cases, scan_folder
    from napari_ganseg.training.config import TrainConfig, config_from_json, config_to_json
    from napari_ganseg.training.loop import fit
    from napari_ganseg.training.planning import plan

_HOMES = {
    "Case": "cases",
    "Verdict": "cases",
    "good_cases": "cases",
    "scan_folder": "cases",
    "TrainConfig": "config",
    "config_from_json": "config",
    "config_to_json": "config",
    "fit": "loop",
    "plan": "planning",
}

__all__ = [
    "Case", "TrainConfig", "Verdict", "config_from_json", "config_to_json", "fit", "good_cases", "plan", "scan_folder",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"napari_ganseg.training.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'napari_ganseg.training' has no attribute {name!r}")
