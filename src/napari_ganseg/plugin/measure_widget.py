"""The Measure widget: a table of what a Labels layer holds, or of how it differs from a truth, with the errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox, Container, PushButton
from napari.layers import Labels
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_ganseg.errors import GansegError, UsageError
from napari_ganseg.metrics import Measure, write_csv
from napari_ganseg.plugin.batch_widget import WIDTH, paragraph
from napari_ganseg.plugin.figure_table import Figures, FigureTable
from napari_ganseg.plugin.job_button import JobButton, is_alive
from napari_ganseg.plugin.layers import bare, is_edited, put_on
from napari_ganseg.plugin.measure_table import CENTROIDS, remarks_on, table_of_measures, table_of_scores, write_measures
from napari_ganseg.plugin.measuring import Comparison, Snapshot, comparing, measuring, snapshot
from napari_ganseg.plugin.segment_widget import LEAST_WIDTH
from napari_ganseg.plugin.worker import Job, job_of

if TYPE_CHECKING:
    import napari

NO_TRUTH = "none: only measure"


class MeasureWidget(QWidget):
    """Which labels, which truth, one button, the table, and its export."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:  # napari injects by this name
        super().__init__()
        self._viewer = bare(napari_viewer)
        self._errors: Labels | None = None
        self._write: Callable[[Path], None] | None = None
        self.layer: Any = ComboBox(name="layer", label="Labels", choices=self._label_choices)
        self.truth: Any = ComboBox(
            name="truth", label="Truth", choices=self._truth_choices,
            tooltip="Labels that are right, on the same grid. The labels above are compared with them.",
        )  # fmt: skip
        self.swap = PushButton(name="swap", text="Swap labels and truth", visible=False)
        self.button = PushButton(name="button", text="Measure")
        self.heading, self.remarks = paragraph(), paragraph()
        self.table = FigureTable()
        self.export_button = PushButton(name="export_button", text="Export CSV...")
        self._lay_out()
        self._job_button = JobButton(self.button, self._viewer, "measure", self._start)
        self._connect()
        self._on_selection()
        if self._selected() and job_of(self._viewer) is None:
            self.button.native.click()

    def sizeHint(self) -> QSize:
        """As wide as a table needs that one reads."""
        return QSize(WIDTH, super().sizeHint().height())

    def _lay_out(self) -> None:
        """Form above; the table takes what room there is, once there is something to show."""
        self.form: Container[Any] = Container(widgets=[self.layer, self.truth, self.swap, self.button], labels=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.form.native)
        for widget in (self.heading, self.table, self.remarks, self.export_button.native):
            layout.addWidget(widget, stretch=int(widget is self.table))
            widget.hide()
        layout.addStretch()
        self.setMinimumWidth(LEAST_WIDTH)

    def _connect(self) -> None:
        """Every connection of this widget; napari adds those of `reset_choices` to its layer list, and undoes them."""
        self.form.reset_choices()
        self._viewer.layers.selection.events.changed.connect(self._on_selection)
        self.truth.changed.connect(self._on_truth)
        self.swap.clicked.connect(self._on_swap)
        self.export_button.clicked.connect(self._on_export)

    # --- the form ---

    def _label_choices(self, _: Any = None) -> list[tuple[str, Labels]]:
        """The topmost first, as in the layer list."""
        return [(layer.name, layer) for layer in reversed(self._viewer.layers) if isinstance(layer, Labels)]

    def _truth_choices(self, _: Any = None) -> list[tuple[str, Any]]:
        return [(NO_TRUTH, NO_TRUTH), *self._label_choices()]

    def _selected(self) -> list[Labels]:
        """The selected Labels layers, the topmost first."""
        return [layer for _, layer in self._label_choices() if layer in self._viewer.layers.selection]

    def reset_choices(self, *_: Any) -> None:
        """Fill the lists anew; magicgui forgets the choice of what was renamed."""
        chosen = [(box, box.value) for box in (self.layer, self.truth)]
        self.form.reset_choices()
        for box, value in chosen:
            if value in box.choices:
                box.value = value

    def _on_selection(self, *_: Any) -> None:
        """Take what the user selects: one Labels layer to measure, or two to compare, the upper one with the lower."""
        selected = self._selected()
        if not is_alive(self.form) or not 1 <= len(selected) <= 2 or any(s not in self.layer.choices for s in selected):
            return
        self.layer.value, self.truth.value = selected[0], selected[1] if len(selected) == 2 else NO_TRUTH

    def _on_truth(self, *_: Any) -> None:
        is_comparison = self.truth.value != NO_TRUTH
        self.swap.visible = is_comparison
        self._job_button.rename("Compare labels with truth" if is_comparison else "Measure")

    def _on_swap(self) -> None:
        self.layer.value, self.truth.value = self.truth.value, self.layer.value

    # --- the work ---

    def _start(self) -> None:
        labels, truth = bare(self.layer.value), bare(self.truth.value)
        if labels is None:
            raise UsageError("There is no Labels layer; segment or open one first.")
        if labels is truth:
            raise UsageError("Labels and truth are the same layer; choose another truth.")
        taken = snapshot(labels, self._viewer.layers)
        if truth == NO_TRUTH:
            self._begin(measuring(taken), f"Measure {taken.name}", partial(self._show_measures, taken))
        else:
            true = snapshot(truth, self._viewer.layers)
            self._begin(
                comparing(taken, true), f"Compare {taken.name}", partial(self._show_scores, taken, true, labels)
            )

    def _begin(self, run: Any, title: str, show: Callable[[Any], None]) -> None:
        Job(
            self._viewer, lambda: run, title, finish=lambda made: made, on_done=show, on_failed=show_error,
            owner="measure",
        )  # fmt: skip

    def _show_measures(self, taken: Snapshot, measures: Mapping[int, Measure]) -> None:
        self._write = partial(write_measures, name=taken.name, measures=measures)
        remarks = [CENTROIDS if measures else "These labels are empty.", *taken.labels.notes]
        self._show(taken.name, table_of_measures(measures), remarks)

    def _show_scores(self, taken: Snapshot, true: Snapshot, layer: Labels, made: Comparison) -> None:
        self._write = partial(write_csv, cases={taken.name: made.scores})
        has_errors = made.errors is not None
        remarks = [*remarks_on(made.scores, has_errors=has_errors), *taken.labels.notes, *true.labels.notes]
        self._show(f"{taken.name} against the truth {true.name}", table_of_scores(made.scores), remarks)
        self._show_errors(made, layer)

    def _show(self, heading: str, figures: Figures, remarks: Sequence[str]) -> None:
        if not is_alive(self.form):
            return
        self.heading.setText(heading)
        self.remarks.setText("\n".join(dict.fromkeys(remarks)))
        self.table.show_figures(figures)
        for widget in (self.heading, self.table, self.remarks, self.export_button.native):
            widget.show()

    def _show_errors(self, made: Comparison, layer: Labels) -> None:
        """Put the errors on top of the labels, in the place of those shown before; what is selected stays so."""
        selected, layers = set(self._viewer.layers.selection), self._viewer.layers
        if self._errors in layers and not is_edited(self._errors):
            layers.remove(self._errors)
        if made.errors is None or layer not in layers:
            return
        self._errors = Labels(made.errors[0], **put_on(made.errors[1], layer))
        self._viewer.add_layer(self._errors)
        layers.selection = selected & set(layers)

    def _on_export(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Export CSV", "measurements.csv", "CSV (*.csv)")
        if not path or self._write is None:
            return
        target = Path(path if path.lower().endswith(".csv") else f"{path}.csv")
        try:
            self._write(target)
            show_info(f"Wrote {target.name}.")
        except GansegError as error:
            show_error(str(error))
