"""Segment: a volume and a model in, named labels on the volume's own grid out, with how they were made."""

from __future__ import annotations

import platform
import traceback
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from napari_ganseg import grid
from napari_ganseg.errors import ComputeError, DomainError, UsageError
from napari_ganseg.inference.device import choose_device
from napari_ganseg.inference.domain import check_fit, doubts, finite
from napari_ganseg.inference.labelling import Job, labelled
from napari_ganseg.io import read
from napari_ganseg.io.stored import StoredGrid
from napari_ganseg.models import Model, find_model
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.volume import LabelMap, Volume


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

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < 1:
            raise UsageError(f"The overlap of tiles is a share from 0 to below 1, not {self.overlap:g}.")


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
    device = choose_device(settings.device)
    loaded = model if isinstance(model, Model) else find_model(model)
    card = loaded.card
    if not isinstance(volume, Volume):
        volume = read(volume, channels=len(card.channels) > 1 or None)
    region = region_of(volume, settings)
    volume = finite(volume)
    part, put_back = grid.crop(volume, region)
    check_fit(part, card)
    concerns = doubts(part, card, volume)
    if concerns and settings.strict:
        raise DomainError(" ".join(concerns))
    index = None if settings.slice_index is None else settings.slice_index - region[0].start
    try:
        labels = yield from labelled(part, Job(loaded, device, settings.overlap, controls), index)
    except (RuntimeError, MemoryError) as error:
        raise compute_error(error) from error
    made = provenance(volume, loaded, settings, region) | {"device": str(device)}
    return put_back(labels).derive(notes=(*volume.notes, *concerns), provenance=made)


def region_of(volume: Volume, settings: Settings) -> list[slice]:
    """The box to compute, as plain starts and stops.

    Raises:
        UsageError: the region has another number of axes, or the wanted slice lies outside it.
    """
    region = settings.region or [slice(None)] * volume.spatial_ndim
    if len(region) != volume.spatial_ndim:
        raise UsageError(f"The region has {len(region)} ranges; this image has {volume.spatial_ndim} axes, "
                         f"{' x '.join(map(str, volume.shape))} voxels.")  # fmt: skip
    bounds = [slice(*s.indices(n)[:2]) for s, n in zip(region, volume.shape, strict=True)]
    index = settings.slice_index
    if index is None:
        return bounds
    if volume.spatial_ndim == 2:
        raise UsageError("This image is a single slice; leave the slice index out.")
    if not bounds[0].start <= index < bounds[0].stop:
        raise UsageError(f"Slice {index} lies outside the image or region ({bounds[0].start} to {bounds[0].stop - 1}).")
    return bounds


def compute_error(error: RuntimeError | MemoryError) -> ComputeError:
    """A fault of torch or numpy as an error of ours, in words; lets go of the arrays its traceback holds."""
    traceback.clear_frames(error.__traceback__)
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
        return ComputeError("There is not enough memory for this. Choose a smaller region, or the CPU as device.")
    return ComputeError(
        f"The computation failed inside torch: {error}. Try the CPU as device; please report it if that fails too."
    )


def provenance(volume: Volume, model: Model, settings: Settings, region: Sequence[slice]) -> dict[str, Any]:
    """How a result was made, in JSON values."""
    return {
        "software": f"napari-ganseg {version('napari-ganseg')}",
        "model": model.card.name,
        "model_sha256": model.sha256,
        "source": volume.stored.path.name if isinstance(volume.stored, StoredGrid) else None,
        "overlap": settings.overlap,
        "strict": settings.strict,
        "region_voxels": [[s.start, s.stop] for s in region],
        "slice_index": None if settings.slice_index is None else int(settings.slice_index),
        "spacing_mm": list(model.card.spacing),
        "versions": {name: version(name) for name in ("torch", "monai", "nibabel", "numpy")},
        "python": platform.python_version(),
        "assumptions": list(volume.notes),
    }
