"""From voxels to labels: resample, normalise, tile by tile through the network, scores back, the best class wins."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from napari_ganseg import grid
from napari_ganseg.errors import ComputeError
from napari_ganseg.inference.components import keep_largest
from napari_ganseg.inference.tiles import Blend, Box, tile_shape, tiles
from napari_ganseg.models import Card, Model
from napari_ganseg.networks import divisor
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.volume import LabelMap, Volume

Floats = npt.NDArray[np.float32]
Labelling = Generator[Progress, None, LabelMap]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What stays the same over all tiles."""

    model: Model
    device: torch.device
    overlap: float
    controls: Controls


def labelled(part: Volume, job: Job, index: int | None = None) -> Labelling:
    """Labels of a volume: at once with a model of its dimensions, slice by slice with a 2D model.

    Args:
        part: what to label.
        job: how.
        index: of the only z slice that is wanted; None wants all.
    """
    card, network = job.model.card, on_device(job.model.network, job.device)
    if part.spatial_ndim == card.dims:
        return (yield from labelled_grid(part, job, network, index))
    array = np.zeros(part.shape, dtype=np.int32)
    wanted = range(part.shape[0]) if index is None else [index]
    for done, z in enumerate(wanted):
        yield Progress(done, len(wanted), "segmenting")
        array[z] = finished(labelled_grid(slice_at(part, z), job, network)).array
    return label_map(array, part, card)


def finished(steps: Labelling) -> LabelMap:
    """The result of a labelling whose own progress nobody needs."""
    return Run(lambda _: steps).result


def on_device(network: nn.Module, device: torch.device) -> nn.Module:
    """The network where it shall compute: itself if it is there, else a copy, since a loaded model is shared."""
    if all(p.device == device for p in network.parameters()):
        return network
    return copy.deepcopy(network).to(device)


def slice_at(part: Volume, z: int) -> Volume:
    """One z slice of a volume as a 2D volume at its place."""
    array = part.array[:, z] if part.has_channels else part.array[z]
    return part.derive(array=array, affine=grid.shifted(part.affine, (z, 0, 0)), stored=None)


def labelled_grid(part: Volume, job: Job, network: nn.Module, index: int | None = None) -> Labelling:
    """Labels of a volume that has the model's dimensions; none where it has no contrast."""
    card = job.model.card
    if part.array.min() == part.array.max():
        return label_map(np.zeros(part.shape, dtype=np.int32), part, card)
    scaled, undo_scale = grid.resample(part, card.spacing)
    prepared = card.preprocessing.intensity().apply(scaled)
    tile = tile_shape(prepared.shape, card.patch, divisor(card.arch))
    padded, undo_pad = grid.pad(prepared, tile, None)
    boxes = tiles(padded.shape, tile, job.overlap)
    if index is not None:
        boxes = touching(boxes, padded, part, index)
    scores = yield from blended(padded, tile, boxes, job, network)
    yield Progress(len(boxes), len(boxes), "labelling")
    values = winners(undo_pad(scores), undo_scale, (0, *[c.value for c in card.classes]))
    if index is not None:
        values = only_slice(values, index)
    return keep_largest(label_map(values, part, card), card.postprocessing.largest_component)


def touching(boxes: Sequence[Box], padded: Volume, part: Volume, index: int) -> list[Box]:
    """The tiles from which a z slice of `part` is interpolated."""
    z = float(np.linalg.solve(padded.affine, [*part.to_mm((index, 0, 0)), 1.0])[0])
    z = min(max(z, 0.0), padded.shape[0] - 1.0)
    return [box for box in boxes if box[0].start - 1 < z < box[0].stop]


def blended(
    padded: Volume, tile: Sequence[int], boxes: Sequence[Box], job: Job, network: nn.Module
) -> Generator[Progress, None, Volume]:
    """Class probabilities (classes, ...) of a padded volume, tile by tile; each may be the last before a cancel."""
    image = padded.array if padded.has_channels else padded.array[np.newaxis]
    blend = Blend(padded.shape, tile, job.model.card.out_channels)
    for done, box in enumerate(boxes, start=1):
        job.controls.check()
        blend.add(box, probabilities(network, image[(slice(None), *box)], job.device))
        yield Progress(done, len(boxes), "segmenting")
    job.controls.check()
    return padded.derive(array=blend.mean(), has_channels=True)


def probabilities(network: nn.Module, image: Floats, device: torch.device) -> Floats:
    """Class probabilities (classes, *tile) of one tile (channels, *tile).

    Raises:
        ComputeError: they are not finite; the best of nothing would be a silent background.
    """
    with torch.inference_mode():
        logits = network(torch.from_numpy(np.ascontiguousarray(image)).to(device)[None])
        scores: Floats = logits.float().softmax(1)[0].cpu().numpy()
    if not np.isfinite(scores).all():
        raise ComputeError("The network computed NaN. Try the CPU as device; please report it if that fails too.")
    return scores


def winners(scores: Volume, undo_scale: Callable[[Volume], Volume], values: Sequence[int]) -> npt.NDArray[np.int32]:
    """The most probable class per voxel of the original grid.

    Class by class, so that memory does not grow with classes times volume; ties go to the first, background.
    """

    def score(channel: int) -> Floats:
        return undo_scale(scores.derive(array=scores.array[channel], has_channels=False)).array

    best = score(0).copy()
    labels = np.full(best.shape, values[0], dtype=np.int32)
    for channel, value in enumerate(values[1:], start=1):
        other = score(channel)
        is_better = other > best
        labels[is_better] = value
        np.copyto(best, other, where=is_better)
    return labels


def only_slice(values: npt.NDArray[np.int32], index: int) -> npt.NDArray[np.int32]:
    """Empty every other slice."""
    kept = np.zeros_like(values)
    kept[index] = values[index]
    return kept


def label_map(values: npt.NDArray[np.int32], part: Volume, card: Card) -> LabelMap:
    """Labels on a volume's grid, under the card's names."""
    return LabelMap(array=values, affine=part.affine, stored=part.stored, classes=card.label_classes)
