"""Segment: a volume and a model in, named labels on the volume's own grid out, with how they were made."""

from __future__ import annotations

import platform
import traceback
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_ganseg.errors import ComputeError, DomainError, GansegError, UsageError
from napari_ganseg.inference.components import keep_largest
from napari_ganseg.inference.device import choose_device
from napari_ganseg.inference.domain import check_fit, doubts, extremes, finite
from napari_ganseg.inference.frame import Axis
from napari_ganseg.inference.labelling import Job, label, slice_at, tiles_of
from napari_ganseg.inference.ladder import Rung, is_out_of_memory, rungs
from napari_ganseg.inference.memory import Memory, estimated, give_back
from napari_ganseg.inference.precision import Precision, for_labels, name_of
from napari_ganseg.inference.region import Region, region_of
from napari_ganseg.inference.target import Target
from napari_ganseg.inference.tiles import Tiling
from napari_ganseg.io import read
from napari_ganseg.io.pieces import is_large
from napari_ganseg.io.stored import StoredGrid
from napari_ganseg.models import Card, Model, find_model
from napari_ganseg.networks import divisor
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.volume import Array, LabelMap, Volume, smallest_type

OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """How to segment.

    Attributes:
        region: a box of voxel indices, one slice per spatial axis of the volume; None takes all of it.
        slice_index: label this z slice only (a 3D model sees its neighbourhood all the same).
        device: "auto", "cuda", "mps" or "cpu".
        strict: refuse a scan that is not what the model knows, instead of going on with a note.
        overlap: share of a tile that neighbours have in common.
        precision: "auto" computes in bfloat16 where the processor does so natively, "float32" nowhere.
        cpu_fallback: go on with the CPU where a GPU has no room even for small tiles.
    """

    region: Sequence[slice] | None = None
    slice_index: int | None = None
    device: str = "auto"
    strict: bool = False
    overlap: float = OVERLAP
    precision: Precision = "auto"
    cpu_fallback: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < 1:
            raise UsageError(f"The overlap of tiles is a share from 0 to below 1, not {self.overlap:g}.")
        if self.precision not in ("auto", "float32"):
            raise UsageError(f'The precision is "auto" or "float32", not "{self.precision}".')


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a segmentation made: labels, and how probable they are where that was asked."""

    labels: LabelMap
    confidence: Volume | None = None


def segment(
    volume: Volume | str | Path, model: str | Path | Model = "hippocampus-mri", out: Any = None, **settings: Any
) -> LabelMap:
    """Segment a volume.

    Args:
        volume: what `read` gave, or a path. Its array may be larger than memory: a dask or zarr array, for example.
        model: a name that `list_models` shows, the path of a model file, or a loaded Model.
        out: where the labels go, region by region as they are found: an array of the volume's shape full of zeros,
            such as a zarr array or a numpy.memmap. None makes one in memory.
        **settings: the fields of Settings: region, slice_index, device, strict, overlap, precision, cpu_fallback.

    Returns:
        Labels on the volume's own grid, with class names, notes and provenance.

    Raises:
        FileError, ModelError: the scan or the model cannot be used.
        UsageError: they do not fit together.
        DomainError: with strict=True, the scan is not what the model knows.
        ComputeError: out of memory, or a fault inside torch.
    """
    chosen = Settings(**settings)
    return Run(lambda controls: find(volume, model, chosen, controls, out)).result.labels


def segment_with_confidence(
    volume: Volume | str | Path, model: str | Path | Model = "hippocampus-mri", **settings: Any
) -> tuple[LabelMap, Volume]:
    """Segment a volume, and say how sure the network is of every voxel.

    Args:
        volume, model, **settings: as for `segment`.

    Returns:
        The labels, and on the same grid the softmax probability of each voxel's label (float32, 0 to 1). It is what the
        network believes of itself, not how often it is right.
    """
    chosen = Settings(**settings)
    found = Run(lambda controls: find(volume, model, chosen, controls, is_asked=True)).result
    if found.confidence is None:
        raise AssertionError("confidence was asked for")
    return found.labels, found.confidence


def segmentation(
    volume: Volume | str | Path, model: str | Path | Model = "hippocampus-mri", settings: Settings | None = None
) -> Run[LabelMap]:
    """The Run that `segment` runs to its end: one step per tile, cancelled between tiles."""
    return Run(lambda controls: steps(volume, model, settings or Settings(), controls))


def steps(
    volume: Volume | str | Path, model: str | Path | Model, settings: Settings, controls: Controls
) -> Generator[Progress, None, LabelMap]:
    """The work of a segmentation."""
    return (yield from find(volume, model, settings, controls)).labels


def find(
    volume: Volume | str | Path, model: str | Path | Model, settings: Settings, controls: Controls,
    out: Any = None, is_asked: bool = False,
) -> Generator[Progress, None, Found]:  # fmt: skip
    """Load what came as a name, check that it fits, compute, and say on the result how it was made."""
    yield Progress(0, 0, "loading")
    device = choose_device(settings.device)
    loaded = model if isinstance(model, Model) else find_model(model)
    card = loaded.card
    if not isinstance(volume, Volume):
        volume = read(volume, channels=len(card.channels) > 1 or None, lazy=is_large(volume))
    region = region_of(volume, settings.region, settings.slice_index)
    volume = finite(volume)
    part = region.cut(volume)
    check_fit(part, card)
    concerns = doubts(part, card, volume)
    if concerns and settings.strict:
        raise DomainError(" ".join(concerns))
    labels = out if out is not None else empty_labels(volume, card)
    check_out(labels, volume, card)
    confidence = np.ones(volume.shape, np.float32) if is_asked else None
    rung = yield from computed(part, loaded, device, settings, controls, region.target(labels, confidence))
    made = provenance(volume, loaded, settings, region) | {
        "device": str(rung.device), "memory": rung.name,
        "precision": name_of(for_labels(settings.precision, rung.device, card.dims), rung.device),
    }  # fmt: skip
    found = LabelMap(
        array=labels, affine=volume.affine, stored=volume.stored, classes=card.label_classes,
        notes=(*volume.notes, *concerns), provenance=made,
    )  # fmt: skip
    is_partly = settings.slice_index is not None and card.dims == 3  # the largest piece may lie in other slices
    kept = found if is_partly else keep_largest(found, card.postprocessing.largest_component, card.dims)
    if out is not None and kept is not found:
        out[region.box] = kept.array[region.box]
    return Found(kept, None if confidence is None else volume.derive(array=confidence, has_channels=False))


def computed(
    part: Volume, model: Model, device: torch.device, settings: Settings, controls: Controls, target: Target
) -> Generator[Progress, None, Rung]:
    """Label a volume by the first rung of the ladder that has room for it; a lower one begins anew.

    Raises:
        ComputeError: none has.
    """
    if is_constant(part):
        return Rung("as planned", device, device, model.card.patch)
    tile = tiling_for(part, model.card, model.card.patch, settings.overlap)[1].tile
    patch = [min(wanted, n) for wanted, n in zip(model.card.patch, tile, strict=True)]
    ladder = list(rungs(device, patch, divisor(model.card.arch), settings.cpu_fallback))
    for rung in ladder:
        needs = memory_for(part, model.card, settings, rung)
        if not needs.fits and rung is not ladder[-1]:
            continue
        precision = for_labels(settings.precision, rung.device, model.card.dims)
        job = Job(model, rung.device, controls, settings.overlap, precision, rung.store, rung.patch, needs.batch)
        yield Progress(0, 0, f"loading; it {needs}")
        if (yield from tried(part, job, target)):
            return rung
        give_back(rung.device)
        target.clear()
    raise ComputeError(f"There is not enough memory for this, not even with small tiles: it {needs}. Choose a smaller "
                       "region, close other programs, or choose the CPU as device.")  # fmt: skip


def tried(part: Volume, job: Job, target: Target) -> Generator[Progress, None, bool]:
    """Label a volume; False where memory ran out. After any fault the arrays that its traceback held are let go."""
    try:
        yield from label(part, job, target)
    except GansegError as error:
        traceback.clear_frames(error.__traceback__)
        raise
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise compute_error(error) from error
        traceback.clear_frames(error.__traceback__)
        return False
    return True


def memory_for(part: Volume, card: Card, settings: Settings, rung: Rung) -> Memory:
    """What a rung needs, and what there is."""
    axes, tiling = tiling_for(part, card, rung.patch, settings.overlap)
    return estimated(card, axes, tiling, rung.device, rung.store)


def tiling_for(part: Volume, card: Card, patch: Sequence[int], overlap: float) -> tuple[tuple[Axis, ...], Tiling]:
    """The axes and tiles of what the network sees at once: the volume, or a slice of it."""
    image = part if part.spatial_ndim == card.dims else slice_at(part, 0)
    return tiles_of(image, card, patch, overlap)


def is_constant(part: Volume) -> bool:
    """Whether there is nothing to find."""
    low, high = extremes(part)
    return low == high


def empty_labels(volume: Volume, card: Card) -> Array:
    """Background everywhere, in the smallest integers that hold the card's values."""
    return np.zeros(volume.shape, smallest_type(max(c.value for c in card.classes)))


