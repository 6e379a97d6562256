"""Inference: a volume and a model make a label map on the volume's own grid; torch comes on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_ganseg.inference.device import choose_device, device_names
    from napari_ganseg.inference.domain import doubts
    from napari_ganseg.inference.engine import segment, segment_with_confidence, segmentation

_HOMES = {
    "choose_device": "device",
    "device_names": "device",
    "doubts": "domain",
    "segment": "engine",
    "segment_with_confidence": "engine",
    "segmentation": "engine",
}

__all__ = ["choose_device", "device_names", "doubts", "segment", "segment_with_confidence", "segmentation"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"napari_ganseg.inference.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'napari_ganseg.inference' has no attribute {name!r}")
