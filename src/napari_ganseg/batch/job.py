"""What stays the same over all cases of a batch."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_ganseg.batch.chosen import ChosenModel
from napari_ganseg.batch.options import BatchOptions
from napari_ganseg.io.lock import Locks


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A batch.

    Attributes:
        out: the output folder.
        models: which, in the order of merging.
        options: how.
        locks: held at the moment.
        closing: set when no further case shall be begun.
    """

    out: Path
    models: tuple[ChosenModel, ...]
    options: BatchOptions
    locks: Locks = field(default_factory=Locks)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def has_channels(self) -> bool:
        """Whether the models want several channels."""
        return len(self.models[0].card.channels) > 1

    @property
    def parameters(self) -> dict[str, Any]:
        """Of the records."""
        return self.options.parameters(len(self.models))
