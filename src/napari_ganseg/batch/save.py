"""Write one case: the output whole or not at all, its record last. Runs in the writer's thread."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_ganseg.batch.job import Job
from napari_ganseg.batch.load import volumes_in
from napari_ganseg.batch.record import sha256_of, voxels_sha256, write_record
from napari_ganseg.batch.result import CaseResult, failed
from napari_ganseg.batch.work import Made
from napari_ganseg.io import check_target
from napari_ganseg.io.labels import sidecar_bytes
from napari_ganseg.io.names import PICTURE_SUFFIXES
from napari_ganseg.io.pictures import write_picture
from napari_ganseg.io.write import label_image, save
from napari_ganseg.volume import LabelMap


def save_case(made: Made, job: Job) -> CaseResult:
    """Write a computed case and let go of its lock; whatever goes wrong is its result."""
    begun = time.perf_counter()
    try:
        return saved(made, begun)
    except Exception as error:  # the edge: one bad case is a result, not an end
        return failed(made.case, error, made.seconds + time.perf_counter() - begun)
    finally:
        job.locks.release(made.case.lock)


def saved(made: Made, begun: float) -> CaseResult:
    """Mark the case as being written, write its labels, then the record that proves them."""
    case, labels = made.case, made.labels
    check_target(case.output, labels.stored)
    facts: dict[str, Any] = {"why": made.why, **made.recipe.to_json()}
    sidecar = json.loads(sidecar_bytes(labels))
    write_record(case, "writing", facts, {})
    try:
        write_labels(case.output, labels)
    except BaseException:
        forget(case.output, case.sidecar)
        raise
    seconds = made.seconds + time.perf_counter() - begun
    facts |= {
        "output": {"sha256": sha256_of(case.output), "voxels_sha256": voxels_sha256(labels.array)},
        "seconds": round(seconds, 3),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_record(case, "done", facts, sidecar)
    volumes = volumes_in(sidecar)
    return CaseResult(case.name, case.sources[0], case.output, "done", "", seconds, volumes, labels.notes)


def write_labels(path: Path, labels: LabelMap) -> None:
    """Write labels alone, as NIfTI or a picture."""
    if path.name.lower().endswith(PICTURE_SUFFIXES):
        write_picture(path, labels)
    else:
        save(path, label_image(labels))


def forget(output: Path, sidecar: Path) -> None:
    """Take back the mark of a write that failed, where it left no file."""
    if not output.exists():
        with suppress(OSError):
            sidecar.unlink()
