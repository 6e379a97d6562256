"""The Batch widget: choose a folder of scans and a model, click, and watch every case arrive in a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, ComboBox, Container, FileEdit, Label, LineEdit, PushButton
from napari.utils.notifications import show_error, show_info
from qtpy import compat
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_ganseg.batch import CaseResult
from napari_ganseg.errors import UsageError
from napari_ganseg.models import list_models
from napari_ganseg.models.card import Card
from napari_ganseg.plugin.case_opener import CaseOpener
from napari_ganseg.plugin.case_table import CaseTable, in_numbers
from napari_ganseg.plugin.folder_task import FolderTask, make_run, reported
from napari_ganseg.plugin.job_button import JobButton
from napari_ganseg.plugin.layers import bare
from napari_ganseg.plugin.preferences import model_folder, preferred_device
from napari_ganseg.plugin.segment_widget import LEAST_WIDTH, wrap
from napari_ganseg.plugin.worker import Job, announcer
from napari_ganseg.run import Progress

if TYPE_CHECKING:
    import napari

FOLDER = FileDialogMode.EXISTING_DIRECTORY
WIDTH = 460  # pixels, unless the user pulls the dock narrower


class BatchWidget(QWidget):
    """Form, one button, and a row for each case that ended; a double click opens it."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:  # napari injects by this name
        super().__init__()
        self._viewer = bare(napari_viewer)
        self._opener = CaseOpener(self._viewer)
        self._suggested: Path | None = None
        self.cards: dict[str, Card] = {card.name: card for card in list_models(model_folder())}
        self.folder: Any = FileEdit(
            name="folder", label="Scans", mode=FOLDER, nullable=True, tooltip="The folder that holds the scans."
        )
        self.out: Any = FileEdit(
            name="out", label="Labels to", mode=FOLDER, nullable=True,
            tooltip="The folder that gets the labels; it is made where it is missing. Cases done before are skipped.",
        )  # fmt: skip
        self.patterns = LineEdit(
            name="patterns", label="Files",
            tooltip="Which files, such as *_T1w.nii.gz; several with ; between them. Empty takes every scan.",
        )  # fmt: skip
        self.patterns.native.setPlaceholderText("all scans, or such as *_T1w.nii.gz")
        self.model = ComboBox(name="model", label="Model", choices=list(self.cards))
        self.about = Label(name="about", label=" ")
        self.device = ComboBox(
            name="device", label="Device", choices=["auto", "cuda", "mps", "cpu"], value=preferred_device()
        )
        self.overwrite = CheckBox(
            name="overwrite", text="Replace labels that others made",
            tooltip="Labels in the output folder that this plugin did not make fail their case otherwise.",
        )  # fmt: skip
        self.button = PushButton(name="button", text="Segment folder")
        self.words = paragraph()
        self.table = CaseTable()
        self._lay_out()
        self._connect()
        self._on_model()
        self._job_button = JobButton(self.button, self._viewer, "batch", self._start)

    def sizeHint(self) -> QSize:
        """As wide as a table needs that one reads."""
        return QSize(WIDTH, super().sizeHint().height())

    def _lay_out(self) -> None:
        """Form above, table below; the table takes what room there is."""
        self.form: Container[Any] = Container(
            widgets=[self.folder, self.out, self.patterns, self.model, self.about, self.device, self.overwrite,
                     self.button], labels=True,
        )  # fmt: skip
        wrap(self.about.native)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.form.native)
        layout.addWidget(self.words)
        layout.addWidget(self.table, stretch=1)
        self.setMinimumWidth(LEAST_WIDTH)

    def _connect(self) -> None:
        """Every connection of this widget; Qt undoes them with it."""
        self.folder.changed.connect(self._on_folder)
        self.model.changed.connect(self._on_model)
        self.table.opened.connect(self._opener.open)
        announcer.models_changed.connect(self._on_models_changed)

    # --- the form ---

    def _on_folder(self, *_: Any) -> None:
        """Suggest an output folder beside the scans, unless the user chose one."""
        if self.folder.value is not None and self.out.value in (None, self._suggested):
            self._suggested = self.folder.value.with_name(f"{self.folder.value.name}-labels")
            self.out.value = self._suggested

    def _on_models_changed(self, _: str) -> None:
        """Fill the list anew, keeping the choice."""
        if not compat.isalive(self):  # type: ignore[no-untyped-call]
            return
        chosen, self.cards = self.model.value, {card.name: card for card in list_models(model_folder())}
        self.model.choices = list(self.cards)
        if chosen in self.cards:
            self.model.value = chosen

    def _on_model(self, *_: Any) -> None:
        card = self.cards.get(self.model.value)
        self.about.value = card.summary if card else "No model is installed."

    def _task(self) -> FolderTask:
        """What the form says.

        Raises:
            UsageError: a field is empty.
        """
        if self.folder.value is None:
            raise UsageError("Choose the folder of scans first.")
        if self.out.value is None:
            raise UsageError("Choose the folder that gets the labels.")
        if self.model.value is None:
            raise UsageError("There is no model; put one into the model folder (Preferences > Plugins).")
        patterns = tuple(filter(None, map(str.strip, self.patterns.value.split(";"))))
        options = {"patterns": patterns, "device": self.device.value, "overwrite": self.overwrite.value}
        return FolderTask(self.folder.value, self.out.value, self.model.value, options)

    # --- the work ---

    def _start(self) -> None:
        task = self._task()
        job: Job[tuple[tuple[CaseResult, ...], Path | None]] = Job(
            self._viewer, lambda: make_run(task), f"Segment folder {task.folder.name}",
            finish=lambda cases: reported(cases, task), on_done=lambda ended: self._on_done(*ended, task),
            on_failed=self._on_failed, owner="batch",
        )  # fmt: skip
        self.table.clear_cases()
        job.progressed.connect(self._on_progress)

    def _on_progress(self, progress: Progress) -> None:
        if not compat.isalive(self):  # type: ignore[no-untyped-call]
            return
        if progress.case is not None:
            self.table.add_case(progress.case)
        count = f"{progress.done} of {progress.total} cases. " if progress.total else ""
        self.words.setText(count + progress.doing)

    def _on_done(self, cases: tuple[CaseResult, ...], report: Path | None, task: FolderTask) -> None:
        show_info(f"{task.folder.name}: {in_numbers(cases)}.")
        if compat.isalive(self):  # type: ignore[no-untyped-call]
            self.table.set_cases(cases)
            what = f"Labels and {report.name}" if report else "Labels"
            self.words.setText(f"{in_numbers(cases)}. {what} are in {task.out}. Double-click a row to open the case.")

    def _on_failed(self, message: str) -> None:
        show_error(message)
        if compat.isalive(self):  # type: ignore[no-untyped-call]
            self.words.setText(message)


def paragraph() -> QLabel:
    """Words that break where the dock ends, with room for two lines, so that nothing jumps."""
    label = QLabel()
    wrap(label)
    label.setContentsMargins(9, 0, 9, 0)
    label.setMinimumHeight(2 * label.fontMetrics().lineSpacing() + 4)
    return label
