"""One stretch of Live: an image and a model that stay the same, and the slices labelled so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_ganseg.plugin.live_layer import LiveLayer
from napari_ganseg.plugin.live_scan import LiveScan, Slab
from napari_ganseg.plugin.live_subject import Subject, changes_of
from napari_ganseg.plugin.task import Identity


class Session:
    """Keeps what was found; its layer is made when the first labels come.

    Args:
        viewer: that shows the image.
        subject: what is looked at.
        on_change: called when the image has changed.
    """

    def __init__(self, viewer: Any, subject: Subject, on_change: Callable[..., None]) -> None:
        self._viewer, self.subject, self._on_change = viewer, subject, on_change
        self.scan = LiveScan(subject.image.data, subject.placement, subject.card.name, subject.device)
        self._layer: LiveLayer | None = None
        for event in changes_of(subject.image):
            event.connect(on_change)

    def close(self) -> None:
        """Leave the layer to the user."""
        for event in changes_of(self.subject.image):
            event.disconnect(self._on_change)
        if self._layer is not None:
            self._layer.let_go()

    @property
    def is_gone(self) -> bool:
        """Whether the user removed the image or the layer."""
        layers = [self.subject.image, *([self._layer.layer] if self._layer else [])]
        return any(layer not in self._viewer.layers for layer in layers)

    def has(self, index: int) -> bool:
        """Whether the labels of a slice are there."""
        return self._layer is not None and self._layer.has(index)

    def found(self, index: int) -> list[str]:
        """The structures that a slice shows, by name."""
        return self._layer.found(index) if self._layer is not None else []

    def is_underway(self, index: int) -> bool:
        """Whether labels of a slice are being made, with others."""
        planes = self.scan.underway
        return planes is not None and planes.start <= index < planes.stop

    def show(self, slab: Slab) -> None:
        """Paint some slices, unless the image has gone or changed meanwhile."""
        subject = self.subject
        if self.is_gone or not Identity.of(subject.image).is_same_as(subject.identity):
            return
        if self._layer is None:
            self._layer = LiveLayer(self._viewer, subject.image, subject.placement, subject.card.classes)
        self._layer.fill(slab)