def check_out(labels: Any, volume: Volume, card: Card) -> None:
    """Raise UsageError where labels cannot go into an array."""
    least = np.dtype(smallest_type(max(c.value for c in card.classes)))
    is_whole = np.dtype(labels.dtype).kind in "iu"
    if tuple(labels.shape) != volume.shape or not is_whole or not np.can_cast(least, labels.dtype):
        raise UsageError(
            f"`out` needs the scan's shape {volume.shape} and whole numbers like {least}; this one has "
            f"{tuple(labels.shape)} and {labels.dtype}."
        )


def compute_error(error: RuntimeError | MemoryError) -> ComputeError:
    """A fault of torch or numpy as an error of ours, in words; lets go of the arrays its traceback holds."""
    traceback.clear_frames(error.__traceback__)
    if is_out_of_memory(error):
        return ComputeError("There is not enough memory for this. Choose a smaller region, or the CPU as device.")
    return ComputeError(
        f"The computation failed inside torch: {error}. Try the CPU as device; please report it if that fails too."
    )


def provenance(volume: Volume, model: Model, settings: Settings, region: Region) -> dict[str, Any]:
    """How a result was made, in JSON values."""
    return {
        "software": f"napari-ganseg {version('napari-ganseg')}",
        "model": model.card.name,
        "model_sha256": model.sha256,
        "source": volume.stored.path.name if isinstance(volume.stored, StoredGrid) else None,
        "overlap": settings.overlap,
        "strict": settings.strict,
        "region_voxels": [[s.start, s.stop] for s in region.box],
        "slice_index": None if settings.slice_index is None else int(settings.slice_index),
        "spacing_mm": list(model.card.spacing),
        "versions": {name: version(name) for name in ("torch", "monai", "nibabel", "numpy")},
        "python": platform.python_version(),
        "assumptions": list(volume.notes),
    }
