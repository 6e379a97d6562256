"""Segment: resample, normalise, tile by tile through the network, scores back to the scan's grid, labels."""

from __future__ import annotations

import platform
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_ganseg import grid
from napari_ganseg.errors import Cancelled, ComputeError, DomainError
from napari_ganseg.inference.components import keep_largest
from napari_ganseg.inference.device import choose_device
from napari_ganseg.inference.domain import check_fit, doubts
from napari_ganseg.inference.tiles import Box, blend, tile_shape, tiles
from napari_ganseg.io import read
from napari_ganseg.io.stored import StoredGrid
from napari_ganseg.models import Model, find_model
from napari_ganseg.networks import divisor
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.volume import LabelMap, Volume

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Settings:
    """How to segment.

    Attributes:
        region: a box of voxel indices, one slice per spatial axis of the volume; None takes all of it.
        slice_index: label this z slice only (a 3D model sees its neighbourhood all the same).
        device: "auto", "cuda", "mps" or "cpu".
        strict: refuse a scan that is not what the model knows, instead of going on with a note.
        overlap: share of a tile that neighbours have in common.
    """

    region: Sequence[slice] | None = None
    slice_index: int | None = None
    device: str = "auto"
    strict: bool = False
    overlap: float = 0.5


def segment(volume: Volume | str | Path, model: str | Path | Model = "hippocampus-mri", **settings: Any) -> LabelMap:
    """Segment a volume.

    Args:
        volume: what `read` gave, or a path.
        model: a name that `list_models` shows, the path of a model file, or a loaded Model.
        **settings: the fields of Settings: region, slice_index, device, strict, overlap.

    Returns:
        Labels on the volume's own grid, with class names, notes and provenance.

    Raises:
        FileError, ModelError: the scan or the model cannot be used.
        UsageError: they do not fit together.
        DomainError: with strict=True, the scan is not what the model knows.
        ComputeError: out of memory, or a fault inside torch.
    """
    return segmentation(volume, model, Settings(**settings)).result


def segmentation(
    volume: Volume | str | Path, model: str | Path | Model = "hippocampus-mri", settings: Settings | None = None
) -> Run[LabelMap]:
    """The Run that `segment` runs to its end: one step per tile, cancelled between tiles."""
    return Run(lambda controls: steps(volume, model, settings or Settings(), controls))


def steps(
    volume: Volume | str | Path, model: str | Path | Model, settings: Settings, controls: Controls
) -> Generator[Progress, None, LabelMap]:
    """Load what came as a name, check that it fits, compute, and say on the result how it was made."""
    yield Progress(0, 0, "loading")
    loaded = model if isinstance(model, Model) else find_model(model)
    card = loaded.card
    if not isinstance(volume, Volume):
        volume = read(volume, channels=len(card.channels) > 1 or None)
    check_fit(volume, card)
    region = region_of(volume, loaded, settings)
    part, put_back = grid.crop(volume, region)
    concerns = doubts(part, card)
    if concerns and settings.strict:
        raise DomainError(" ".join(concerns))
    try:
        labels = yield from labelled(part, loaded, settings, controls)
    except RuntimeError as error:
        raise compute_error(error) from error
    labels = put_back(labels)
    if settings.slice_index is not None:
        labels = only_slice(labels, settings.slice_index)
    return labels.derive(notes=(*volume.notes, *concerns), provenance=provenance(volume, loaded, settings, region))


def region_of(volume: Volume, model: Model, settings: Settings) -> list[slice]:
    """The box to compute: the region, narrowed to a slab around the one slice that is wanted."""
    region = list(settings.region or [slice(None)] * volume.spatial_ndim)
    index = settings.slice_index
    if index is None or volume.spatial_ndim == 2:
        return region
    half = 0 if model.card.dims == 2 else round(model.card.patch[0] * model.card.spacing[0] / volume.spacing_mm[0] / 2)
    start, stop, _ = region[0].indices(volume.shape[0])
    region[0] = slice(max(start, index - half), min(stop, index + half + 1))
    return region


def labelled(part: Volume, model: Model, settings: Settings, controls: Controls) -> Generator[Progress, None, LabelMap]:
    """Labels of a volume: at once with a model of its dimensions, slice by slice with a 2D model."""
    device = choose_device(settings.device)
    network = model.network.to(device)
    try:
        if part.spatial_ndim == model.card.dims:
            return (yield from labelled_grid(part, model, settings, controls))
        slices = []
        for z in range(part.shape[0]):
            yield Progress(z, part.shape[0], "segmenting")
            one = labelled_grid(slice_at(part, z), model, settings, controls)
            slices.append(Run(lambda _, one=one: one).result.array)
        return LabelMap(
            array=np.stack(slices), affine=part.affine, stored=part.stored, classes=model.card.label_classes
        )
    finally:
        if device.type != "cpu":
            network.to("cpu")


