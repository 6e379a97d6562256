"""What a batch in the background works on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ganseg.batch import CaseResult, segment_folder
from napari_ganseg.errors import GansegError
from napari_ganseg.models.library import find_path
from napari_ganseg.plugin.preferences import model_folder
from napari_ganseg.report import write_report

if TYPE_CHECKING:
    from napari_ganseg.run import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FolderTask:
    """What is to be segmented.

    Attributes:
        folder, out: of the scans, and of their labels.
        model: a name.
        options: the fields of BatchOptions.
    """

    folder: Path
    out: Path
    model: str
    options: dict[str, Any]


def reported(results: Sequence[CaseResult], task: FolderTask) -> tuple[tuple[CaseResult, ...], Path | None]:
    """The results, and the report of them where the batch ran to its end."""
    if any(case.status == "cancelled" for case in results):
        return tuple(results), None
    try:
        return tuple(results), write_report(task.out, results)
    except GansegError:
        log.exception("The report could not be written.")
        return tuple(results), None


def make_run(task: FolderTask) -> Run[tuple[CaseResult, ...]]:
    """The batch; its model is looked for where the user keeps models too."""
    return segment_folder(task.folder, task.out, find_path(task.model, model_folder()), **task.options)
