"""The Adapt form: a model, scans of another scanner without labels, labelled scans like the model's own, one button."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, FileEdit, LineEdit, PushButton
from napari.layers import Image
from psygnal import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QVBoxLayout, QWidget

from napari_ganseg.adaptation.options import Options
from napari_ganseg.adaptation.words import ASSUMES, LEAST_SOURCE, LEAST_TARGET, no_source
from napari_ganseg.errors import UsageError
from napari_ganseg.models import is_model_name
from napari_ganseg.models.card import Card
from napari_ganseg.models.library import find_path
from napari_ganseg.plugin.adapt_task import Adapting, check_source, make_folder, new_scans, scans_in
from napari_ganseg.plugin.budget import Budget, in_words
from napari_ganseg.plugin.job_button import JobButton
from napari_ganseg.plugin.layers import bare
from napari_ganseg.plugin.outcome_table import words
from napari_ganseg.plugin.pacing import end_measuring
from napari_ganseg.plugin.preferences import model_folder, preferred_device
from napari_ganseg.plugin.registry import is_scan
from napari_ganseg.plugin.scan_list import ScanList
from napari_ganseg.plugin.training_view import OWNER, TrainingView
from napari_ganseg.plugin.worker import CHILD

FOLDER = FileDialogMode.EXISTING_DIRECTORY

USUAL = Options().steps
BUDGETS = (Budget("Standard", USUAL), Budget("Quick look", USUAL // 4), Budget("Thorough", USUAL * 3))


class AdaptForm(QWidget):
    """What to adapt to what.

    Args:
        viewer: whose images may be the new scans.
        view: follows the adaptation.
    """

    begun = Signal()

    def __init__(self, viewer: Any, view: TrainingView) -> None:
        super().__init__()
        self._viewer, self._view = bare(viewer), view
        self._cards: Mapping[str, Card] = {}
        self._suggested = ""
        self.model = ComboBox(name="model", choices=lambda _: list(self._cards))
        self.scans, self.count = ScanList(), words()
        self.folder: Any = FileEdit(
            name="folder", mode=FOLDER, nullable=True, tooltip="A folder of scans of the new scanner; no labels needed."
        )
        self.source: Any = FileEdit(
            name="source", mode=FOLDER, nullable=True,
            tooltip="Scans like those the model was trained on, with labels: images/ and labels/, or nnU-Net's "
            f"imagesTr/ and labelsTr/. {LEAST_SOURCE} or more.",
        )  # fmt: skip
        self.name = LineEdit(name="name")
        self.budget = ComboBox(name="budget", choices=[(in_words(budget, None), budget) for budget in BUDGETS])
        self.device = ComboBox(name="device", choices=["auto", "cuda", "mps", "cpu"], value=preferred_device())
        self.button = PushButton(name="button", text="Adapt without labels")
        self._lay_out()
        self._connect()
        self._job_button = JobButton(self.button, self._viewer, OWNER, self._start, CHILD, "Training...")

    def _lay_out(self) -> None:
        """What it assumes, the form, the button."""
        self.assumes = words()
        self.assumes.setText(f"Fits a model to another scanner. {ASSUMES}")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Model", self.model.native)
        form.addRow("New scans", self.scans)
        form.addRow("And a folder", self.folder.native)
        form.addRow("", self.count)
        form.addRow("Labelled scans\nlike its own", self.source.native)
        form.addRow("Call it", self.name.native)
        form.addRow("How long", self.budget.native)
        form.addRow("Device", self.device.native)
        for box in (self.model, self.budget):
            box.native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        layout = QVBoxLayout(self)
        layout.addWidget(self.assumes)
        layout.addLayout(form)
        layout.addWidget(self.button.native)
        layout.addStretch(1)

    def _connect(self) -> None:
        """Every connection of this form; Qt undoes them with it."""
        self.model.changed.connect(self._on_model)
        self.scans.ticked.connect(self._on_scans)
        self.folder.changed.connect(self._on_scans)

    # --- the form ---

    def reset_choices(self, cards: Mapping[str, Card]) -> None:
        """Fill the lists anew, keeping what was chosen."""
        chosen, self._cards = self.model.value, cards
        self.model.reset_choices()
        if chosen in self.model.choices:
            self.model.value = chosen
        self._on_model()

    @property
    def card(self) -> Card | None:
        """Of the chosen model."""
        return self._cards.get(self.model.value)

    def _on_model(self, *_: Any) -> None:
        """Offer the images that the model can take, and suggest a name."""
        self.scans.show_images([image for image in self._open_images() if self._fits(image)])
        if self.card and self.name.value in ("", self._suggested):
            self._suggested = self.name.value = self._free_name(f"{self.card.name}-adapted")
        self._on_scans()

    def _open_images(self) -> list[Image]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Image) and is_scan(layer)]

    def _fits(self, image: Image) -> bool:
        """Whether a layer can be a scan of the model: as many axes, one channel."""
        return self.card is not None and image.ndim == self.card.dims and len(self.card.channels) == 1

    def _free_name(self, name: str) -> str:
        """A name that no model has."""
        names = [name, *[f"{name}-{i}" for i in range(2, len(self._cards) + 3)]]
        return next(n for n in names if n not in self._cards)

    def _on_scans(self, *_: Any) -> None:
        """Say how many new scans there are, and what is missing."""
        try:
            self.count.setText(f"{self._counted()} {self._left_out()}".strip())
        except UsageError as error:
            self.count.setText(str(error))

    def _counted(self) -> str:
        """The number of new scans.

        Raises:
            UsageError: there are too few, or the folder is not there.
        """
        open_here, folder = len(self.scans.chosen()), self.folder.value
        on_disk = scans_in(folder) if folder is not None else 0
        if folder is not None and not on_disk:
            raise UsageError(f"There are no scans in {folder}.")
        if open_here + on_disk < LEAST_TARGET:
            raise UsageError(f"{self._too_few(open_here + on_disk)} {self._left_out()}".strip())
        where = f": {open_here} open here, {on_disk} in the folder" if on_disk else ""
        return f"{open_here + on_disk} new scans{where}."

    def _too_few(self, count: int) -> str:
        there = ("There is no new scan yet", "One new scan is not enough")[count]
        return f"{there}: adapting needs {LEAST_TARGET} or more. Open them, or choose a folder of them."

    def _left_out(self) -> str:
        """Why open images are not in the list."""
        images = [image for image in self._open_images() if not self._fits(image)]
        if self.card is None or not images:
            return ""
        channels = len(self.card.channels)
        takes = f"{self.card.dims}D scans" + (f" of {channels} channels, from a folder" if channels > 1 else "")
        number = "1 open image is" if len(images) == 1 else f"{len(images)} open images are"
        return f"{number} left out: {self.card.name} takes {takes}."

    # --- the work ---

    def task(self) -> Adapting:
        """What the form says.

        Raises:
            UsageError: something is missing; the message says what.
        """
        card, name, source = self.card, self.name.value.strip(), self.source.value
        if card is None:
            raise UsageError("There is no model; put one into the model folder (Preferences > Plugins).")
        self._counted()
        if source is None:
            raise UsageError(no_source(card, "choose a folder with images/ and labels/", "in the tab Teach"))
        check_source(source)
        if not is_model_name(name):
            raise UsageError("Call the new model by a name of letters, digits, '.', '-' and '_'.")
        if name in self._cards:
            raise UsageError(f"There is a model called {name} already; call the new one otherwise.")
        folders = (Path(self.folder.value),) if self.folder.value is not None else ()
        return Adapting(
            name, find_path(card.name, model_folder()), new_scans(self.scans.chosen()), folders, source,
            self.budget.value.steps, self.device.value,
        )  # fmt: skip

    def _start(self) -> None:
        task = self.task()
        end_measuring()  # it would slow the adaptation down
        self._view.forget_lessons()
        self._view.train(task.name, lambda: make_folder(task))
        self.begun.emit()
