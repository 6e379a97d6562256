"""What a batch in the background works on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ganseg.batch import CaseResult, segment_folder
from napari_ganseg.models.library import find_path
from napari_ganseg.plugin.preferences import model_folder

if TYPE_CHECKING:
    from napari_ganseg.run import Run


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


def make_run(task: FolderTask) -> Run[tuple[CaseResult, ...]]:
    """The batch; its model is looked for where the user keeps models too."""
    return segment_folder(task.folder, task.out, find_path(task.model, model_folder()), **task.options)
