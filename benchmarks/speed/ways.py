"""The ways to label a scan: MONAI's call as it is commonly made, the same in bfloat16, the bare network, and ours."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from monai.data.utils import dense_patch_slices
from monai.inferers import sliding_window_inference

from benchmarks.speed.subjects import Subject
from napari_ganseg.heap import kept_memory
from napari_ganseg.inference import engine, settings
from napari_ganseg.inference.labelling import tiles_of
from napari_ganseg.inference.precision import Precision, arithmetic
from napari_ganseg.inference.tiles import Box
from napari_ganseg.volume import Array

COMMON, HALF, BARE, BARE_HALF, OURS = "MONAI", "MONAI bf16", "bare fp32", "bare bf16", "ours"
OVERLAP = 0.5  # of MONAI's common call
Way = Callable[[Subject], Array | None]


def common(subject: Subject, overlap: float = OVERLAP) -> Array:
    """Labels (z, y, x) by MONAI in float32: one window at a time, Gaussian weights, argmax over the finished scores."""
    patch = subject.model.card.patch
    with torch.inference_mode():
        scores = sliding_window_inference(
            subject.image, patch, 1, subject.model.network, overlap=overlap, mode="gaussian"
        )
        assert isinstance(scores, torch.Tensor)
        return scores.argmax(1)[0].to(torch.uint8).cpu().numpy()


def half(subject: Subject) -> Array:
    """The same under autocast."""
    with torch.autocast(subject.device.type, torch.bfloat16):
        return common(subject)


def ours(subject: Subject, precision: Precision = "auto", overlap: float | None = None) -> Array:
    """Labels by the engine as it comes."""
    chosen: dict[str, Any] = {"device": str(subject.device), "precision": precision}
    chosen |= {} if overlap is None else {"overlap": overlap}
    return engine.segment(subject.volume, subject.model, **chosen).array


def bare(subject: Subject, boxes: Sequence[Box], precision: Precision) -> None:
    """The network alone on tiles that are cut beforehand; what it says is dropped."""
    with torch.inference_mode(), arithmetic(precision, subject.device):
        for box in boxes:
            subject.model.network(subject.image[(slice(None), slice(None), *box)].contiguous())


def bare_kept(subject: Subject, boxes: Sequence[Box]) -> None:
    """The same in the engine's arithmetic, memory kept as the engine keeps it."""
    with kept_memory():
        bare(subject, boxes, "auto")


def common_tiles(subject: Subject, overlap: float = OVERLAP) -> list[Box]:
    """The windows of MONAI's call, as it reckons them."""
    patch, shape = subject.model.card.patch, subject.volume.shape
    steps = tuple(n if n == p else max(1, int(p * (1 - overlap))) for n, p in zip(shape, patch, strict=True))
    return [tuple(box) for box in dense_patch_slices(shape, patch, steps)]


def own_tiles(subject: Subject, overlap: float | None = None) -> list[Box]:
    """The engine's."""
    card = subject.model.card
    tiling = tiles_of(subject.volume, card, card.patch, settings.OVERLAP if overlap is None else overlap)[1]
    return [tiling.box(place) for place in tiling.places()]


def ways(subject: Subject) -> dict[str, Way]:
    """By name, in the order in which a round takes them."""
    theirs, own = common_tiles(subject), own_tiles(subject)
    return {
        COMMON: common,
        BARE: lambda s: bare(s, theirs, "float32"),
        HALF: half,
        OURS: ours,
        BARE_HALF: lambda s: bare_kept(s, own),
    }


def agreement(found: Array, reference: Array) -> dict[int, float]:
    """Dice of every class that either map has, background left out."""
    most = int(max(found.max(), reference.max())) + 1
    sizes = np.bincount(found.ravel(), minlength=most) + np.bincount(reference.ravel(), minlength=most)
    shared = np.bincount(found[found == reference], minlength=most)
    return {value: float(2 * shared[value] / sizes[value]) for value in range(1, most) if sizes[value]}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of other people's libraries."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
