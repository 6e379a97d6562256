"""What a segmentation in the background works on, and whether its result still fits the image when it comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from napari_ganseg.plugin.layers import LayerData, labels_layer
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.preferences import model_folder
from napari_ganseg.plugin.transform import to_world
from napari_ganseg.volume import Affine

if TYPE_CHECKING:
    from napari_ganseg.run import Run
    from napari_ganseg.volume import LabelMap


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What is to be segmented: all that the background needs, and no layer.

    Attributes:
        array: the image layer's.
        placement: where it lies.
        model: a name.
        settings: the fields of the engine's Settings.
    """

    array: Any
    placement: Placement
    model: str
    settings: dict[str, Any]


def make_run(task: Task) -> Run[LabelMap]:
    """The segmentation, made where torch may be imported: in the background."""
    from napari_ganseg.inference.engine import segmentation
    from napari_ganseg.inference.settings import Settings
    from napari_ganseg.models.library import find_path

    volume, path = task.placement.volume(task.array, lazy=True), find_path(task.model, model_folder())
    return segmentation(volume, path, Settings(**task.settings))


def layer_maker(placement: Placement) -> Callable[[LabelMap], LayerData]:
    """What makes a result's layer data: counting the voxels of a large volume would hold up the viewer."""
    return lambda labels: labels_layer(labels, "result", placement)


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """What of an image must stay the same for a result to fit it: its array and its place."""

    data: Any
    matrix: Affine

    @classmethod
    def of(cls, image: Image) -> Identity:
        """An image as it is now."""
        return cls(image.data, to_world(image))

    def is_same_as(self, other: Identity) -> bool:
        """Whether neither the voxels were replaced nor the layer moved."""
        return self.data is other.data and np.array_equal(self.matrix, other.matrix)


def why_dropped(viewer: Any, image: Image, before: Identity) -> str:
    """Why a result no longer fits its image, in words; nothing where it does."""
    if image not in viewer.layers:
        return f'"{image.name}" was removed while it was being segmented; the result was dropped.'
    if not Identity.of(image).is_same_as(before):
        return f'"{image.name}" was changed while it was being segmented; the result was dropped. Segment again.'
    return ""
