"""For napari's console: segment layers of the viewer in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari.layers import Image, Labels

from napari_ganseg.errors import UsageError
from napari_ganseg.plugin.beside_mesa import load_triton_apart
from napari_ganseg.plugin.layers import bare
from napari_ganseg.plugin.preferences import model_folder, preferred_device
from napari_ganseg.plugin.registry import placement_of
from napari_ganseg.plugin.results import show_result
from napari_ganseg.plugin.upright import watch


def segment_layers(
    viewer: Any, model: str = "hippocampus-mri", *, layers: Sequence[Image] | None = None, **settings: Any
) -> list[Labels]:
    """Segment image layers, each into a Labels layer of its own.

    Args:
        viewer: napari's `viewer`.
        model: a name that `list_models()` shows, or a model file.
        layers: which; by default the selected image layers, or all of them when none is selected.
        **settings: of `segment`: region, device, strict, overlap.

    Raises:
        UsageError: there is no image layer.
    """
    load_triton_apart()
    from napari_ganseg.inference.engine import Settings, segmentation
    from napari_ganseg.models import find_model

    viewer = bare(viewer)
    chosen = list(layers) if layers is not None else images_in(viewer)
    if not chosen:
        raise UsageError("There is no image layer; open a scan first.")
    watch(viewer)
    loaded = find_model(model, model_folder())
    options = Settings(**{"device": preferred_device(), **settings})
    made = []
    for layer in map(bare, chosen):
        placement = placement_of(layer)
        labels = segmentation(placement.volume(layer.data), loaded, options).result
        made.append(show_result(viewer, labels, layer, placement))
    return made


def images_in(viewer: Any) -> list[Image]:
    """The selected image layers, or all."""
    images = [layer for layer in viewer.layers if isinstance(layer, Image)]
    return [layer for layer in images if layer in viewer.layers.selection] or images
