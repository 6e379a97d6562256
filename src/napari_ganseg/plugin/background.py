"""Long work behind a viewer, with a handle for the console that started it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from napari.utils.notifications import show_error, show_info

from napari_ganseg.batch import CaseResult
from napari_ganseg.errors import UsageError
from napari_ganseg.plugin.case_table import in_numbers
from napari_ganseg.plugin.layers import LayerData, bare, labels_layer
from napari_ganseg.plugin.one_line import in_one_line
from napari_ganseg.plugin.upright import watch
from napari_ganseg.plugin.worker import Job
from napari_ganseg.run import Progress, Run
from napari_ganseg.volume import LabelMap

T = TypeVar("T")


class Background(Generic[T]):
    """What runs behind a viewer: print it, cancel it, and take its result when it is there.

    Args:
        viewer: whose job it is.
        run: the work.
        title: what the activity dock and messages call it.
        show: shows what the run made, and returns what `result` shall be; without, a label map becomes a layer.

    Raises:
        UsageError: the viewer is busy.
    """

    def __init__(self, viewer: Any, run: Run[Any], title: str, show: Callable[[Any], T] | None = None) -> None:
        self._viewer, self._title, self._show = bare(viewer), title, show
        self._state, self.is_running = "starting", True
        self._result: list[T] = []
        self._job: Job[Any] = Job(
            self._viewer, lambda: run, title, finish=prepared, on_done=self._on_done, on_failed=self._on_failed,
            owner="console",
        )  # fmt: skip
        self._job.progressed.connect(self._on_progress)
        self._job.ended.connect(self._on_ended)

    def cancel(self) -> None:
        """End it soon; a batch keeps the cases that are done."""
        self._job.cancel()

    @property
    @in_one_line
    def result(self) -> T:
        """What it made.

        Raises:
            UsageError: it still runs, failed, or was cancelled.
        """
        if not self._result:
            raise UsageError(f"{self._title} has no result: {self._state}.")
        return self._result[0]

    def __repr__(self) -> str:
        return f"<{self._title}: {self._state}>"

    def _on_progress(self, news: Progress) -> None:
        count = f"{news.done} of {news.total} done, " if news.total else ""
        self._state = f"running, {count}{news.doing}"

    def _on_done(self, prepared: tuple[Any, LayerData | None]) -> None:
        made, layer = prepared
        if layer is not None:
            watch(self._viewer)
            self._viewer.add_labels(layer[0], **layer[1])
        self._result = [self._show(made) if self._show else made]
        self._state = in_words(self._result[0])
        show_info(f"{self._title}: {self._state}.")

    def _on_failed(self, message: str) -> None:
        self._state = f"failed ({message.rstrip('.')})"
        show_error(message)

    def _on_ended(self) -> None:
        self.is_running = False
        if self._state.startswith(("starting", "running")):
            self._state = "cancelled"


def prepared(made: Any) -> tuple[Any, LayerData | None]:
    """A label map with its layer's data: counting the voxels of a large one would hold up the viewer."""
    return made, labels_layer(made, made.provenance.get("model", "labels")) if isinstance(made, LabelMap) else None


def in_words(result: Any) -> str:
    """What a result is: "3 failed, 57 done", or that it is there."""
    if isinstance(result, tuple) and result and all(isinstance(case, CaseResult) for case in result):
        return in_numbers(result)
    return "done"
