"""Measure Labels layers in true millimetres: what one holds, or how a prediction differs from the truth."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels, Layer

from napari_ganseg.errors import UsageError
from napari_ganseg.plugin.belonging import candidates, scans_beside
from napari_ganseg.plugin.layers import LayerData, label_map_of, labels_layer
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.registry import check_layer, given_placement, placement_of
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.volume import LabelMap

if TYPE_CHECKING:
    from napari_ganseg.metrics import Measure, Scores

TOLERANCE_MM = 1.0  # of the surface Dice


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A Labels layer as it was when somebody asked; painting goes on without touching it."""

    name: str
    labels: LabelMap
    placement: Placement


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """A prediction against the truth: the figures, and the voxels that differ as a layer, where there are any."""

    scores: Scores
    errors: LayerData | None


def snapshot(layer: Labels, others: Iterable[Layer]) -> Snapshot:
    """The labels of a layer where they lie in the patient.

    Args:
        layer: the labels.
        others: the viewer's layers, one of which may be their scan.

    Raises:
        UsageError: the layer is no single 2D or 3D scan's, or could be several scans'.
    """
    placement = place_of(layer, others)
    return Snapshot(layer.name, label_map_of(layer, placement, np.array(layer.data)), placement)


def place_of(layer: Labels, others: Iterable[Layer]) -> Placement:
    """Where labels lie: where they were made, else on the scan they cover, else as has to be assumed and is noted."""
    places = candidates(layer, scans_beside(layer, others))
    if not places:
        return lonely(layer)
    if not all(is_same_place(places[0], other) for other in places):
        names = " and ".join(f'"{place.source}"' for place in places)
        raise UsageError(f'"{layer.name}" lies on {names}, whose true places differ. Remove all but its own scan.')
    return places[0]


def lonely(layer: Labels) -> Placement:
    """The place of labels that lie on no scan."""
    check_layer(layer)
    placement = placement_of(layer)
    if given_placement(layer) is None:
        return placement
    note = f"{layer.name} was moved by hand; it is measured where it was read."
    return replace(placement, notes=(*placement.notes, note))


def is_same_place(first: Placement, second: Placement) -> bool:
    """Whether two grids put every voxel in the same place, however their files store it."""
    if (first.shape, first.axes, first.flips) != (second.shape, second.axes, second.flips):
        return False
    return bool(np.allclose(first.affine, second.affine, atol=1e-4))


def measuring(taken: Snapshot) -> Run[Mapping[int, Measure]]:
    """Measure every class."""

    def work(controls: Controls) -> Generator[Progress, None, Mapping[int, Measure]]:
        from napari_ganseg.metrics import measure

        yield Progress(0, 1, "measuring")
        return measure(taken.labels)

    return Run(work)


def comparing(prediction: Snapshot, truth: Snapshot) -> Run[Comparison]:
    """Compare a prediction with the truth, class by class."""

    def work(controls: Controls) -> Generator[Progress, None, Comparison]:
        from napari_ganseg.metrics import difference, evaluate

        yield Progress(0, 2, "measuring surfaces")
        scores = evaluate(prediction.labels, truth.labels, tolerance_mm=TOLERANCE_MM)
        controls.check()
        yield Progress(1, 2, "finding errors")
        errors = difference(prediction.labels, truth.labels)
        name, any_error = f"errors of {prediction.name}", bool(errors.array.any())
        return Comparison(scores, labels_layer(errors, name, prediction.placement) if any_error else None)

    return Run(work)
