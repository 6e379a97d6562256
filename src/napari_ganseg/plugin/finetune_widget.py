"""The Fine-tune widget: teach a model with labels or adapt one without, watch, and take the better model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy import compat
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import QFrame, QScrollArea, QTabWidget, QVBoxLayout, QWidget

from napari_ganseg.models import list_models
from napari_ganseg.plugin.adapt_form import AdaptForm
from napari_ganseg.plugin.finetune_task import make_folder
from napari_ganseg.plugin.job_button import JobButton
from napari_ganseg.plugin.layers import bare
from napari_ganseg.plugin.left_bar import LeftBar
from napari_ganseg.plugin.lesson_form import LessonForm
from napari_ganseg.plugin.model_form import ModelForm
from napari_ganseg.plugin.pacing import end_measuring
from napari_ganseg.plugin.preferences import model_folder
from napari_ganseg.plugin.segment_widget import LEAST_WIDTH
from napari_ganseg.plugin.training_view import OWNER, TrainingView
from napari_ganseg.plugin.upright import watch
from napari_ganseg.plugin.worker import CHILD, announcer

if TYPE_CHECKING:
    import napari

TEACH, ADAPT, TRAINING = range(3)  # the tabs


class FineTuneWidget(QWidget):
    """Three tabs: the forms to teach with labels and to adapt without, and the training that either begins."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:  # napari injects by this name
        super().__init__()
        self._viewer = bare(napari_viewer)
        self.left, self.view = LeftBar(), TrainingView(self._viewer)
        self.lessons = LessonForm(self._viewer)
        self.model = ModelForm(self.lessons)
        self.adapt = AdaptForm(self._viewer, self.view)
        self._lay_out()
        self._connect()
        watch(self._viewer)
        self.reset_choices()
        self._job_button = JobButton(self.model.button, self._viewer, OWNER, self._start, CHILD, "Training...")

    def sizeHint(self) -> QSize:
        """As wide as the forms can be read; as high as there is room."""
        return QSize(LEAST_WIDTH + 60, super().sizeHint().height())

    def _lay_out(self) -> None:
        """What was left unfinished, and the tabs."""
        self.tabs = QTabWidget()
        self.tabs.addTab(scrolling((self.lessons, self.model)), "Teach")
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
        self.left.wanted.connect(self._on_go_on)
        self.view.taken.connect(self._on_taken)
        self.view.both.answered.connect(self._on_answered)
        self.adapt.begun.connect(self._on_begun)

    def reset_choices(self, *_: Any) -> None:
        """Fill the lists of every tab anew, keeping what was chosen."""
        cards = {card.name: card for card in list_models(model_folder())}
        self.lessons.reset_choices()
        self.model.reset_choices(cards)
        self.adapt.reset_choices(cards)
        self.view.both.reset_choices()

    def _start(self) -> None:
        """Begin the training that the forms describe."""
        task = self.model.task()
        self.lessons.autosave.save_now()
        end_measuring()  # it would slow the training down, which tells the pace better
        self.view.forget_lessons()
        self.view.train(task.name, lambda: make_folder(task))
        for image, lesson in zip(self.lessons.images(), task.lessons, strict=False):
            self.view.teach(lesson.case, image, lesson.placement, lesson.annotation.labels.classes)
        self._on_begun()

    def _on_begun(self) -> None:
        self.tabs.setCurrentIndex(TRAINING)

    def _on_go_on(self, folder: Path) -> None:
        self.view.go_on(folder)
        self._on_begun()

    def _on_answered(self) -> None:
        """Scroll to what is to be read, once Qt has made room for it."""
        QTimer.singleShot(0, self._scroll_down)

    def _scroll_down(self) -> None:
        if compat.isalive(self):  # type: ignore[no-untyped-call]
            self._training.ensureWidgetVisible(self.view.both)

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
