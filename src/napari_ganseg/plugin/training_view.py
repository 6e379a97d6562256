"""A training as one watches it: what it does, how long it still takes, curves, a preview, and what it came to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari.layers import Image
from napari.utils.notifications import show_error, show_info
from psygnal import Signal
from qtpy import compat
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_ganseg.errors import GansegError
from napari_ganseg.models.file import name_of
from napari_ganseg.plugin.adapt_task import is_adaptation
from napari_ganseg.plugin.batch_widget import paragraph
from napari_ganseg.plugin.before_after import BeforeAfter
from napari_ganseg.plugin.clock import Clock
from napari_ganseg.plugin.curves import Curves
from napari_ganseg.plugin.finetune_task import adopt, begin
from napari_ganseg.plugin.outcome_table import OutcomeTable
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.preview import Preview, shown_index
from napari_ganseg.plugin.worker import CHILD, Job, job_of
from napari_ganseg.run import Progress, Run
from napari_ganseg.training.follow import read_table
from napari_ganseg.training.outcome import Outcome
from napari_ganseg.training.preview import Wanted, ask_preview, read_preview

LOOK_MS = 1000  # between two looks at the preview
OWNER = "finetune"


class TrainingView(QWidget):
    """Follows one training at a time."""

    taken = Signal(str)  # the name of a model that came into the library, or went out of it

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self._folder: Path | None = None
        self._outcome: Outcome | None = None
        self._has_failed = False
        self._previews: dict[str, tuple[Preview, Image, Placement]] = {}
        self._classes: tuple[Any, ...] = ()
        self._clock = Clock()
        self.words, self.faults = paragraph(), paragraph()
        self.pause_button, self.stop_button = QPushButton("Pause"), QPushButton("Stop")
        self.cancel_button, self.take_button = QPushButton("Cancel"), QPushButton()
        self.curves, self.table, self.both = Curves(), OutcomeTable(), BeforeAfter(viewer)
        self._timer = QTimer(self)
        self._lay_out()
        self._connect()
        self._show_state(is_running=False)

    def _lay_out(self) -> None:
        """Words, buttons, curves, outcome."""
        self.stop_button.setToolTip("End now and keep the best so far.")
        self.cancel_button.setToolTip("End now and keep nothing.")
        self.curves.setMinimumHeight(220)
        self.curves.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._buttons = QHBoxLayout()
        for button in (self.pause_button, self.stop_button, self.cancel_button):
            self._buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.words)
        layout.addLayout(self._buttons)
        layout.addWidget(self.faults)
        layout.addWidget(self.curves, stretch=1)
        layout.addWidget(self.table)
        layout.addWidget(self.take_button)
        layout.addWidget(self.both)
        layout.addStretch()  # where there are no curves to take the room

    def _connect(self) -> None:
        """Every connection of this widget; Qt undoes them with it."""
        self.pause_button.clicked.connect(self._on_pause)
        self.stop_button.clicked.connect(self._on_stop)
        self.cancel_button.clicked.connect(self._on_cancel)
        self.take_button.clicked.connect(self._on_take)
        self._timer.timeout.connect(self._on_look)

    # --- the training ---

    def train(self, name: str, make: Callable[[], Path]) -> None:
        """Begin, or go on with, what a run folder describes, and show it.

        Args:
            name: of the new model.
            make: gives the run folder; called in the background, where it may write one.

        Raises:
            UsageError: something is trained behind this viewer already.
        """

        def begun() -> Run[Outcome]:
            folder = make()
            self.folder_made(folder)
            return begin(folder)

        job: Job[Outcome] = Job(
            self._viewer, begun, title(name), finish=lambda outcome: outcome, on_done=self.show_outcome,
            on_failed=self.fail, owner=OWNER, lane=CHILD,
        )  # fmt: skip
        self.follow(job)

    def follow(self, job: Job[Outcome]) -> None:
        """Show a job that has just begun."""
        self._outcome, self._has_failed = None, False
        self._clock = Clock()
        self.curves.clear()
        self.table.clear()
        self.both.withdraw()
        self.faults.hide()
        job.progressed.connect(self._on_progress)
        job.ended.connect(self._on_ended)
        self._show_state(is_running=True)

    def go_on(self, folder: Path) -> None:
        """Follow a training of an earlier session; one that was interrupted goes on."""
        try:
            self.train(folder.name.rsplit("-", 3)[0], lambda: folder)
        except GansegError as error:
            show_error(str(error))

    def folder_made(self, folder: Path) -> None:
        """The run folder is there; it may be told from the background."""
        self._folder = folder

    def teach(self, case: str, image: Image, placement: Placement, classes: tuple[Any, ...]) -> None:
        """Show previews of a case on its image."""
        preview, *_ = self._previews.get(case, (Preview(self._viewer, image, placement), image, placement))
        preview.restart()
        self._previews[case] = preview, image, placement
        self._classes = classes

    def forget_lessons(self) -> None:
        """Remove the previews of an earlier training, whose folder says nothing about the next."""
        self._folder = None
        for preview, *_ in self._previews.values():
            preview.remove()
        self._previews.clear()

    def show_outcome(self, outcome: Outcome) -> None:
        """Say what came of it, and offer the other choice."""
        if not compat.isalive(self):  # type: ignore[no-untyped-call]
            return
        self._outcome, self._is_taken = outcome, outcome.is_better
        show_info(outcome.verdict)
        self.words.setText("Done.")
        is_adapted = self._folder is not None and is_adaptation(self._folder)
        self.table.show_outcome(outcome, is_adapted=is_adapted)
        self._show_choice()
        if self._folder is not None:
            self._show_faults(self._folder)
        if is_adapted and outcome.model:
            self.both.offer(outcome)
        self.taken.emit(name_of(outcome.model) if outcome.is_better else "")

    def fail(self, message: str) -> None:
        """Say why it ended early."""
        show_error(message)
        self._has_failed = True
        if compat.isalive(self):  # type: ignore[no-untyped-call]
            self.words.setText(message)

    # --- what happens ---

    def _on_progress(self, progress: Progress) -> None:
        if not progress.doing or not compat.isalive(self):  # type: ignore[no-untyped-call]
            return
        if progress.figures:
            self.curves.add(progress.done, progress.figures)
        self._clock.note(progress)
        self.words.setText(self._clock.in_words(progress))
        if self._folder is not None and progress.doing.startswith("preparing"):
            self._show_faults(self._folder)

    def _show_faults(self, folder: Path) -> None:
        """Name the pairs that are left out, and those that look odd."""
        table = read_table(folder)
        faults = [f"{name}: {fault}" for name, fault, _ in table if fault]
        words = [f"Left out {len(faults)} of {len(table)}: {'; '.join(faults)}."] if faults else []
        words += [f"{name}: {odd}." for name, _, odd in table if odd]
        self.faults.setText(" ".join(words))
        self.faults.setVisible(bool(words))

    def _on_look(self) -> None:
        """Ask for the slice on screen, and show the last answer."""
        if self._folder is None or not self._folder.is_dir():
            return
        for case, (_, image, placement) in self._previews.items():
            if image in self._viewer.layers and image.visible:
                ask_preview(self._folder, Wanted(case, shown_index(self._viewer, image, placement)))
                break
        shown = read_preview(self._folder)
        if shown is not None and shown.wanted.case in self._previews:
            self._previews[shown.wanted.case][0].show(shown.wanted.index, shown.labels, self._classes)

    def _on_pause(self) -> None:
        job = job_of(self._viewer, CHILD)
        if job is None or job.run is None:
            return
        is_pausing = self.pause_button.text() == "Pause"
        (job.run.pause if is_pausing else job.run.resume)()
        self.pause_button.setText("Go on" if is_pausing else "Pause")

    def _on_stop(self) -> None:
        job = job_of(self._viewer, CHILD)
        if job is not None and job.run is not None:
            job.run.stop()
            self.words.setText("Stopping; the best so far is kept...")
            self._can_be_steered(is_enabled=False)

    def _on_cancel(self) -> None:
        if job := job_of(self._viewer, CHILD):
            job.cancel()
            self.words.setText("Cancelling; nothing is kept...")
            self._can_be_steered(is_enabled=False)

    def _on_ended(self) -> None:
        if not compat.isalive(self):  # type: ignore[no-untyped-call]
            return
        if self._outcome is None and not self._has_failed:
            self.words.setText("Cancelled; nothing was kept.")
        self._show_state(is_running=False)

    # --- the choice ---

    def _on_take(self) -> None:
        """The other choice, in one click; and back."""
        if self._outcome is None:
            return
        try:
            adopt(self._outcome, is_wanted=not self._is_taken)
        except GansegError as error:
            show_error(str(error))
            return
        self._is_taken = not self._is_taken
        self._show_choice()
        self.taken.emit(name_of(self._outcome.model) if self._is_taken else "")

    def _show_choice(self) -> None:
        """What the button would do; there is none without a model."""
        if self._outcome is None or not self._outcome.model:
            return
        name = name_of(self._outcome.model)
        old = f"Keep {self._outcome.parent} instead" if self._outcome.parent else f"Throw {name} away"
        self.take_button.setText(old if self._is_taken else f"Use {name} all the same")
        self.take_button.show()

    def _show_state(self, *, is_running: bool) -> None:
        """Buttons and curves while something runs; table and choice after it."""
        self.pause_button.setText("Pause")
        self._can_be_steered(is_enabled=is_running)
        for button in (self.pause_button, self.stop_button, self.cancel_button):
            button.setVisible(is_running)
        has_model = self._outcome is not None and bool(self._outcome.model)
        self.curves.setVisible(self._outcome is None or has_model)
        self.table.setVisible(self._outcome is not None)
        self.take_button.setVisible(has_model)
        if is_running:
            self._timer.start(LOOK_MS)
        else:
            self._timer.stop()
            for preview, *_ in self._previews.values():
                preview.remove()

    def _can_be_steered(self, *, is_enabled: bool) -> None:
        for button in (self.pause_button, self.stop_button, self.cancel_button):
            button.setEnabled(is_enabled)


def title(name: str) -> str:
    """What napari calls the training where it lists what runs, also before it closes."""
    return f"Training {name} (it goes on by itself when napari closes)"
