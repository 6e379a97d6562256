"""Autosave: what people paint is kept in the plugin's data folder every few minutes, and found again after a crash."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, ref

from napari.layers import Labels
from napari.utils.notifications import show_warning
from qtpy.QtCore import QCoreApplication, QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_ganseg.errors import GansegError, UsageError
from napari_ganseg.plugin.layers import bare, checksum, classes_of
from napari_ganseg.plugin.painting import keep, new_path, painting_of, release, remove, touch, user_paintings
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.recovery import Painted, file_of, forget, prune, recoverable, restore
from napari_ganseg.plugin.registry import placement_of
from napari_ganseg.volume import LabelClass

__all__ = ["Autosave", "Painted", "autosave_of", "forget", "note_saved", "recoverable", "restore"]

EVERY_S = 300.0
EVENTS = ("paint", "data", "set_data", "features", "colormap", "name")  # undo tells itself by `set_data` alone
Mark = tuple[int, str, tuple[LabelClass, ...]]

_autosaves: WeakKeyDictionary[Any, Autosave] = WeakKeyDictionary()  # one per viewer, as long as that lives


@dataclass(slots=True, eq=False)
class Watched:
    """A layer that is watched.

    Attributes:
        source: where it lies.
        path: its file, there or not.
        mark: tells what needs no file any more: what the layer held at first, or when it was last saved or kept.
        has_changed: whether it may have changed since.
    """

    source: Placement
    path: Path
    mark: Mark | None
    has_changed: bool = False


def autosave_of(viewer: Any) -> Autosave:
    """The one of a viewer, made when it is first asked for."""
    return _autosaves.get(bare(viewer)) or Autosave(viewer)


def note_saved(layer: Labels) -> None:
    """Note that the user saved a layer to a file: nothing of it can be lost, so its copy goes."""
    for autosave in list(_autosaves.values()):
        autosave.forget(layer)


class Autosave(QObject):
    """Keeps the watched layers of a viewer safe; it lives as long as the viewer.

    Args:
        viewer: whose layers they are.
        folder: of paintings; the user's own by default.
        every_s: seconds between two looks at them.
    """

    _ended = Signal()  # from the thread that writes

    def __init__(self, viewer: Any, folder: Path | None = None, every_s: float = EVERY_S) -> None:
        super().__init__()
        self.folder = folder or user_paintings()
        self.timer = QTimer(self)
        self._viewer: ref[Any] = ref(bare(viewer))
        self._watched: WeakKeyDictionary[Labels, Watched] = WeakKeyDictionary()
        self._pool: ThreadPoolExecutor | None = None  # while something is written: no thread outlives that
        self._running: list[tuple[Future[None], Watched]] = []
        self._warned = ""
        self._connect(bare(viewer))
        _autosaves[bare(viewer)] = self
        prune(self.folder)
        self.timer.start(round(every_s * 1000))

    def _connect(self, viewer: Any) -> None:
        """Every connection but those to layers, which end with the layers."""
        self.timer.timeout.connect(self.save_now)
        self._ended.connect(self._on_ended)
        viewer.layers.events.removed.connect(self._on_removed)
        if application := QCoreApplication.instance():
            application.aboutToQuit.connect(self.close)

    # --- what callers say ---

    def watch(self, layer: Labels, source: Placement) -> None:
        """Keep a layer safe from now on; one that was restored goes on in its own file.

        Args:
            layer: the labels.
            source: where they lie, as `placement_of` says.

        Raises:
            UsageError: a multiscale layer, which nobody can paint on.
        """
        layer = bare(layer)
        if layer.multiscale:
            raise UsageError(f'"{layer.name}" is a multiscale layer; open the labels at one resolution.')
        if layer in self._watched:
            self._watched[layer].source = source
            return
        self._watched[layer] = Watched(source, file_of(layer) or new_path(self.folder), mark_of(layer))
        for name in EVENTS:
            getattr(layer.events, name).connect(self._on_changed)

    def save_now(self) -> None:
        """Keep what has changed; returns before it is written."""
        for layer, watched in list(self._watched.items()):
            is_open = self._has(layer)
            if is_open:
                touch(watched.path)
            if watched.has_changed and not any(watched is other for _, other in self._running):
                self._save(layer, is_held=is_open)

    def wait(self) -> None:
        """Until nothing is being written."""
        while self._running:
            wait([future for future, _ in self._running])
            self._on_ended()

    def forget(self, layer: Labels) -> None:
        """Remove the copy of a layer that the user saved to a file; what is painted from now on is kept again."""
        watched = self._watched.get(bare(layer))
        if watched is None:
            return
        self.wait()
        watched.mark, watched.has_changed = mark_of(layer), False
        with suppress(GansegError):
            remove(watched.path)

    def close(self) -> None:
        """Keep what has changed, wait for it, and let all of it be offered next time."""
        self.timer.stop()
        for layer in list(self._watched):
            self._save(layer, is_held=False)
        self.wait()

    # --- the work ---

    def _has(self, layer: Labels) -> bool:
        viewer = self._viewer()
        return viewer is not None and layer in viewer.layers

    def _save(self, layer: Labels, *, is_held: bool) -> None:
        """Copy a layer and hand the copy to the thread that writes."""
        watched = self._watched[layer]
        mark = mark_of(layer) if watched.has_changed else watched.mark
        is_new = mark != watched.mark and bool(layer.data.any())  # what was erased altogether stays as it was kept
        watched.has_changed = False
        try:
            if is_new:
                watched.mark = mark
                painting = painting_of(layer, place_of(layer, watched.source))
                self._submit(watched, partial(keep, watched.path, painting, is_held=is_held))
            elif not is_held:
                self._submit(watched, partial(release, watched.path))
        except (GansegError, MemoryError) as error:
            self._on_failed(watched, error)

    def _submit(self, watched: Watched, work: Callable[[], None]) -> None:
        """Work in the background, one thing after the other; here, where the interpreter ends and no thread starts."""
        self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="ganseg-autosave")
        try:
            future = self._pool.submit(work)
        except RuntimeError:
            work()
            return
        self._running.append((future, watched))
        future.add_done_callback(self._tell)

    def _tell(self, _: Future[None]) -> None:
        with suppress(RuntimeError):  # Qt may have ended before
            self._ended.emit()

    # --- what happens ---

    def _on_changed(self, event: Any) -> None:
        if watched := self._watched.get(bare(event.source)):
            watched.has_changed = True

    def _on_removed(self, event: Any) -> None:
        """Keep a removed layer as it was last: removing it may have been a mistake."""
        if bare(event.value) in self._watched:
            self._save(bare(event.value), is_held=False)

    def _on_ended(self) -> None:
        ended = [(future, watched) for future, watched in self._running if future.done()]
        self._running = [pair for pair in self._running if pair not in ended]
        if not self._running and self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None
        for future, watched in ended:
            if error := future.exception():
                self._on_failed(watched, error)
            else:
                self._warned = ""

    def _on_failed(self, watched: Watched, error: BaseException) -> None:
        """Try again next time, and say once why."""
        watched.mark, watched.has_changed = None, True
        words = str(error) or type(error).__name__
        if words != self._warned:
            show_warning(f"What you paint cannot be kept safe: {words} Save it yourself.")
        self._warned = words


def mark_of(layer: Labels) -> Mark:
    """Tells whether a layer changed; some 20 ms for 100 million voxels of 8 bits, a tenth of what a copy takes."""
    return checksum(layer.data), layer.name, classes_of(layer)


def place_of(layer: Labels, source: Placement) -> Placement:
    """Where a layer lies, also where its array was replaced by another since."""
    return source if source.layer_shape == tuple(layer.data.shape) else placement_of(layer)


@atexit.register
def _close_all() -> None:
    """Keep what the end of the process would take along."""
    for autosave in list(_autosaves.values()):
        with suppress(RuntimeError, GansegError):
            autosave.close()
