"""Segment: a volume and a model in, named labels on the volume's own grid out, with how they were made."""

from __future__ import annotations

import platform
from collections.abc import Generator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from napari_ganseg.errors import DomainError, UsageError
from napari_ganseg.heap import keeping
from napari_ganseg.inference.components import keep_largest
from napari_ganseg.inference.computing import computed
from napari_ganseg.inference.device import choose_device
from napari_ganseg.inference.domain import check_fit, doubts, finite
from napari_ganseg.inference.precision import for_labels, name_of
from napari_ganseg.inference.region import Region, region_of
from napari_ganseg.inference.settings import Settings
from napari_ganseg.io import read
from napari_ganseg.io.pieces import is_large
from napari_ganseg.io.stored import StoredGrid
from napari_ganseg.models import Card, Model, find_model
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.volume import Array, LabelMap, Volume, smallest_type


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
    rung = yield from keeping(computed(part, loaded, device, settings, controls, region.target(labels, confidence)))
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
