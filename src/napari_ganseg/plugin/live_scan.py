"""What Live asks about: one scan and one model, both loaded once, and slices that are labelled one by one."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from napari_ganseg import grid
from napari_ganseg.plugin.courtesy import give_way
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.preferences import model_folder
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.volume import Array, LabelMap, Volume

if TYPE_CHECKING:
    from napari_ganseg.models import Model

LOADING, LOOKING = "loading", "looking"


@dataclass(frozen=True, slots=True, eq=False)
class Slab:
    """Labels of some slices.

    Attributes:
        planes: of the scan's first axis; all there is of a picture.
        labels: (planes, y, x), or (y, x) of a picture.
    """

    planes: slice
    labels: Array


class LiveScan:
    """A scan and a model, from which the labels of a slice can be had; nothing is loaded before the first is asked for.

    Args:
        array: the image layer's.
        placement: where it lies.
        model: a name.
        device: "auto", "cuda", "mps" or "cpu".
    """

    def __init__(self, array: Any, placement: Placement, model: str, device: str) -> None:
        self._array, self._placement, self._model_name, self._device = array, placement, model, device
        self.underway: slice | None = None  # the planes whose labels are being made

    def ask(self, index: int) -> Run[Slab]:
        """Labels of the slice `index`, with those of its neighbours that come at the same price; one Run at a time."""
        self.underway = None
        return Run(lambda controls: self._steps(index, controls))

    @cached_property
    def model(self) -> Model:
        """The model, in memory."""
        from napari_ganseg.models.library import find_model

        return find_model(self._model_name, model_folder())

    @cached_property
    def volume(self) -> Volume:
        """The scan, as the engine wants it."""
        from napari_ganseg.inference.domain import check_fit

        volume = self._placement.volume(self._array)
        check_fit(volume, self.model.card)
        return volume

    def _steps(self, index: int, controls: Controls) -> Generator[Progress, None, Slab]:
        give_way()
        if "volume" not in vars(self):
            yield Progress(0, 0, LOADING)
        planes = self._planes(index)
        self.underway = planes
        yield Progress(0, 0, LOOKING)
        if self.model.card.dims == 2 and self.volume.spatial_ndim == 3:
            one, _ = grid.crop(self.volume, (planes, slice(None), slice(None)))
            return Slab(planes, (yield from self._labels(one, slice(0, 1), controls)))
        return Slab(planes, (yield from self._labels(self.volume, planes, controls)))

    def _planes(self, index: int) -> slice:
        """The slices that the same tiles label: one for a 2D model, as deep as tiles are apart for a 3D model."""
        from napari_ganseg.inference.labelling import planes_for, tiles_of
        from napari_ganseg.inference.settings import OVERLAP

        if self.volume.spatial_ndim == 2 or self.model.card.dims == 2:
            return slice(index, index + 1)
        axes, tiling = tiles_of(self.volume, self.model.card, self.model.card.patch, OVERLAP)

        def tiles(z: int) -> set[int]:
            return set(tiling.within(*planes_for(axes[0], slice(z, z + 1))).starts[0])

        wanted, start, stop = tiles(index), index, index + 1
        while start > 0 and tiles(start - 1) <= wanted:
            start -= 1
        while stop < self.volume.shape[0] and tiles(stop) <= wanted:
            stop += 1
        return slice(start, stop)

    def _labels(self, part: Volume, planes: slice, controls: Controls) -> Generator[Progress, None, Array]:
        """Labels of some planes of a scan, as those of the whole would be.

        A 3D model's card may ask for the largest piece of a class in the whole scan: nobody knows that here, so that
        all pieces are shown.
        """
        from napari_ganseg.inference.components import keep_largest
        from napari_ganseg.inference.computing import computed
        from napari_ganseg.inference.device import choose_device
        from napari_ganseg.inference.engine import empty_labels
        from napari_ganseg.inference.region import region_of
        from napari_ganseg.inference.settings import Settings

        card, labels = self.model.card, empty_labels(part, self.model.card)
        region = region_of(part, None, None)
        is_flat = part.spatial_ndim == 2
        target = (region if is_flat else replace(region, wanted=planes)).target(labels, None)
        yield from computed(part, self.model, choose_device(self._device), Settings(), controls, target)
        if card.dims == 2:
            labels = keep_largest(LabelMap(array=labels), card.postprocessing.largest_component, card.dims).array
        return labels if is_flat else labels[planes].copy()
