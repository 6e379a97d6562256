"""From voxels to labels: tile by tile through the network, each block labelled as soon as no later tile touches it."""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from napari_ganseg import grid
from napari_ganseg.inference.blocks import Blocks
from napari_ganseg.inference.body import Body
from napari_ganseg.inference.canvas import Canvas
from napari_ganseg.inference.frame import Axis, frame_of
from napari_ganseg.inference.precision import Precision, arithmetic
from napari_ganseg.inference.sight import Sight
from napari_ganseg.inference.target import Target
from napari_ganseg.inference.tiles import Place, Tiling, cover, tile_shape
from napari_ganseg.models import Card, Model
from napari_ganseg.networks import divisor
from napari_ganseg.run import Controls, Progress
from napari_ganseg.volume import Volume

Floats = npt.NDArray[np.float32]
Labelling = Generator[Progress, None, None]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What stays the same over all tiles.

    Attributes:
        device, store: where the network computes, and where its scores wait to be summed up.
        overlap: share of a tile that neighbours have in common.
        patch: voxels of a tile; empty for the card's.
        batch: tiles that go through the network together.
    """

    model: Model
    device: torch.device
    controls: Controls
    overlap: float
    precision: Precision = "auto"
    store: torch.device | None = None
    patch: tuple[int, ...] = ()
    batch: int = 1


def label(part: Volume, job: Job, target: Target) -> Labelling:
    """Label a volume: at once with a model of its dimensions, slice by slice with a 2D model."""
    network = on_device(job.model.network, job.device)
    if part.spatial_ndim == job.model.card.dims:
        yield from label_grid(part, job, network, target)
        return
    planes = range(*target.wanted.indices(part.shape[0]))
    for done, z in enumerate(planes):
        yield Progress(done, len(planes), "segmenting")
        image = slice_at(part, z)
        if image.array.min() < image.array.max():
            for _ in label_grid(image, job, network, target.slice_at(z)):
                pass


def on_device(network: nn.Module, device: torch.device) -> nn.Module:
    """The network where it shall compute: itself if it is there, else a copy, since a loaded model is shared."""
    if all(p.device == device for p in network.parameters()):
        return network
    return copy.deepcopy(network).to(device)


def slice_at(part: Volume, z: int) -> Volume:
    """One z slice of a volume as a 2D volume at its place."""
    array = np.asarray(part.array[:, z] if part.has_channels else part.array[z])
    return part.derive(array=array, affine=grid.shifted(part.affine, (z, 0, 0)), stored=None)


def label_grid(part: Volume, job: Job, network: nn.Module, target: Target) -> Labelling:
    """Label a volume that has the model's dimensions."""
    card = job.model.card
    axes, tiling = tiles_of(part, card, job.patch or card.patch, job.overlap)
    canvas = Canvas(axes, (0, *[c.value for c in card.classes]), target)
    tiling = tiling.within(*planes_for(axes[0], target.wanted))
    blocks = Blocks(tiling, int(canvas.is_resampled), job.store or job.device)
    sight = Sight(part, axes, card.preprocessing.intensity())
    body = Body(card, sight.scaling)
    done = 0
    for tile in scored(tiling, sight, body, network, job):
        fill(canvas, blocks, *tile)
        del tile  # its scores are not to wait beside those of the next (`enumerate` would hold them too)
        done += 1  # noqa: SIM113
        yield Progress(done, len(tiling), "segmenting")
    job.controls.check()


def fill(canvas: Canvas, blocks: Blocks, place: Place, logits: Tensor | None) -> None:
    """Label what a tile completes."""
    for block in blocks.add(place, logits):
        canvas.put(block)
        blocks.give_back(block)


def tiles_of(part: Volume, card: Card, patch: Sequence[int], overlap: float) -> tuple[tuple[Axis, ...], Tiling]:
    """The axes of a scan at a model's spacing, padded to at least a tile, and the tiles over them."""
    axes = frame_of(part, card.spacing)
    tile = tile_shape([axis.count for axis in axes], patch, divisor(card.arch))
    padded = tuple(axis.padded(n) for axis, n in zip(axes, tile, strict=True))
    return padded, cover([len(axis.seen) for axis in padded], tile, overlap)


def planes_for(axis: Axis, wanted: slice) -> tuple[int, int]:
    """The first and the last of the model's planes from which the wanted planes of a scan are interpolated."""
    first, last = axis.back[wanted.start], axis.back[wanted.stop - 1]
    return int(first), min(int(np.ceil(last)), len(axis.seen) - 1)


def scored(
    tiling: Tiling, sight: Sight, body: Body, network: nn.Module, job: Job
) -> Iterator[tuple[Place, Tensor | None]]:
    """What the network says of each tile, in their order; None where a tile holds nothing."""
    places: list[tuple[Place, bool]] = []
    images: list[Floats] = []
    for place in tiling.places():
        job.controls.check()
        image = sight.tile(tiling.box(place))
        places.append((place, body.is_in(image)))
        images += [image] * places[-1][1]
        if len(images) == job.batch:
            yield from paired(places, scores(network, images, job))
            places, images = [], []
    yield from paired(places, scores(network, images, job) if images else ())


def paired(places: Sequence[tuple[Place, bool]], logits: Iterable[Tensor]) -> Iterator[tuple[Place, Tensor | None]]:
    """Tiles with their logits; of those that hold nothing there are none."""
    each = iter(logits)
    for place, holds_something in places:
        yield place, next(each) if holds_something else None


def scores(network: nn.Module, images: Sequence[Floats], job: Job) -> Tensor:
    """Logits (tiles, classes, *tile) of tiles (channels, *tile)."""
    with torch.inference_mode(), arithmetic(job.precision, job.device):
        batch = torch.from_numpy(np.stack(images))
        if job.device.type == "cuda":
            batch = batch.pin_memory()
        logits: Tensor = network(batch.to(job.device, non_blocking=True))
    return logits
