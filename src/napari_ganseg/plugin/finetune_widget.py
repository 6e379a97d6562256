"""The Fine-tune widget: paint, say what unpainted means, click, watch, and take the better model; or adapt one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, Container, FileEdit, Label, LineEdit, PushButton
from napari.layers import Image, Labels
from napari.utils.notifications import show_error
from qtpy import compat
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import QComboBox, QFrame, QScrollArea, QTabWidget, QVBoxLayout, QWidget

from napari_ganseg.errors import GansegError, UsageError
from napari_ganseg.models import is_model_name, list_models
from napari_ganseg.models.card import Card
from napari_ganseg.models.library import find_path
from napari_ganseg.plugin.adapt_form import AdaptForm
from napari_ganseg.plugin.autosave import autosave_of
from napari_ganseg.plugin.budget import BUDGETS, CUSTOM, Budget, in_words
from napari_ganseg.plugin.class_table import ClassTable
from napari_ganseg.plugin.commands import new_labels_for
from napari_ganseg.plugin.config_dialog import ask_config
from napari_ganseg.plugin.finetune_task import FineTune, Lesson, lesson_of, make_folder
from napari_ganseg.plugin.job_button import JobButton
from napari_ganseg.plugin.layer_classes import write_classes
from napari_ganseg.plugin.layers import bare, classes_of
from napari_ganseg.plugin.left_bar import LeftBar
from napari_ganseg.plugin.pacing import Pace, end_measuring
from napari_ganseg.plugin.pair_list import PairList
from napari_ganseg.plugin.preferences import model_folder, preferred_device
from napari_ganseg.plugin.preview import PREVIEW
from napari_ganseg.plugin.recovery_bar import RecoveryBar
from napari_ganseg.plugin.registry import placement_of
from napari_ganseg.plugin.segment_widget import LEAST_WIDTH, wrap
from napari_ganseg.plugin.training_view import OWNER, TrainingView
from napari_ganseg.plugin.upright import watch
from napari_ganseg.plugin.worker import CHILD, announcer
from napari_ganseg.training.meaning import SHORT, WORDS
from napari_ganseg.volume import LabelClass

if TYPE_CHECKING:
    import napari

SCRATCH = "from scratch"
TEACH, ADAPT, TRAINING = range(3)  # the tabs
MOST_CLASSES_HEIGHT = 220  # pixels
PLANES = ("axial", "coronal", "sagittal")  # across the axes of an upright scan
FOLDER = FileDialogMode.EXISTING_DIRECTORY


class FineTuneWidget(QWidget):
    """Two forms, to teach with labels or to adapt without, and the training that either begins."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:  # napari injects by this name
        super().__init__()
        self._viewer = bare(napari_viewer)
        self._cards: dict[str, Card] = {}
        self._suggested = ""
        self._offered: tuple[LabelClass, ...] = ()
        self.config = ""
        self.pace = Pace(self._on_pace, self)
        self.image = ComboBox(name="image", label="Image", choices=self._images)
        self.labels = ComboBox(name="labels", label="Labels", choices=self._labels)
        self.new_button = PushButton(name="new_button", text="New labels for this image")
        self.meaning = ComboBox(
            name="meaning", label="Unpainted is", choices=[(words, meaning) for meaning, words in SHORT.items()],
            tooltip="What the voxels mean that you did not paint. Nobody can guess it, and it decides what is learnt.",
        )  # fmt: skip
        self.means = Label(name="means", label=" ", value=" ")
        self.add_button = PushButton(
            name="add_button", text="Add this pair", tooltip="Learn from several images: add them one after the other."
        )
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
        self.classes, self.pairs, self.view = ClassTable(), PairList(), TrainingView(self._viewer)
        self.adapt = AdaptForm(self._viewer, self.view)
        self.autosave = autosave_of(self._viewer)
        self.recovery, self.left = RecoveryBar(self._viewer, self.autosave), LeftBar()
        self._lay_out()
        self._connect()
        watch(self._viewer)
        self.reset_choices()
        self._job_button = JobButton(self.button, self._viewer, OWNER, self._start, CHILD, "Training...")

    def sizeHint(self) -> QSize:
        """As wide as the form can be read; as high as there is room."""
        return QSize(LEAST_WIDTH + 60, super().sizeHint().height())

    def _lay_out(self) -> None:
        """Three tabs: what to teach, what to adapt to, and the training as it goes."""
        self.teach_form: Container[Any] = Container(widgets=[self.image, self.labels, self.new_button], labels=True)
        self.pair_form: Container[Any] = Container(widgets=[self.meaning, self.means, self.add_button], labels=True)
        self.model_form: Container[Any] = Container(
            widgets=[self.folder, self.unlabelled, self.start, self.kept, self.name, self.budget, self.device,
                     self.button], labels=True,
        )  # fmt: skip
        for box in (self.image, self.labels, self.meaning, self.start, self.budget):
            box.native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for words in (self.kept, self.means):
            wrap(words.native)
        self.classes.setMaximumHeight(MOST_CLASSES_HEIGHT)
        parts = (self.recovery, self.teach_form.native, self.classes, self.pair_form.native, self.pairs,
                 self.model_form.native)  # fmt: skip
        self.tabs = QTabWidget()
        self.tabs.addTab(scrolling(parts), "Teach")
        self.tabs.addTab(scrolling((self.adapt,)), "Adapt")
        self._training = scrolling((self.view,))
        self.tabs.addTab(self._training, "Training")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.left)
        layout.addWidget(self.tabs)
        self.setMinimumWidth(LEAST_WIDTH)

    def _connect(self) -> None:
        """Every connection of this widget; napari adds those of `reset_choices` to its layer list, and undoes them."""
        self.labels.changed.connect(self._on_labels)
        self.new_button.clicked.connect(shown(self._on_new))
        self.add_button.clicked.connect(shown(self._on_add))
        self.meaning.changed.connect(self._on_meaning)
        self._viewer.dims.events.order.connect(self._on_meaning)
        self.start.changed.connect(self._on_start)
        self.image.changed.connect(self._on_start)
        self.device.changed.connect(self._on_start)
        self.budget.changed.connect(shown(self._on_budget))
        self.left.wanted.connect(self._on_go_on)
        self.recovery.restored.connect(self._on_restored)
        self.view.taken.connect(self._on_taken)
        self.adapt.begun.connect(self._on_begun)
        self.view.both.answered.connect(self._on_answered)

    # --- the form ---

    def _images(self, _: Any = None) -> list[tuple[str, Image]]:
        return [(layer.name, layer) for layer in self._viewer.layers if isinstance(layer, Image)]

    def _labels(self, _: Any = None) -> list[tuple[str, Labels]]:
        layers = [layer for layer in self._viewer.layers if isinstance(layer, Labels)]
        return [(layer.name, layer) for layer in layers if not layer.name.endswith(PREVIEW)]

    def _starts(self, _: Any = None) -> list[tuple[str, str]]:
        self._cards = {card.name: card for card in list_models(model_folder())}
        return [(SCRATCH, ""), *((name, name) for name in self._cards)]

    def _budgets(self, _: Any = None) -> list[tuple[str, Budget]]:
        image, card = bare(self.image.value), self._cards.get(self.start.value)
        dims = card.dims if card else 2 if image is not None and image.ndim == 2 else 3
        pace = self.pace.of(dims, self.start.value or "", self.device.value)
        return [(in_words(budget, pace), budget) for budget in (*BUDGETS, CUSTOM)]

    def reset_choices(self, *_: Any) -> None:
        """Fill the lists anew, keeping what was chosen."""
        for box in (self.image, self.labels, self.start):
            chosen = box.value
            box.reset_choices()
            if chosen in box.choices:
                box.value = chosen
        self.pairs.keep_only(self._viewer.layers)
        self.adapt.reset_choices(self._cards)
        self.view.both.reset_choices()
        self._on_labels()
        self._on_start()
        self._on_meaning()

    def _on_labels(self, *_: Any) -> None:
        """Show the classes of the chosen labels, and keep what is painted."""
        layer = bare(self.labels.value)
        self.classes.set_layer(layer)
        if layer is not None:
            with suppress(GansegError):  # no single scan's labels: the click says so
                self.autosave.watch(layer, placement_of(layer))

    def _on_meaning(self, *_: Any) -> None:
        """Say in full what was chosen, and which slices are meant."""
        if not compat.isalive(self):  # type: ignore[no-untyped-call]
            return  # the dock was closed, the viewer turned
        image, words = bare(self.image.value), WORDS[self.meaning.value]
        is_volume = image is not None and image.ndim == 3 and self.meaning.value in ("slices", "range")
        plane = PLANES[self._sliced_axis(image)] if is_volume else ""
        self.means.value = f"{words} (Slices as you see them now: {plane}.)" if plane else words

    def _on_new(self, *_: Any) -> None:
        image = bare(self.image.value)
        if image is None:
            raise UsageError("Open a scan first.")
        self.labels.value = new_labels_for(self._viewer, image)
        self._offer_classes()

    def _offer_classes(self) -> None:
        """Labels that nobody has painted on yet take the classes of the model to start from."""
        layer, card = bare(self.labels.value), self._cards.get(self.start.value)
        classes = tuple(LabelClass(c.value, c.name, c.colour) for c in card.classes) if card else ()
        if layer is None or classes_of(layer) not in ((), self._offered) or layer.data.any():
            return
        self._offered = classes
        write_classes(layer, classes)
        self.classes.set_layer(layer)

    def _on_add(self, *_: Any) -> None:
        image, labels = bare(self.image.value), bare(self.labels.value)
        if image is None or labels is None:
            raise UsageError("Choose an image and the labels painted on it first.")
        lesson_of(image, labels, self.meaning.value)  # says now what would be wrong later
        self.pairs.add(image, labels, self.meaning.value, self._sliced_axis(image))

    def _on_start(self, *_: Any) -> None:
        """Suggest a name, say what is kept of the parent, estimate the time."""
        card = self._cards.get(self.start.value)
        self.kept.value = card.summary if card else "A new network that knows nothing yet."
        if self.name.value in ("", self._suggested):
            self._suggested = self.name.value = self._free_name(card.name if card else "my-model")
        self._offer_classes()
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

        lessons = self._lessons()
        if not lessons:
            raise UsageError("Paint something first: the configuration is planned from it.")
        cases = [make_case(one.case, one.placement.volume(one.array), one.annotation) for one in lessons]
        parent = find_model(self.start.value, model_folder()).card if self.start.value else None
        return config_to_json(plan(cases, self.name.value, parent)).decode()

    # --- the work ---

    def _lessons(self) -> list[Lesson]:
        """The pairs that were added, else the one that is chosen, else none."""
        pairs = self.pairs.pairs
        image, labels = bare(self.image.value), bare(self.labels.value)
        if not pairs and image is not None and labels is not None:
            pairs = [(image, labels, self.meaning.value, self._sliced_axis(image))]
        lessons: list[Lesson] = []
        for image, labels, meaning, axis in pairs:
            taken = [lesson.case for lesson in lessons]
            lessons.append(lesson_of(image, labels, meaning, layer_axis=axis, taken=taken))
        return lessons

    def _sliced_axis(self, image: Image) -> int:
        """The image's axis across which the viewer slices now: people paint on what they see."""
        return max(0, int(self._viewer.dims.order[0]) - int(self._viewer.dims.ndim - image.ndim))

    def _task(self) -> FineTune:
        """What the form says.

        Raises:
            UsageError: something is missing; the message says what.
        """
        name = self.name.value.strip()
        if not is_model_name(name):
            raise UsageError("Call the new model by a name of letters, digits, '.', '-' and '_'.")
        if name in self._cards:
            raise UsageError(f"There is a model called {name} already; call the new one otherwise.")
        folders = tuple(Path(f) for f in (self.folder.value,) if f is not None)
        try:
            lessons = self._lessons()
        except UsageError:
            if not folders or self.pairs.pairs:
                raise
            lessons = []  # a folder is enough; the chosen labels may be another image's
        if not lessons and not folders:
            raise UsageError("Choose an image and paint labels on it, or choose a folder of labelled cases.")
        unlabelled = tuple(Path(f) for f in (self.unlabelled.value,) if f is not None)
        steps = self.budget.value.steps if self.budget.value else BUDGETS[0].steps
        start = str(find_path(self.start.value, model_folder())) if self.start.value else ""
        return FineTune(name, lessons, folders, unlabelled, start, steps, self.config, self.device.value)

    def _start(self) -> None:
        task = self._task()
        self.autosave.save_now()
        end_measuring()  # it would slow the training down, which tells the pace better
        self.view.forget_lessons()
        self.view.train(task.name, lambda: make_folder(task))
        for image, lesson in zip(self._images_taught(), task.lessons, strict=False):
            self.view.teach(lesson.case, image, lesson.placement, lesson.annotation.labels.classes)
        self._on_begun()

    def _on_begun(self) -> None:
        self.tabs.setCurrentIndex(TRAINING)

    def _images_taught(self) -> list[Image]:
        """The images in the order of the lessons."""
        return [image for image, *_ in self.pairs.pairs] or [bare(self.image.value)]

    def _on_go_on(self, folder: Path) -> None:
        self.view.go_on(folder)
        self._on_begun()

    def _on_answered(self) -> None:
        """Scroll to what is to be read, once Qt has made room for it."""
        QTimer.singleShot(0, self._scroll_down)

    def _scroll_down(self) -> None:
        if compat.isalive(self):  # type: ignore[no-untyped-call]
            self._training.ensureWidgetVisible(self.view.both)

    def _on_restored(self, layer: Labels) -> None:
        self.labels.reset_choices()
        self.labels.value = layer

    def _on_taken(self, name: str) -> None:
        """A model came into the library or went: every list shows it."""
        announcer.models_changed.emit(name)
        self.reset_choices()


def scrolling(parts: Sequence[QWidget]) -> QScrollArea:
    """Parts one below the other, which scroll where the window is low."""
    column, scroll = QWidget(), QScrollArea()
    layout = QVBoxLayout(column)
    layout.setContentsMargins(4, 4, 4, 4)
    for part in parts:
        layout.addWidget(part)
    scroll.setWidget(column)
    scroll.setWidgetResizable(True)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    return scroll


def shown(act: Callable[..., None]) -> Callable[..., None]:
    """Show what goes wrong in a slot as a message."""

    def careful(*arguments: Any) -> None:
        try:
            act(*arguments)
        except GansegError as error:
            show_error(str(error))

    return careful
