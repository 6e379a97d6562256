"""What became of each case of a batch, and the exit code that says it to a shell."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from napari_ganseg.batch.case import ScanCase
from napari_ganseg.errors import GansegError
from napari_ganseg.io.names import shown

log = logging.getLogger(__name__)
Status = Literal["done", "skipped", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case of a batch.

    Attributes:
        name: of the case: its output's path inside the output folder, without suffix.
        source: the scan, the first channel where each has a file.
        output: the label file.
        status: "done" now, "skipped" because done before, "failed", or "cancelled" before it was done.
        cause: why it failed or was cancelled.
        seconds: spent on it: reading, computing and writing.
        volumes_ml: millilitres by class name.
        notes: what was assumed or doubtful.
    """

    name: str
    source: Path
    output: Path
    status: Status
    cause: str = ""
    seconds: float = 0.0
    volumes_ml: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        volumes = ", ".join(f"{name} {ml:.4g} mL" for name, ml in self.volumes_ml.items() if ml)
        return f"CaseResult({self.name}: {', '.join(filter(None, (self.status, self.cause or volumes)))})"

    @property
    def is_good(self) -> bool:
        """Whether the labels are there, complete."""
        return self.status in ("done", "skipped")


def exit_code(results: Iterable[CaseResult]) -> int:
    """0 when every case is done, 3 when some are, 4 when none is."""
    good = [result.is_good for result in results]
    return 0 if good and all(good) else 3 if any(good) else 4


def failed(case: ScanCase, error: Exception, seconds: float = 0.0) -> CaseResult:
    """The result of a case that ended in an error; one that nobody foresaw is logged in full."""
    if isinstance(error, GansegError):
        cause = str(error)
    elif isinstance(error, OSError):
        file = shown(error.filename or case.sources[0])
        cause = f"{file}: {error.strerror or error}. Make sure that it can be read and written, and run again."
    else:
        log.error("unexpected fault in case %r", case.name, exc_info=error)
        cause = f"Unexpected fault ({type(error).__name__}: {error}). Please report it; the other cases went on."
    return CaseResult(case.name, case.sources[0], case.output, "failed", cause, seconds)


def cancelled(case: ScanCase, cause: str) -> CaseResult:
    """The result of a case that was left out or given up."""
    return CaseResult(case.name, case.sources[0], case.output, "cancelled", cause)


def left_out(case: ScanCase) -> CaseResult:
    """The result of a case that was not begun."""
    return cancelled(case, "Not begun: the batch was ended before. Run it again to go on.")
