"""Before and after: an open scan segmented with the old and the new model, side by side, and where they differ."""

from __future__ import annotations

from functools import partial
from typing import Any

from magicgui.widgets import ComboBox, Container, PushButton
from napari.layers import Image
from napari.utils.notifications import show_error, show_info, show_warning
from psygnal import Signal
from qtpy import compat
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_ganseg.errors import UsageError
from napari_ganseg.models.file import name_of
from napari_ganseg.models.library import find_path
from napari_ganseg.plugin.figure_table import Figures, FigureTable
from napari_ganseg.plugin.finetune_task import file_of
from napari_ganseg.plugin.job_button import JobButton
from napari_ganseg.plugin.layers import bare
from napari_ganseg.plugin.outcome_table import words
from napari_ganseg.plugin.preferences import model_folder, preferred_device
from napari_ganseg.plugin.registry import is_scan, placement_of
from napari_ganseg.plugin.results import add_result
from napari_ganseg.plugin.task import Identity, why_dropped
from napari_ganseg.plugin.two_models import Question, Shown, make_run
from napari_ganseg.plugin.two_models import shown as as_layers
from napari_ganseg.plugin.worker import Job
from napari_ganseg.training.outcome import Outcome

OWNER = "before and after"
DISAGREEMENT = "[disagreement]"  # how such a layer's name ends
MOST_ROWS = 8  # shown without scrolling


class BeforeAfter(QWidget):
    """Hidden until there are two models to compare; then an image, a button, and what came of it."""

    answered = Signal()  # there is something to read

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = bare(viewer)
        self._outcome: Outcome | None = None
        self.image = ComboBox(name="image", label="Show on", choices=self._images)
        self.button = PushButton(
            name="button", text="Show before and after",
            tooltip="Segment this scan with the old model and the new one, and show where they differ.",
        )  # fmt: skip
        self.words, self.table = words(), FigureTable()
        self._lay_out()
        self._job_button = JobButton(self.button, self._viewer, OWNER, self._start)
        self.withdraw()

    def _lay_out(self) -> None:
        """Form, words, table."""
        self.form: Container[Any] = Container(widgets=[self.image, self.button], labels=True)
        self.form.margins = (0, 0, 0, 0)
        self.image.native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        rows: Any = self.table.verticalHeader()
        rows.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(9, 9, 9, 2)
        for part in (self.form.native, self.words, self.table):
            layout.addWidget(part)

    def offer(self, outcome: Outcome) -> None:
        """Compare the models of an outcome from now on."""
        self._outcome = outcome
        self.reset_choices()
        active = bare(self._viewer.layers.selection.active)
        if active in self.image.choices:
            self.image.value = active
        self.show()

    def withdraw(self) -> None:
        """Offer nothing, and forget what was shown."""
        self._outcome = None
        self.hide()
        self._say("", Figures((), {}))

    def reset_choices(self) -> None:
        """Fill the list of images anew, keeping the choice."""
        chosen = self.image.value
        self.image.reset_choices()
        if chosen in self.image.choices:
            self.image.value = chosen

    def _images(self, _: Any = None) -> list[tuple[str, Image]]:
        layers = [layer for layer in self._viewer.layers if isinstance(layer, Image) and is_scan(layer)]
        return [(layer.name, layer) for layer in layers]

    def _start(self) -> None:
        """Segment with both."""
        image, outcome = bare(self.image.value), self._outcome
        if image is None or outcome is None:
            raise UsageError("Open a scan first, to see on it what both models find.")
        placement, before = placement_of(image), Identity.of(image)
        old = find_path(outcome.parent, model_folder())
        asked = Question(image.data, placement, old, file_of(outcome), preferred_device())
        names = outcome.parent, name_of(outcome.model)
        Job(
            self._viewer, lambda: make_run(asked), f"Before and after on {image.name}",
            finish=partial(as_layers, placement=placement),
            on_done=lambda made: self._show(made, image, before, names), on_failed=show_error, owner=OWNER,
        )  # fmt: skip

    def _show(self, made: Shown, image: Image, before: Identity, names: tuple[str, str]) -> None:
        """Three layers on the image, unless that has gone or changed meanwhile."""
        if not compat.isalive(self):  # type: ignore[no-untyped-call]
            return
        if why := why_dropped(self._viewer, image, before):
            show_warning(why)
            return
        kinds = (*(f"[{name}]" for name in names), DISAGREEMENT)
        for layer, kind in zip((made.before, made.after, made.differing), kinds, strict=True):
            add_result(self._viewer, layer, image, kind)
        self._say(f"{image.name}: {made.words}", made.figures)
        show_info(f"{image.name}: {made.words}")
        self.answered.emit()

    def _say(self, text: str, figures: Figures) -> None:
        """Words and table; empty ones take no room."""
        self.words.setText(text)
        self.words.setVisible(bool(text))
        self.table.show_figures(figures)
        self.table.resizeRowsToContents()
        header: Any = self.table.horizontalHeader()
        heights = [self.table.rowHeight(row) for row in range(min(MOST_ROWS, self.table.rowCount()))]
        self.table.setFixedHeight(sum(heights) + header.sizeHint().height() + 4)
        self.table.setVisible(bool(heights))
