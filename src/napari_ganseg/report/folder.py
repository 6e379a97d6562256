"""Write the report of a batch into its output folder, from its results or from what the folder remembers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from napari_ganseg.batch.manifest import read_manifest
from napari_ganseg.batch.result import CaseResult
from napari_ganseg.errors import FileError, UsageError
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.io.labels import read_sidecar
from napari_ganseg.io.names import shown, sidecar_path
from napari_ganseg.metrics import Scores
from napari_ganseg.report import page, summary, table
from napari_ganseg.report.case import STATUSES, make_case, measured
from napari_ganseg.report.distribution import distributions


def write_report(out: str | Path, results: Iterable[CaseResult], *, scores: Mapping[str, Scores] | None = None) -> Path:
    """Write `cases.csv`, `summary.json` and `report.html`, each whole or not at all.

    Scans and labels are read again for the pictures, one case after the other; a case without a picture says why.
    Where a scan is called "summary", its labels' record is `summary.json`, and ours is `report-summary.json`.

    Args:
        out: the output folder of the batch.
        results: of the batch.
        scores: against the truth, by the case's name; adds Dice.

    Returns:
        The page.

    Raises:
        FileError: a file cannot be written, or one of that name is there and is not of a report.
        UsageError: there is no case.
    """
    folder = Path(out)
    cases = [make_case(result, (scores or {}).get(result.name)) for result in results]
    if not cases:
        raise UsageError(f"There is nothing to report in {shown(folder)}: no case has ended there yet.")
    classes = distributions(cases)
    html, json = folder / page.NAME, summary_path(folder)
    for path, start in ((folder / table.NAME, table.START), (json, summary.START), (html, page.START)):
        check_ours(path, start)
    write_bytes(folder / table.NAME, table.csv_bytes(cases, classes))
    write_bytes(json, summary.json_bytes(cases, classes))
    write_bytes(html, page.html_bytes(folder, cases, classes))
    return html


def report_folder(out: str | Path, *, scores: Mapping[str, Scores] | None = None) -> Path:
    """Write the report again from the manifest and the records in the output folder; otherwise as `write_report`."""
    folder = Path(out)
    last = {entry["name"]: entry for entry in read_manifest(folder)}
    found = (remembered(folder, entry) for _, entry in sorted(last.items()))
    return write_report(folder, [result for result in found if result], scores=scores)


def remembered(folder: Path, entry: Mapping[str, Any]) -> CaseResult | None:
    """A case as the manifest has it; None where the line is not ours or leads out of the folder."""
    name, output = str(entry["name"]), entry.get("output")
    file = output.get("name") if isinstance(output, dict) else None
    path = (folder / name).with_name(str(file or Path(name).name + ".nii.gz"))
    if entry.get("status") not in STATUSES or not path.resolve().is_relative_to(folder.resolve()):
        return None
    try:
        seconds, notes = float(entry["seconds"]), tuple(map(str, entry["notes"]))
        source, cause = Path(entry["source"]), str(entry["cause"])
    except (KeyError, TypeError, ValueError):
        return None
    volumes = {c.name: c.ml for c in measured(read_sidecar(sidecar_path(path)))}
    return CaseResult(name, source, path, entry["status"], cause, seconds, volumes, notes)


def summary_path(folder: Path) -> Path:
    """Where the summary goes: never over the record of a case."""
    usual = folder / summary.NAME
    return usual.with_name(f"report-{summary.NAME}") if "record" in read_sidecar(usual) else usual


def check_ours(path: Path, start: bytes) -> None:
    """Refuse to replace somebody else's file."""
    try:
        with open(path, "rb") as file:
            is_ours = file.read(len(start)) == start
    except FileNotFoundError:
        return
    except OSError as error:
        raise FileError(f"Cannot write {shown(path)}: {error.strerror}. Remove it, and report again.") from error
    if not is_ours:
        raise FileError(f"{shown(path)} is there already and is not of a report; rename it, and report again.")
