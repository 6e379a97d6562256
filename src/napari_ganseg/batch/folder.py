"""Segment a folder: find its cases, bring each to its labels and record, and say what became of it."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ganseg.batch import bids
from napari_ganseg.batch.case import ScanCase
from napari_ganseg.batch.chosen import Names, choose, load
from napari_ganseg.batch.job import Job
from napari_ganseg.batch.layout import find_cases, layout_of
from napari_ganseg.batch.load import in_turn, make_folder
from napari_ganseg.batch.manifest import add_line
from napari_ganseg.batch.options import BatchOptions
from napari_ganseg.batch.pipeline import Compute, News, overlapped
from napari_ganseg.batch.record import read_record
from napari_ganseg.batch.result import CaseResult, left_out
from napari_ganseg.batch.save import save_case
from napari_ganseg.batch.work import Loaded, Made, Waiting
from napari_ganseg.errors import FileError
from napari_ganseg.io.names import shown
from napari_ganseg.models import Model
from napari_ganseg.run import Controls, Progress, Run

if TYPE_CHECKING:
    from napari_ganseg.batch.connection import Cluster

log = logging.getLogger(__name__)
Results = dict[str, CaseResult]


def segment_folder(
    folder: str | Path,
    out: str | Path,
    model: Names = "hippocampus-mri",
    *,
    cluster: Cluster | None = None,
    **options: Any,
) -> Run[tuple[CaseResult, ...]]:
    """Segment every scan of a folder.

    `scan.nii.gz` becomes `out/scan.nii.gz` with `scan.json` beside it; sub-folders stay. In an nnU-Net dataset
    `imagesTs/CASE_0000.nii.gz` becomes `labelsTs/CASE.nii.gz`, in a BIDS dataset `sub-1/anat/sub-1_T1w.nii.gz` becomes
    `sub-1/anat/sub-1_desc-T1w_dseg.nii.gz` of a derivative dataset. `out/manifest.jsonl` gets a line per case.

    A case is skipped when its record agrees with the scan, the models, the parameters and the output, all by hash. An
    output that was cut or changed is made again; one without a record of ours fails its case, unless `overwrite`.
    Several processes may share a folder: each case is computed by one of them. One bad case is a result, not an end.

    Several models are merged into one label map: values that are taken are replaced by new ones, a name that was there
    before is the same structure, and later models fill only background unless `later_models="cover"`; `merge` has the
    rules in full.

    Args:
        folder: holds the scans.
        out: gets the labels; is made where it is missing, and may lie inside the folder.
        model: a name that `list_models` shows or a model file, or several.
        cluster: the address of a Dask scheduler, or a client or cluster of dask.distributed, whose workers compute and
            see both folders under the same paths; docs/cluster.md says more. None computes here.
        **options: the fields of BatchOptions: patterns, layout, recursive, follow, overwrite, later_models, frame,
            device, strict, overlap, precision, cpu_fallback, patience_s.

    Returns:
        A Run. Its Progress carries each case that ended in `case`; its result has all of them, in alphabetical order.
        `stop` ends it after the cases under way, `cancel` at once; both keep what is done, leave nothing half-written,
        and the result says "cancelled" of the rest.

    Raises:
        UsageError, FileError, ModelError: from the Run, before anything is computed: there is no scan, two would have
            the same output, the output folder cannot be made, a model cannot be used, the device is not there, no
            cluster answers, or one of its workers cannot see the folders or the model.
        ComputeError: the cluster went away; what is done is kept.
    """
    chosen = BatchOptions(**options)
    return Run(lambda controls: steps(Path(folder), Path(out), model, chosen, controls, cluster=cluster))


def steps(
    folder: Path, out: Path, model: Names, options: BatchOptions, controls: Controls, *, cluster: Cluster | None
) -> Generator[Progress, None, tuple[CaseResult, ...]]:
    """Look at everything first, then go through the cases."""
    yield Progress(0, 0, "looking for scans")
    if cluster is not None:
        folder, out = folder.absolute(), out.absolute()
    models = choose(model)
    cases = find_cases(folder, out, options, pictures=any(m.card.dims == 2 for m in models))
    make_folder(out)
    if layout_of(folder, options.layout) == "bids":
        bids.describe(out)
    results: Results = {}
    job = Job(out, models, options)
    stream = here(cases, job, controls) if cluster is None else there(cases, job, cluster, controls)
    with closing(all_cases(cases, stream, job, results)) as news:
        yield from news
    return tuple(results.get(case.name) or left_out(case) for case in cases)


def all_cases(
    cases: Sequence[ScanCase], stream: Generator[News, None, None], job: Job, results: Results
) -> Generator[Progress, None, None]:
    """Go through the cases, filling in the results."""
    by_name = {case.name: case for case in cases}
    with closing(stream):
        for news in stream:
            if isinstance(news, CaseResult):
                results[news.name] = news
                note(by_name[news.name], news, job)
            yield Progress(len(results), len(cases), told(news), case=news if isinstance(news, CaseResult) else None)


def here(cases: Sequence[ScanCase], job: Job, controls: Controls) -> Generator[News, None, None]:
    """What becomes of the cases in this process."""
    return overlapped(in_turn(cases, job), computer(job, controls), lambda made: save_case(made, job), job, controls)


def there(cases: Sequence[ScanCase], job: Job, cluster: Cluster, controls: Controls) -> Generator[News, None, None]:
    """What becomes of the cases on a cluster."""
    from napari_ganseg.batch.connection import connected

    with connected(cluster) as client:
        from napari_ganseg.batch.cluster import on_cluster

        yield from on_cluster(cases, job, client, controls)


def computer(job: Job, controls: Controls) -> Compute:
    """What computes a loaded case; the models, and torch, come with the first."""
    models: list[Model] = []

    def compute(loaded: Loaded) -> Generator[Progress, None, Made | CaseResult]:
        from napari_ganseg.batch.compute import compute_case, placed

        if not models:
            models.extend(placed(load(job.models), job.options.device))
        return (yield from compute_case(loaded, models, job, controls))

    return compute


def note(case: ScanCase, result: CaseResult, job: Job) -> None:
    """Add a case that ended to the manifest; the batch does not end because that fails."""
    if result.status == "cancelled":
        return
    try:
        add_line(job.out, result, read_record(case) if result.is_good else {})
    except FileError as error:
        log.error("%s", error)


def told(news: News) -> str:
    """What goes on, in words."""
    if isinstance(news, CaseResult):
        return f"{shown(news.output)}: {news.status}"
    if isinstance(news, Waiting):
        return f"{shown(news.case.output)} is held by {news.holder}; coming back to it"
    progress = news.progress
    count = f" {progress.done} of {progress.total}" if progress.total else ""
    return f"{shown(news.case.output)}: {progress.doing}{count}"
