"""Compute labels in the memory that there is, or say what is missing."""

from __future__ import annotations

import traceback
from collections.abc import Generator, Sequence

import torch

from napari_ganseg.errors import ComputeError, GansegError
from napari_ganseg.inference.domain import extremes
from napari_ganseg.inference.frame import Axis
from napari_ganseg.inference.labelling import Job, label, slice_at, tiles_of
from napari_ganseg.inference.ladder import Rung, is_out_of_memory, rungs
from napari_ganseg.inference.memory import Memory, estimated, give_back
from napari_ganseg.inference.precision import for_labels
from napari_ganseg.inference.settings import Settings
from napari_ganseg.inference.target import Target
from napari_ganseg.inference.tiles import Tiling
from napari_ganseg.models import Card, Model
from napari_ganseg.networks import divisor
from napari_ganseg.run import Controls, Progress
from napari_ganseg.volume import Volume


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


def compute_error(error: RuntimeError | MemoryError) -> ComputeError:
    """A fault of torch or numpy as an error of ours, in words; lets go of the arrays its traceback holds."""
    traceback.clear_frames(error.__traceback__)
    if is_out_of_memory(error):
        return ComputeError("There is not enough memory for this. Choose a smaller region, or the CPU as device.")
    return ComputeError(
        f"The computation failed inside torch: {error}. Try the CPU as device; please report it if that fails too."
    )