def slice_at(part: Volume, z: int) -> Volume:
    """One z slice of a volume as a 2D volume at its place."""
    array = part.array[:, z] if part.has_channels else part.array[z]
    return part.derive(array=array, affine=grid.shifted(part.affine, (z, 0, 0)), stored=None)


def labelled_grid(
    part: Volume, model: Model, settings: Settings, controls: Controls
) -> Generator[Progress, None, LabelMap]:
    """Labels of a volume that has the model's dimensions."""
    card = model.card
    scaled, undo_scale = grid.resample(part, card.spacing)
    prepared = card.preprocessing.intensity().apply(scaled)
    tile = tile_shape(prepared.shape, card.patch, divisor(card.arch))
    padded, undo_pad = grid.pad(prepared, tile, None)
    boxes = tiles(padded.shape, tile, settings.overlap)
    scores = None
    scored = scored_tiles(padded, boxes, model, settings, controls)
    for done, scores in enumerate(blend(padded.shape, tile, card.out_channels, scored), start=1):
        yield Progress(min(done, len(boxes)), len(boxes), "segmenting")
    if scores is None:
        raise Cancelled("Cancelled; nothing was kept.")
    yield Progress(len(boxes), len(boxes), "labelling")
    small = undo_pad(padded.derive(array=scores, has_channels=True))
    values = winners(small, undo_scale, (0, *[c.value for c in card.classes]))
    labels = LabelMap(array=values, affine=part.affine, stored=part.stored, classes=card.label_classes)
    return keep_largest(labels, card.postprocessing.largest_component)


def scored_tiles(
    padded: Volume, boxes: Sequence[Box], model: Model, settings: Settings, controls: Controls
) -> Iterator[tuple[Box, Floats]]:
    """Each tile's class probabilities (classes, *tile)."""
    device = choose_device(settings.device)
    array = padded.array if padded.has_channels else padded.array[np.newaxis]
    for box in boxes:
        controls.check()
        image = torch.from_numpy(np.ascontiguousarray(array[(slice(None), *box)])).to(device)
        with torch.inference_mode():
            probabilities = model.network(image[None]).float().softmax(1)[0]
        yield box, probabilities.cpu().numpy()


def winners(scores: Volume, undo_scale: Any, values: Sequence[int]) -> npt.NDArray[np.int32]:
    """The most probable class per voxel of the original grid.

    Class by class, so that memory does not grow with classes times volume; ties go to the first, background.
    """
    best: Floats | None = None
    labels = np.zeros((), dtype=np.int32)
    for channel, value in enumerate(values):
        score = undo_scale(scores.derive(array=scores.array[channel], has_channels=False)).array
        if best is None:
            best, labels = score.copy(), np.zeros(score.shape, dtype=np.int32)
            continue
        is_better = score > best
        labels[is_better] = value
        np.maximum(best, score, out=best)
    return labels


def only_slice(labels: LabelMap, index: int) -> LabelMap:
    """Empty every other slice."""
    array = np.zeros_like(labels.array)
    array[index] = labels.array[index]
    return labels.derive(array=array)


def compute_error(error: RuntimeError) -> ComputeError:
    """A RuntimeError of torch as an error of ours, in words."""
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
        return ComputeError("There is not enough memory for this. Choose a smaller region, or the CPU as device.")
    return ComputeError(
        f"The computation failed inside torch: {error}. Try the CPU as device; please report it if that fails too."
    )


def provenance(volume: Volume, model: Model, settings: Settings, region: Sequence[slice]) -> dict[str, Any]:
    """How a result was made, in JSON values."""
    source = volume.stored.path.name if isinstance(volume.stored, StoredGrid) else None
    bounds = [list(s.indices(n)[:2]) for s, n in zip(region, volume.shape, strict=True)]
    return {
        "software": f"napari-ganseg {version('napari-ganseg')}",
        "model": model.card.name,
        "model_sha256": model.sha256,
        "source": source,
        "device": str(choose_device(settings.device)),
        "overlap": settings.overlap,
        "region_voxels": bounds,
        "slice_index": settings.slice_index,
        "spacing_mm": list(model.card.spacing),
        "versions": {name: version(name) for name in ("torch", "monai", "nibabel", "numpy")},
        "python": platform.python_version(),
        "assumptions": list(volume.notes),
    }
