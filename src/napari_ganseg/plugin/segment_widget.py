"""The Segment widget: choose an image and a model, click, get a Labels layer with names and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, ComboBox, Container, Label, PushButton, Table, create_widget
from napari.layers import Image, Labels, Shapes
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtWidgets import QLabel, QSizePolicy

from napari_ganseg.errors import GansegError, UsageError
from napari_ganseg.models import list_models
from napari_ganseg.models.card import Card
from napari_ganseg.plugin import commands
from napari_ganseg.plugin.forewarning import forewarning
from napari_ganseg.plugin.job_button import JobButton, is_alive
from napari_ganseg.plugin.layers import LayerData, bare
from napari_ganseg.plugin.live import Live
from napari_ganseg.plugin.live_subject import Subject
from napari_ganseg.plugin.placement import Placement, orientation_codes
from napari_ganseg.plugin.preferences import model_folder, preferred_device
from napari_ganseg.plugin.regions import VIEW, WHOLE, box_in_shapes, box_in_view, current_slice
from napari_ganseg.plugin.registry import choose_letters, letters_of, placement_of
from napari_ganseg.plugin.results import add_result, found, notes_of, table_of
from napari_ganseg.plugin.task import Identity, Task, layer_maker, make_run, why_dropped
from napari_ganseg.plugin.upright import watch
from napari_ganseg.plugin.worker import Job, announcer, job_of

if TYPE_CHECKING:
    import napari

VOLUME, SLICE = "Whole volume", "Current slice"
LEAST_WIDTH = 340  # pixels in which the form can be read


class SegmentWidget(Container[Any]):
    """Form, one button, and the table of what was found."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:  # napari injects by this name
        self._viewer = bare(napari_viewer)
        self._result: Labels | None = None
        self._cards: dict[str, Card] = {}
        self.image: Any = create_widget(annotation=Image, name="image", label="Image")
        self.letters = ComboBox(
            name="letters", label="Axes grow to", choices=orientation_codes(), visible=False,
            tooltip="Nobody knows how this image lies in the patient. Choose the directions its three axes grow to: "
            "S up, I down, A front, P back, R the patient's right, L left.",
        )  # fmt: skip
        self.model = ComboBox(name="model", label="Model", choices=self._model_names)
        self.about = Label(name="about", label=" ")
        self.warning = Label(name="warning", label="But", visible=False)
        self.region = ComboBox(
            name="region", label="Region", choices=self._region_names,
            tooltip="Where to look. Draw a rectangle in a Shapes layer and choose that layer, or zoom in.",
        )  # fmt: skip
        self.extent = ComboBox(name="extent", label="Segment", choices=[VOLUME, SLICE])
        self.live = CheckBox(
            name="live", text="Live: find structures while scrolling",
            tooltip="Labels each axial slice you scroll to, on a layer of its own; a 3D model labels its neighbours, "
            "too. Slices done are kept until the image or the model changes. A click on Segment goes first.",
        )  # fmt: skip
        self.live_words = Label(name="live_words", label=" ", visible=False)
        self.device = ComboBox(
            name="device", label="Device", choices=["auto", "cuda", "mps", "cpu"], value=preferred_device()
        )
        self.button = PushButton(name="button", text="Segment")
        self.table = Table(name="table", label=" ", visible=False)
        self.notes = Label(name="notes", label="Note", visible=False)
        self.save_button = PushButton(name="save_button", text="Save labels...", visible=False)
        super().__init__(
            widgets=[self.image, self.letters, self.model, self.about, self.warning, self.region, self.extent,
                     self.device, self.button, self.live, self.live_words, self.table, self.notes, self.save_button],
            labels=True,
        )  # fmt: skip
        for text in (self.about, self.warning, self.live_words, self.notes):
            wrap(text.native)
        self.native.setMinimumWidth(LEAST_WIDTH)
        self._live = Live(self._viewer, self.live, self.live_words, self._subject)
        self._connect()
        watch(self._viewer)
        self.reset_choices()
        self._job_button = JobButton(self.button, self._viewer, "segment", self._start)

    def _connect(self) -> None:
        """Every connection of this widget; napari adds those of `reset_choices` to its layer list, and undoes them."""
        self.image.changed.connect(self._on_image)
        self.letters.changed.connect(self._on_letters)
        self.model.changed.connect(self._on_model)
        self.region.changed.connect(self._warn)
        for box in (self.image, self.letters, self.model, self.device):
            box.changed.connect(self._live.look)
        self.save_button.clicked.connect(self._on_save)
        announcer.models_changed.connect(self._on_models_changed)

    # --- the form ---

    def _model_names(self, _: Any = None) -> list[str]:
        self._cards = {card.name: card for card in list_models(model_folder())}
        return list(self._cards)

    def _region_names(self, _: Any = None) -> list[tuple[str, Any]]:
        shapes = [(f"Shapes: {layer.name}", layer) for layer in self._viewer.layers if isinstance(layer, Shapes)]
        return [(WHOLE, WHOLE), (VIEW, VIEW), *shapes]

    def reset_choices(self, *_: Any) -> None:
        """Fill the lists anew and bring the words up to date; magicgui forgets the choice of what was renamed."""
        chosen = [(box, box.value) for box in (self.image, self.region)]
        super().reset_choices()
        for box, value in chosen:
            if value in box.choices:
                box.value = value
        self._on_image()
        self._on_model()

    def _on_image(self, *_: Any) -> None:
        """Ask for the orientation only where nobody knows it."""
        image = bare(self.image.value)
        self.letters.visible = image is not None and is_unknown(image)
        if image is not None:
            self.letters.value = letters_of(image)
        self._warn()

    def _on_letters(self, letters: str) -> None:
        image = bare(self.image.value)
        if image is not None:
            choose_letters(image, letters)

    def _on_models_changed(self, name: str) -> None:
        """Show a model that was just trained, and choose it; one that went leaves the list."""
        if not is_alive(self):
            return
        chosen = self.model.value
        self.model.reset_choices()
        if (wanted := name or chosen) in self.model.choices:
            self.model.value = wanted

    def _on_model(self, *_: Any) -> None:
        card = self._cards.get(self.model.value)
        self.about.value = card.summary if card else "No model is installed."
        self._warn()

    def _warn(self, *_: Any) -> None:
        """Say before the click when the scan is not what the model knows; a region is judged when it is cut."""
        image, card = bare(self.image.value), self._cards.get(self.model.value)
        is_whole = image is not None and self.region.value == WHOLE
        self.warning.value = forewarning(image, card) if card and is_whole else ""
        self.warning.visible = bool(self.warning.value)

    # --- the work ---

    @property
    def is_busy(self) -> bool:
        """Whether a segmentation runs behind this viewer."""
        return job_of(self._viewer) is not None

    def _subject(self) -> Subject:
        """What Live looks at."""
        return Subject.of(bare(self.image.value), self._cards.get(self.model.value), self.device.value)

    def _start(self) -> None:
        image = bare(self.image.value)
        if image is None:
            raise UsageError("Open a scan first, then click Segment.")
        if self.model.value is None:
            raise UsageError("There is no model; put one into the model folder (Preferences > Plugins).")
        placement, before = placement_of(image), Identity.of(image)
        task = Task(image.data, placement, self.model.value, self._settings(image, placement))
        Job(
            self._viewer, lambda: make_run(task), f"Segment {image.name}", finish=layer_maker(placement),
            on_done=lambda made: self._show(made, image, before), on_failed=show_error, owner="segment",
        )  # fmt: skip

    def _settings(self, image: Image, placement: Placement) -> dict[str, Any]:
        """Fields of the engine's Settings, as the form says."""
        region, where = None, bare(self.region.value)
        if where == VIEW:
            region = box_in_view(self._viewer, image, placement)
        elif where != WHOLE:
            region = box_in_shapes(where, image, placement)
        is_one_of_many = self.extent.value == SLICE and image.ndim == 3
        index = current_slice(self._viewer, image, placement) if is_one_of_many else None
        return {"region": region, "slice_index": index, "device": self.device.value}

    def _show(self, made: LayerData, image: Image, before: Identity) -> None:
        """Show the result, unless the image it belongs to has gone or changed meanwhile."""
        if not is_alive(self):
            return  # the viewer was closed
        if why := why_dropped(self._viewer, image, before):
            show_warning(why)
            return
        self._result = layer = add_result(self._viewer, made, image)
        self._fill(layer)
        show_info(f"{layer.name}: {found(layer)} structures found.")

    def _fill(self, layer: Labels) -> None:
        """Table and words for a result."""
        self.table.value = table_of(layer)
        self.table.native.resizeColumnsToContents()
        self.table.visible = self.save_button.visible = True
        notes = notes_of(layer)
        self.notes.value = "\n".join(notes)
        self.notes.visible = bool(notes)

    def _on_save(self) -> None:
        """Save the result in the table, or what is selected once that has gone."""
        if self._result in self._viewer.layers:
            self._viewer.layers.selection.active = self._result
        commands.save_labels(self._viewer)


def is_unknown(image: Image) -> bool:
    """Whether nobody knows how a volume lies in the patient."""
    try:
        return image.ndim == 3 and bool(placement_of(image).assumption)
    except GansegError:
        return False


def wrap(label: QLabel) -> None:
    """Break long lines of a label where the dock ends, instead of widening the dock."""
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
