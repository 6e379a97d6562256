"""The new model's form: what joins from disk, what it starts from, its name, how long it takes; makes the task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, Container, FileEdit, Label, LineEdit, PushButton
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_ganseg.errors import UsageError
from napari_ganseg.models import is_model_name
from napari_ganseg.models.card import Card
from napari_ganseg.models.library import find_path
from napari_ganseg.plugin.budget import BUDGETS, CUSTOM, Budget, in_words
from napari_ganseg.plugin.config_dialog import ask_config
from napari_ganseg.plugin.finetune_task import FineTune, Lesson
from napari_ganseg.plugin.layers import bare
from napari_ganseg.plugin.lesson_form import LessonForm
from napari_ganseg.plugin.pacing import Pace
from napari_ganseg.plugin.preferences import model_folder, preferred_device
from napari_ganseg.plugin.segment_widget import wrap
from napari_ganseg.plugin.slots import careful
from napari_ganseg.volume import LabelClass

SCRATCH = "from scratch"
FOLDER = FileDialogMode.EXISTING_DIRECTORY


class ModelForm(QWidget):
    """What shall come of the lessons.

    Args:
        lessons: what is taught; it is offered the classes of the model to start from.
    """

    def __init__(self, lessons: LessonForm) -> None:
        super().__init__()
        self._lessons = lessons
        self._cards: Mapping[str, Card] = {}
        self._suggested = ""
        self.config = ""
        self.pace = Pace(self._on_pace, self)
        self.folder: Any = FileEdit(
            name="folder", label="And a folder", mode=FOLDER, nullable=True,
            tooltip="Labelled cases on disk: images/ and labels/, or nnU-Net's imagesTr/ and labelsTr/.",
        )  # fmt: skip
        self.unlabelled: Any = FileEdit(
            name="unlabelled", label="Unlabelled", mode=FOLDER, nullable=True,
            tooltip="A folder of scans without labels that join in (a mean teacher). That takes twice as long, and "
            "no sure gain was measured.",
        )  # fmt: skip
        self.start = ComboBox(name="start", label="Start from", choices=self._starts)
        self.kept = Label(name="kept", label=" ")
        self.name = LineEdit(name="name", label="Call it")
        self.device = ComboBox(
            name="device", label="Device", choices=["auto", "cuda", "mps", "cpu"], value=preferred_device()
        )
        self.budget = ComboBox(name="budget", label="How long", choices=self._budgets)
        self.button = PushButton(name="button", text="Fine-tune")
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        """One line each, the button below."""
        self._lines: Container[Any] = Container(
            widgets=[self.folder, self.unlabelled, self.start, self.kept, self.name, self.budget, self.device,
                     self.button], labels=True,
        )  # fmt: skip
        for box in (self.start, self.budget):
            box.native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        wrap(self.kept.native)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._lines.native)
        layout.addStretch(1)

    def _connect(self) -> None:
        """Every connection of this form; Qt undoes them with it."""
        for box in (self.start, self.device, self._lessons.image):
            box.changed.connect(self._on_start)
        self.budget.changed.connect(careful(self._on_budget))

    # --- the form ---

    def _starts(self, _: Any = None) -> list[tuple[str, str]]:
        return [(SCRATCH, ""), *((name, name) for name in self._cards)]

    def _budgets(self, _: Any = None) -> list[tuple[str, Budget]]:
        image = bare(self._lessons.image.value)
        dims = self.card.dims if self.card else 2 if image is not None and image.ndim == 2 else 3
        pace = self.pace.of(dims, self.start.value or "", self.device.value)
        return [(in_words(budget, pace), budget) for budget in (*BUDGETS, CUSTOM)]

    def reset_choices(self, cards: Mapping[str, Card]) -> None:
        """Fill the lists anew, keeping what was chosen."""
        chosen, self._cards = self.start.value, cards
        self.start.reset_choices()
        if chosen in self.start.choices:
            self.start.value = chosen
        self._on_start()

    @property
    def card(self) -> Card | None:
        """Of the model to start from."""
        return self._cards.get(self.start.value)

    def _on_start(self, *_: Any) -> None:
        """Suggest a name, say what is kept of the parent, estimate the time."""
        card = self.card
        self.kept.value = card.summary if card else "A new network that knows nothing yet."
        if self.name.value in ("", self._suggested):
            self._suggested = self.name.value = self._free_name(card.name if card else "my-model")
        self._lessons.offer([LabelClass(c.value, c.name, c.colour) for c in card.classes] if card else ())
        self._on_pace()

    def _free_name(self, name: str) -> str:
        """A name that no model has."""
        stem = name.rstrip("0123456789").rstrip("-") if name in self._cards else name
        return next(n for i in range(2, 10_000) if (n := f"{stem}-{i}") not in self._cards)

    def _on_pace(self) -> None:
        """Fill in the estimates."""
        chosen = self.budget.value
        with self.budget.changed.blocked():
            self.budget.reset_choices()
            if chosen in self.budget.choices:
                self.budget.value = chosen

    def _on_budget(self, budget: Budget | None) -> None:
        """Open the whole configuration where that was chosen."""
        if budget is not CUSTOM:
            self.config = ""
            return
        text = ask_config(self._planned(), self)
        if text is None:
            self.budget.value = BUDGETS[0]
            return
        self.config = text

    def _planned(self) -> str:
        """The configuration that would be planned from the layers."""
        from napari_ganseg.models import find_model
        from napari_ganseg.training.cases import make_case
        from napari_ganseg.training.config import config_to_json
        from napari_ganseg.training.planning import plan

        lessons = self._lessons.lessons()
        if not lessons:
            raise UsageError("Paint something first: the configuration is planned from it.")
        cases = [make_case(one.case, one.placement.volume(one.array), one.annotation) for one in lessons]
        parent = find_model(self.start.value, model_folder()).card if self.start.value else None
        return config_to_json(plan(cases, self.name.value, parent)).decode()

    # --- the work ---

    def task(self) -> FineTune:
        """What both forms say.

        Raises:
            UsageError: something is missing; the message says what.
        """
        name = self.name.value.strip()
        if not is_model_name(name):
            raise UsageError("Call the new model by a name of letters, digits, '.', '-' and '_'.")
        if name in self._cards:
            raise UsageError(f"There is a model called {name} already; call the new one otherwise.")
        folders, unlabelled = folders_of(self.folder), folders_of(self.unlabelled)
        lessons = self._taught(has_folder=bool(folders))
        steps = self.budget.value.steps if self.budget.value else BUDGETS[0].steps
        start = str(find_path(self.start.value, model_folder())) if self.start.value else ""
        return FineTune(name, lessons, folders, unlabelled, start, steps, self.config, self.device.value)

    def _taught(self, has_folder: bool) -> list[Lesson]:
        """The lessons; a folder is enough, and the chosen labels may then be another image's."""
        try:
            lessons = self._lessons.lessons()
        except UsageError:
            if not has_folder or self._lessons.pairs.pairs:
                raise
            return []
        if not lessons and not has_folder:
            raise UsageError("Choose an image and paint labels on it, or choose a folder of labelled cases.")
        return lessons


def folders_of(edit: Any) -> tuple[Path, ...]:
    """The folder that was chosen, if any."""
    return () if edit.value is None else (Path(edit.value),)
