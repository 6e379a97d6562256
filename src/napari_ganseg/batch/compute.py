"""Compute one case: every model over the same scan, merged. The only module of the batch that brings torch."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import replace

from napari_ganseg.batch.job import Job
from napari_ganseg.batch.merge import merge
from napari_ganseg.batch.result import CaseResult, cancelled, failed
from napari_ganseg.batch.work import Loaded, Made
from napari_ganseg.errors import Cancelled
from napari_ganseg.inference.device import choose_device
from napari_ganseg.inference.engine import steps
from napari_ganseg.inference.labelling import on_device
from napari_ganseg.inference.settings import Settings
from napari_ganseg.models import Model
from napari_ganseg.run import Controls, Progress
from napari_ganseg.volume import LabelMap


def placed(models: Sequence[Model], device: str) -> list[Model]:
    """Models with their networks where they shall compute, so that not every case has to bring a copy there.

    Raises:
        UsageError: there is no such device.
    """
    where = choose_device(device)
    try:
        return [replace(model, network=on_device(model.network, where)) for model in models]
    except RuntimeError:  # no room; the engine says so, case by case, and may find some later
        return list(models)


def compute_case(
    loaded: Loaded, models: Sequence[Model], job: Job, controls: Controls
) -> Generator[Progress, None, Made | CaseResult]:
    """Labels of a loaded case, tile by tile; whatever goes wrong is its result, and then it is no longer locked."""
    case, begun = loaded.case, time.perf_counter()
    result: CaseResult
    try:
        labels = yield from labels_of(loaded, models, job, controls)
        return Made(case, labels, loaded.recipe, loaded.why, loaded.seconds + time.perf_counter() - begun)
    except Cancelled:
        result = cancelled(case, "Cancelled while it was computed; nothing of it was kept.")
    except Exception as error:  # the edge: one bad case is a result, not an end
        result = failed(case, error, loaded.seconds + time.perf_counter() - begun)
    job.locks.release(case.lock)
    return result


def labels_of(
    loaded: Loaded, models: Sequence[Model], job: Job, controls: Controls
) -> Generator[Progress, None, LabelMap]:
    """What the models find, merged."""
    options = job.options
    settings = Settings(
        device=options.device, strict=options.strict, overlap=options.overlap,
        precision=options.precision, cpu_fallback=options.cpu_fallback,
    )  # fmt: skip
    maps: list[LabelMap] = []
    for model in models:
        maps += [(yield from steps(loaded.volume, model, settings, controls))]
    return merge(maps, options.later_models)
