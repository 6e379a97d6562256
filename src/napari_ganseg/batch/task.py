"""One case on a worker of a cluster: the same steps as in a batch at home, with models that stay loaded."""

from __future__ import annotations

import socket
import threading
from collections.abc import Collection, Generator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from napari_ganseg.batch.case import ScanCase
from napari_ganseg.batch.chosen import ChosenModel, load_one
from napari_ganseg.batch.job import Job
from napari_ganseg.batch.load import load_case
from napari_ganseg.batch.result import CaseResult, left_out
from napari_ganseg.batch.save import save_case
from napari_ganseg.batch.share import RemoteControls, Share
from napari_ganseg.batch.work import Loaded, Made, Waiting
from napari_ganseg.errors import Cancelled, ModelError, UsageError
from napari_ganseg.io.holder import Holder
from napari_ganseg.io.lock import Locks
from napari_ganseg.io.names import shown
from napari_ganseg.models import Model
from napari_ganseg.models.library import find_path
from napari_ganseg.run import Progress

T = TypeVar("T")
DEATHS = 3  # of workers in one case, after which it has failed
KEPT = 4  # models a worker keeps loaded
LOADING = threading.Lock()


def segment_case(case: ScanCase, share: Share, gone: Collection[Holder]) -> CaseResult | Waiting:
    """Lock, read, compute and write one case.

    Args:
        case: which; its paths are looked for on the worker.
        share: what all tasks are told.
        gone: workers that died, as the scheduler knows, with the lock of this case.

    Raises:
        UsageError: this worker cannot see the folders.
        ModelError: it cannot load a model.
    """
    from distributed import get_worker

    controls = RemoteControls(share)
    try:
        controls.check()
    except Cancelled:
        return left_out(case)
    if controls.is_stopping:
        return left_out(case)
    check_sight(case, share)
    locks = Locks(share.worker(get_worker().address), gone, DEATHS)
    try:
        return brought(case, Job(share.out, share.models, share.options, locks), controls)
    finally:
        locks.release_all()


def check_sight(case: ScanCase, share: Share) -> None:
    """Refuse to work where the folders are others than the user's."""
    hidden = [folder for folder in (case.sources[0].parent, share.out) if not folder.is_dir()]
    if not hidden and not share.sign.exists():
        hidden = [share.out]
    if hidden:
        raise UsageError(f"A worker on {socket.gethostname()} cannot see the folder {shown(hidden[0])}. Every worker "
                         "needs scans and output under the same paths as here; share them, and run again.")  # fmt: skip


def brought(case: ScanCase, job: Job, controls: RemoteControls) -> CaseResult | Waiting:
    """What becomes of one case."""
    item = load_case(case, job)
    if not isinstance(item, Loaded):
        return item
    from napari_ganseg.batch.compute import compute_case

    made = end_of(compute_case(item, models_here(job.models, job.options.device), job, controls))
    return save_case(made, job) if isinstance(made, Made) else made


def models_here(chosen: Sequence[ChosenModel], device: str) -> list[Model]:
    """The models, loaded and brought to the device once in this process."""
    with LOADING:
        try:
            return [kept(path_here(model), model.sha256, device) for model in chosen]
        except ModelError as error:
            raise ModelError(f"On the worker {socket.gethostname()}: {error}") from error


def path_here(model: ChosenModel) -> Path:
    """The model's file on this worker: under the same path, or of the same name in this worker's library."""
    return model.path if model.path.exists() else find_path(model.card.name)


@lru_cache(maxsize=KEPT)
def kept(path: Path, sha256: str, device: str) -> Model:
    """A model as it is kept."""
    from napari_ganseg.batch.compute import placed

    return placed([load_one(path, sha256)], device)[0]


def end_of(steps: Generator[Progress, None, T]) -> T:
    """What a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: T = end.value
            return made
