"""The lessons' form: an image, the labels painted on it, their classes, what unpainted means, and more such pairs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from magicgui.widgets import ComboBox, Container, Label, PushButton
from napari.layers import Image, Labels
from qtpy import compat
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_ganseg.errors import GansegError, UsageError
from napari_ganseg.plugin.autosave import autosave_of
from napari_ganseg.plugin.class_table import ClassTable
from napari_ganseg.plugin.commands import new_labels_for
from napari_ganseg.plugin.finetune_task import Lesson, lesson_of
from napari_ganseg.plugin.layer_classes import write_classes
from napari_ganseg.plugin.layers import bare, classes_of
from napari_ganseg.plugin.pair_list import Pair, PairList
from napari_ganseg.plugin.preview import PREVIEW
from napari_ganseg.plugin.recovery_bar import RecoveryBar
from napari_ganseg.plugin.registry import placement_of
from napari_ganseg.plugin.segment_widget import wrap
from napari_ganseg.plugin.slots import careful
from napari_ganseg.training.meaning import SHORT, WORDS
from napari_ganseg.volume import LabelClass

MOST_CLASSES_HEIGHT = 220  # pixels
PLANES = ("axial", "coronal", "sagittal")  # across the axes of an upright scan


class LessonForm(QWidget):
    """What to learn from in the viewer; what is painted is kept as it is painted."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = bare(viewer)
        self._coming: tuple[LabelClass, ...] = ()
        self._offered: tuple[LabelClass, ...] = ()
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
        self.classes, self.pairs = ClassTable(), PairList()
        self.autosave = autosave_of(self._viewer)
        self.recovery = RecoveryBar(self._viewer, self.autosave)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        """The pair, its classes, what unpainted means, and the pairs that were added."""
        self._pair: Container[Any] = Container(widgets=[self.image, self.labels, self.new_button], labels=True)
        self._unpainted: Container[Any] = Container(widgets=[self.meaning, self.means, self.add_button], labels=True)
        for box in (self.image, self.labels, self.meaning):
            box.native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        wrap(self.means.native)
        self.classes.setMaximumHeight(MOST_CLASSES_HEIGHT)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.recovery, self._pair.native, self.classes, self._unpainted.native, self.pairs):
            layout.addWidget(part)

    def _connect(self) -> None:
        """Every connection of this form; Qt undoes them with it."""
        self.labels.changed.connect(self._on_labels)
        self.new_button.clicked.connect(careful(self._on_new))
        self.add_button.clicked.connect(careful(self._on_add))
        self.meaning.changed.connect(self._on_meaning)
        self._viewer.dims.events.order.connect(self._on_meaning)
        self.recovery.restored.connect(self._on_restored)

    # --- the form ---

    def _images(self, _: Any = None) -> list[tuple[str, Image]]:
        return [(layer.name, layer) for layer in self._viewer.layers if isinstance(layer, Image)]

    def _labels(self, _: Any = None) -> list[tuple[str, Labels]]:
        layers = [layer for layer in self._viewer.layers if isinstance(layer, Labels)]
        return [(layer.name, layer) for layer in layers if not layer.name.endswith(PREVIEW)]

    def reset_choices(self) -> None:
        """Fill the lists anew, keeping what was chosen."""
        for box in (self.image, self.labels):
            chosen = box.value
            box.reset_choices()
            if chosen in box.choices:
                box.value = chosen
        self.pairs.keep_only(self._viewer.layers)
        self._on_labels()
        self._on_meaning()

    def offer(self, classes: Sequence[LabelClass]) -> None:
        """Classes for labels that nobody has painted on yet, new ones too."""
        self._coming = tuple(classes)
        layer = bare(self.labels.value)
        if layer is None or classes_of(layer) not in ((), self._offered) or layer.data.any():
            return
        self._offered = self._coming
        write_classes(layer, self._coming)
        self.classes.set_layer(layer)

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
        self.offer(self._coming)

    def _on_add(self, *_: Any) -> None:
        if not (chosen := self._chosen()):
            raise UsageError("Choose an image and the labels painted on it first.")
        for image, labels, meaning, axis in chosen:
            lesson_of(image, labels, meaning)  # says now what would be wrong later
            self.pairs.add(image, labels, meaning, axis)

    def _on_restored(self, layer: Labels) -> None:
        self.labels.reset_choices()
        self.labels.value = layer

    # --- the lessons ---

    def lessons(self) -> list[Lesson]:
        """The pairs that were added, else the one that is chosen, else none.

        Raises:
            UsageError: labels teach nothing; the message says why.
        """
        made: list[Lesson] = []
        for image, labels, meaning, axis in self.pairs.pairs or self._chosen():
            taken = [lesson.case for lesson in made]
            made.append(lesson_of(image, labels, meaning, layer_axis=axis, taken=taken))
        return made

    def images(self) -> list[Image]:
        """The images in the order of the lessons."""
        return [image for image, *_ in self.pairs.pairs or self._chosen()]

    def _chosen(self) -> list[Pair]:
        """The chosen image and labels, if there are both."""
        image, labels = bare(self.image.value), bare(self.labels.value)
        if image is None or labels is None:
            return []
        return [(image, labels, self.meaning.value, self._sliced_axis(image))]

    def _sliced_axis(self, image: Image) -> int:
        """The image's axis across which the viewer slices now: people paint on what they see."""
        return max(0, int(self._viewer.dims.order[0]) - int(self._viewer.dims.ndim - image.ndim))
