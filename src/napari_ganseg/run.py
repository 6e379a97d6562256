"""A Run is long work that one iterates: it reports progress, can be paused, stopped and cancelled, and has a result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from napari_ganseg.errors import Cancelled

if TYPE_CHECKING:
    from napari_ganseg.batch.result import CaseResult

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a Run stands: `done` of `total` steps, what it is doing in words, and figures by name (loss, Dice).

    A batch counts cases, and says in `case` what became of the one that just ended.
    """

    done: int
    total: int
    doing: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    case: CaseResult | None = None


class Controls:
    """What the work itself sees of its Run: it asks between steps whether to go on."""

    def __init__(self) -> None:
        self._go = threading.Event()
        self._go.set()
        self._stop = threading.Event()
        self._cancel = threading.Event()

    def check(self) -> None:
        """Wait while paused; raise Cancelled when the user cancelled."""
        self._go.wait()
        if self._cancel.is_set():
            raise Cancelled("Cancelled; nothing was kept.")

    @property
    def is_paused(self) -> bool:
        """The user wants it to hold."""
        return not self._go.is_set()

    @property
    def is_cancelling(self) -> bool:
        """The user wants nothing of it."""
        return self._cancel.is_set()

    @property
    def is_stopping(self) -> bool:
        """The user wants the best so far, soon."""
        return self._stop.is_set()


class Run(Generic[T]):
    """Long work, made by a function that yields Progress and returns the result.

    Iterate it for Progress values, or ask for `.result`, which runs it to its end. Controls are thread-safe.
    """

    def __init__(self, work: Callable[[Controls], Generator[Progress, None, T]]) -> None:
        self._controls = Controls()
        self._steps = work(self._controls)
        self._result: list[T] = []
        self._fault: Exception | None = None

    def __repr__(self) -> str:
        state = "failed" if self._fault else "done" if self._result else "iterate it, or ask for its .result"
        return f"Run({state})"

    def __iter__(self) -> Iterator[Progress]:
        while not self._result:
            if self._fault is not None:
                raise self._fault
            try:
                progress = next(self._steps)
            except StopIteration as end:
                self._result.append(end.value)
                return
            except Exception as error:
                self._fault = error
                raise
            except BaseException:
                self._fault = Cancelled("Interrupted; nothing was kept.")
                raise
            yield progress

    def pause(self) -> None:
        """Hold at the next step until `resume`."""
        self._controls._go.clear()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._controls._go.set()

    def stop(self) -> None:
        """End soon and keep the best so far."""
        self._controls._stop.set()
        self._controls._go.set()

    def cancel(self) -> None:
        """End soon and keep nothing; whoever iterates gets Cancelled."""
        self._controls._cancel.set()
        self._controls._go.set()

    @property
    def result(self) -> T:
        """What the work made; runs it to the end first where that has not happened. A failed run fails again."""
        for _ in self:
            pass
        return self._result[0]
