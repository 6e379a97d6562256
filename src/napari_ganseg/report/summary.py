"""The report's summary for programs: counts, volumes, models, versions and times in one JSON file."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from napari_ganseg.batch.result import Status
from napari_ganseg.io.labels import MARK
from napari_ganseg.metrics.scores import mean_of
from napari_ganseg.report.case import STATUSES, ReportCase
from napari_ganseg.report.distribution import Distribution

NAME = "summary.json"
START = f'{{\n "software": "{MARK}",\n "report": '.encode()
PACKAGES = ("napari-ganseg", "torch", "monai", "numpy", "nibabel")


def json_bytes(cases: Sequence[ReportCase], classes: Sequence[Distribution]) -> bytes:
    """The file."""
    content = {
        "software": MARK,
        "report": 1,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "cases": len(cases),
        "status": counts(cases),
        "classes": {spread.name: figures(spread) for spread in classes},
        "mean_dice": mean_of([case.mean_dice for case in cases]),
        "models": models(cases),
        "versions": {"python": platform.python_version(), **{p: version_of(p) for p in PACKAGES}},
        "times": times(cases),
    }
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()


def counts(cases: Sequence[ReportCase]) -> dict[Status, int]:
    """Cases per status."""
    return {status: sum(case.result.status == status for case in cases) for status in STATUSES}


def figures(spread: Distribution) -> dict[str, Any]:
    """Volumes of one class."""
    return {
        "cases": len(spread.cases),
        "mean_ml": round(spread.mean_ml, 6),
        "median_ml": round(spread.median_ml, 6),
        "min_ml": round(min(spread.volumes_ml), 6),
        "max_ml": round(max(spread.volumes_ml), 6),
        "outliers": list(spread.outliers),
    }


def models(cases: Sequence[ReportCase]) -> list[dict[str, str]]:
    """Every model that the records name, with the SHA-256 of its file."""
    listed = [m for case in cases for m in case.record.get("models", ()) if isinstance(m, dict)]
    pairs = dict.fromkeys((str(m.get("name")), str(m.get("sha256"))) for m in listed)
    return [{"name": name, "sha256": sha256} for name, sha256 in pairs]


def version_of(package: str) -> str | None:
    """Version of a package, without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def times(cases: Sequence[ReportCase]) -> dict[str, Any]:
    """Seconds over all cases, and when the first and last of them were finished."""
    seconds = [case.seconds for case in cases]
    finished = sorted(str(case.record["finished"]) for case in cases if "finished" in case.record)
    return {
        "seconds": round(sum(seconds), 3),
        "median_seconds": round(float(np.median(seconds)), 3),
        "first_finished": finished[0] if finished else None,
        "last_finished": finished[-1] if finished else None,
    }
