"""Open NIfTI in napari: images as Image layers, label maps as Labels, upright and in millimetres."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari

from napari_ganseg.io import EXTENSIONS, read, read_any
from napari_ganseg.io.door import holds_dicom
from napari_ganseg.plugin.layers import LayerData, file_name, image_layers, labels_layer
from napari_ganseg.plugin.upright import watch
from napari_ganseg.volume import LabelMap

Reader = Callable[[Any], list[LayerData]]
AS_FRAMES = 8  # a short fourth axis opens as that many layers; a longer one is asked about


def get_reader(path: str | list[str]) -> Reader | None:
    """npe2 reader: a function for the files it can open, or None; a DICOM folder gets a sentence with the way out."""
    paths = [path] if isinstance(path, str) else path
    if len(paths) == 1 and os.path.isdir(paths[0]):
        return open_files if holds_dicom(Path(paths[0])) else None
    return open_files if all(p.lower().endswith(EXTENSIONS) for p in paths) else None


def open_files(path: str | list[str]) -> list[LayerData]:
    """Layers of one or several files."""
    watch(napari.current_viewer())
    paths = [path] if isinstance(path, str) else path
    return [layer for p in paths for layer in open_file(p)]


def open_file(path: str) -> list[LayerData]:
    """Layers of one file."""
    from napari_ganseg.plugin.frames import choose_frames

    content = read_any(path, channels=True)
    name = file_name(path)
    if isinstance(content, LabelMap):
        return [labels_layer(content, name)]
    if content.has_channels and content.channels > AS_FRAMES:
        frame = choose_frames(name, content.channels)
        return image_layers(read(path, frame=frame), f"{name} [{frame}]")
    return image_layers(content, name)
