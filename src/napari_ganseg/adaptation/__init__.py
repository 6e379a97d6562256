"""Adapting a model to a scanner without labels; names are imported on first use, since torch is slow."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_ganseg.adaptation.adapting import Adapted, adapt
    from napari_ganseg.adaptation.options import Options

_HOMES = {"Adapted": "adapting", "adapt": "adapting", "Options": "options"}

__all__ = ["Adapted", "Options", "adapt"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"napari_ganseg.adaptation.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'napari_ganseg.adaptation' has no attribute {name!r}")
