"""Open a case of a batch in the viewer: its scan, its labels on it, in the place of the case opened before."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
from napari.layers import Labels, Layer
from napari.utils.notifications import show_error

from napari_ganseg.batch import CaseResult
from napari_ganseg.io import EXTENSIONS
from napari_ganseg.io.names import shown
from napari_ganseg.plugin.layers import MADE, is_edited
from napari_ganseg.plugin.worker import words


class CaseOpener:
    """Opens one case after the other; labels that were edited stay, with their scan."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._opened: WeakSet[Layer] = WeakSet()

    def open(self, case: CaseResult) -> None:
        """Show a case's scan and, where it has some, its labels; what goes wrong is shown."""
        self._put_away()
        try:
            layers = opened(self._viewer, case.source, "image")
            self._opened.update(layers)
            if case.is_good:
                labels = opened(self._viewer, case.output, "labels")
                self._opened.update(labels)
                labels[0].name = f"{layers[0].name} labels"
                show_fullest(self._viewer, labels[0])
        except OSError as error:
            show_error(f"Cannot open {shown(case.name)}: {error}")
        except Exception as error:  # the edge: whatever a reader raises, Qt must not meet it
            show_error(words(error))

    def _put_away(self) -> None:
        """Remove the case opened before, unless its labels were edited: then it is the user's."""
        layers = [layer for layer in self._opened if layer in self._viewer.layers]
        self._opened.clear()
        if any(has_edits(layer) for layer in layers):
            return
        for layer in layers:
            self._viewer.layers.remove(layer)


def opened(viewer: Any, path: Path, kind: str) -> list[Layer]:
    """Layers of a file: ours where it is a NIfTI file, napari's own of a picture."""
    if path.name.lower().endswith(EXTENSIONS):
        return list(viewer.open(str(path), plugin="napari-ganseg"))
    return list(viewer.open(str(path), plugin="napari", layer_type=kind))


def has_edits(layer: Layer) -> bool:
    """Whether labels that we opened were painted on since."""
    return isinstance(layer, Labels) and MADE in layer.metadata and is_edited(layer)


def show_fullest(viewer: Any, labels: Layer) -> None:
    """Fit the case into the canvas, at the slice with most labels."""
    viewer.reset_view()
    if labels.ndim == 3 and viewer.dims.ndisplay == 2:
        axis = viewer.dims.order[0]
        others = tuple(a for a in range(3) if a != axis)
        index = np.zeros(3)
        index[axis] = np.count_nonzero(labels.data, axis=others).argmax()
        viewer.dims.set_point(axis, labels.data_to_world(index)[axis])
