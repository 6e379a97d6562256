"""Live: labels of the slice under the slider while the user scrolls, made in the background and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from magicgui.widgets import CheckBox, Label
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QDockWidget, QWidget

from napari_ganseg.errors import UsageError
from napari_ganseg.plugin.errand import Errand, Outcome
from napari_ganseg.plugin.job_button import is_alive
from napari_ganseg.plugin.live_scan import LOADING, LOOKING
from napari_ganseg.plugin.live_session import Session
from napari_ganseg.plugin.live_subject import Subject, index_of
from napari_ganseg.plugin.worker import HERE, Done, Failed, Job, announcer, job_of, words
from napari_ganseg.run import Progress

PAUSE_MS = 30  # without a step before a slice is asked for
MANY_TILES = 16  # take long enough to be counted
TOLD = {LOADING: "Loading...", LOOKING: "Looking..."}
FOUND, NOTHING = "On this slice: ", "Nothing found on this slice."


class Live:
    """Labels each slice that the user scrolls to, while a box is ticked.

    One slice is in the works at a time; scrolling on cancels it. A job of the viewer's, such as a click on Segment,
    goes first: Live waits for its end.

    Args:
        viewer: that is being scrolled.
        box: the toggle.
        words: what Live has to say; hidden while it is off.
        read: the form; it may raise a GansegError, which is shown.
    """

    def __init__(self, viewer: Any, box: CheckBox, words: Label, read: Callable[[], Subject]) -> None:
        self._viewer, self._box, self._words, self._read = viewer, box, words, read
        self._is_on = False
        self._session: Session | None = None
        self._errand: Errand | None = None
        self._asked = -1  # the slice that the errand is for
        self._timer = QTimer(box.native)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self._on_pause)
        box.changed.connect(self._on_box)
        announcer.began.connect(self._on_began)

    # --- on and off ---

    def _on_box(self, is_on: bool) -> None:
        """What the user wants."""
        if not is_on:
            self.turn_off()
            return
        self._is_on = True
        for event in self._events():
            event.connect(self.look)
        if dock := dock_of(self._box.native):
            dock.destroyed.connect(self.turn_off)
        self._say("Starting...")
        self.look()

    def turn_off(self, *_: Any) -> None:
        """Cancel what is under way, and leave the layer to the user."""
        if not self._is_on:
            return
        self._is_on = False
        self._forget()
        for event in self._events():
            event.disconnect(self.look)
        if is_alive(self._box):
            self._timer.stop()
            self._box.value = False
            self._say("")

    def _events(self) -> list[Any]:
        """Of the viewer: whatever may change which slice is wanted."""
        dims = self._viewer.dims.events
        return [dims.current_step, dims.order, dims.ndisplay, self._viewer.layers.events.removed]

    def _fail(self, message: str) -> None:
        """Say it once: what failed would fail again at every step of the slider."""
        self.turn_off()
        show_error(message)

    # --- which slice ---

    def look(self, *_: Any) -> None:
        """See to the slice on screen, once the slider has come to rest."""
        if self._is_on and is_alive(self._box):
            self._timer.start()

    def _on_pause(self) -> None:
        """The slider rests, or a slice is done: see what is wanted now."""
        if not (self._is_on and is_alive(self._box)):
            return
        try:
            self._see_to_it()
        except Exception as error:
            self._fail(words(error))

    def _see_to_it(self) -> None:
        """Ask for the slice on screen, unless its labels are there."""
        if self._session is not None and self._session.is_gone:
            self.turn_off()
            return
        if job := job_of(self._viewer):
            self._say(f"Waits for: {job.title}")
            return
        subject = self._read()
        if self._session is None or not subject.is_same_as(self._session.subject):
            self._forget()
            self._session = Session(self._viewer, subject, self.look)
        try:
            index = index_of(self._viewer, subject)
        except UsageError:
            self._say("Waits: show the axial plane in 2D; Live follows its slices.")
            return
        self._want(index, self._session)

    def _forget(self) -> None:
        """Cancel, and let go of scan, model and layer."""
        if self._errand is not None:
            self._errand.cancel()
        if self._session is not None:
            self._session.close()
        self._session = None

    # --- its labels ---

    def _want(self, index: int, session: Session) -> None:
        """Have a slice labelled, once the one that nobody wants any more has ended."""
        if session.has(index):
            names = session.found(index)
            self._say(FOUND + ", ".join(names) if names else NOTHING)
        if self._errand is not None:
            if session.has(index) or not (index == self._asked or session.is_underway(index)):
                self._errand.cancel()
        elif not session.has(index):
            self._asked = index
            self._errand = Errand(
                lambda: session.scan.ask(index), "Live", on_progress=self._on_progress,
                on_ended=lambda outcome: self._on_ended(session, outcome),
            )  # fmt: skip

    def _on_progress(self, news: Progress) -> None:
        """Say what goes on; tiles are counted where there are many."""
        if not (self._is_on and is_alive(self._box)):
            return
        if news.doing in TOLD:
            self._say(TOLD[news.doing])
        elif news.total >= MANY_TILES:
            self._say(f"{TOLD[LOOKING]} {news.done} of {news.total}")

    def _on_ended(self, session: Session, outcome: Outcome) -> None:
        """Show what came, if it is still wanted, and go on with the slice on screen."""
        self._errand = None
        if not (self._is_on and is_alive(self._box)):
            return
        try:
            if session is self._session and isinstance(outcome, Failed):
                self._fail(outcome.message)
            elif session is self._session and isinstance(outcome, Done):
                session.show(outcome.result)
        except Exception as error:
            self._fail(words(error))
        self._on_pause()

    def _on_began(self, viewer: Any, job: Job[Any]) -> None:
        """A job goes first."""
        if viewer is not self._viewer or job.lane != HERE or not self._is_on:
            return
        if self._errand is not None:
            self._errand.cancel()
        job.ended.connect(self.look)
        self.look()

    def _say(self, text: str) -> None:
        if self._words.value != text:
            self._words.value = text
            self._words.visible = bool(text)


def dock_of(widget: QWidget) -> QDockWidget | None:
    """The dock that holds a form; closing it destroys the dock, and not the form."""
    parent = widget.parent()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parent()
    return parent
