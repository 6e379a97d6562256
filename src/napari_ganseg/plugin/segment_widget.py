"""The Segment widget: choose an image and a model, click, get a Labels layer with names and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox, Container, Label, PushButton, Table, create_widget
from napari.layers import Image, Labels, Shapes
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtWidgets import QLabel

from napari_ganseg.errors import GansegError, UsageError
from napari_ganseg.models import list_models
from napari_ganseg.models.card import Card
from napari_ganseg.plugin import commands
from napari_ganseg.plugin.layers import bare, placement_of
from napari_ganseg.plugin.placement import Placement, orientation_codes
from napari_ganseg.plugin.preferences import model_folder, preferred_device
from napari_ganseg.plugin.regions import VIEW, WHOLE, box_in_shapes, box_in_view, current_slice
from napari_ganseg.plugin.results import found, notes_of, show_result, table_of
from napari_ganseg.plugin.upright import watch
from napari_ganseg.plugin.worker import Job

if TYPE_CHECKING:
    import napari

    from napari_ganseg.run import Run
    from napari_ganseg.volume import LabelMap, Volume

VOLUME, SLICE = "Whole volume", "Current slice"


class SegmentWidget(Container[Any]):
    """Form, one button, and the table of what was found."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:  # napari injects by this name
        self._viewer = bare(napari_viewer)
        self._job: Job[LabelMap] | None = None
        self._cards: dict[str, Card] = {}
        self.image = create_widget(annotation=Image, name="image", label="Image")
        self.letters = ComboBox(
            name="letters", label="Axes grow to", choices=orientation_codes(), visible=False,
            tooltip="Nobody knows how this image lies in the patient. Choose the directions its three axes grow to: "
            "S up, I down, A front, P back, R the patient's right, L left.",
        )  # fmt: skip
        self.model = ComboBox(name="model", label="Model", choices=self._model_names)
        self.about = Label(name="about", label=" ")
        self.region = ComboBox(
            name="region", label="Region", choices=self._region_names,
            tooltip="Where to look. Draw a rectangle in a Shapes layer and choose that layer, or zoom in.",
        )  # fmt: skip
        self.extent = ComboBox(name="extent", label="Segment", choices=[VOLUME, SLICE])
        self.device = ComboBox(
            name="device", label="Device", choices=["auto", "cuda", "mps", "cpu"], value=preferred_device()
        )
        self.button = PushButton(name="button", text="Segment")
        self.table = Table(name="table", label=" ", visible=False)
        self.notes = Label(name="notes", label="Note", visible=False)
        self.save_button = PushButton(name="save_button", text="Save labels...", visible=False)
        super().__init__(
            widgets=[self.image, self.letters, self.model, self.about, self.region, self.extent, self.device,
                     self.button, self.table, self.notes, self.save_button],
            labels=True,
        )  # fmt: skip
        for text in (self.about, self.notes):
            wrap(text.native)
        self._connect()
        watch(self._viewer)
        self.reset_choices()

    def _connect(self) -> None:
        """Every connection of this widget; they go with its Qt parts."""
        self.image.changed.connect(self._on_image)
        self.letters.changed.connect(self._on_image)
        self.model.changed.connect(self._on_model)
        self.button.clicked.connect(self._on_button)
        self.save_button.clicked.connect(lambda: commands.save_labels(self._viewer))
        layers = self._viewer.layers.events
        for event in (layers.inserted, layers.removed, layers.reordered):
            event.connect(self._on_layers)

    # --- the form ---

    def _model_names(self, _: Any = None) -> list[str]:
        self._cards = {card.name: card for card in list_models(model_folder())}
        return list(self._cards)

    def _region_names(self, _: Any = None) -> list[str]:
        return [WHOLE, VIEW, *[layer.name for layer in self._viewer.layers if isinstance(layer, Shapes)]]

    def _on_layers(self, _: Any = None) -> None:
        self.reset_choices()

    def reset_choices(self, *_: Any) -> None:
        """Fill the lists anew and bring the words up to date."""
        super().reset_choices()
        self._on_image()
        self._on_model()

    def _on_image(self, *_: Any) -> None:
        """Ask for the orientation only where nobody knows it."""
        image = bare(self.image.value)
        is_unknown = False
        if image is not None:
            try:
                is_unknown = image.ndim == 3 and bool(placement_of(image).assumption)
            except GansegError:
                is_unknown = False
        self.letters.visible = is_unknown

    def _on_model(self, *_: Any) -> None:
        card = self._cards.get(self.model.value)
        self.about.value = card.summary if card else "No model is installed."

    # --- the work ---

    @property
    def is_busy(self) -> bool:
        """Whether a segmentation runs."""
        return self._job is not None

    def _on_button(self) -> None:
        """Start, or cancel what runs."""
        if self._job is not None:
            self._job.cancel()
            self.button.text, self.button.enabled = "Cancelling...", False
            return
        try:
            self._start()
        except GansegError as error:
            show_error(str(error))

    def _start(self) -> None:
        image = bare(self.image.value)
        if image is None:
            raise UsageError("Open a scan first, then click Segment.")
        if self.model.value is None:
            raise UsageError("There is no model; put one into the model folder (Preferences > Plugins).")
        placement = placement_of(image, self.letters.value if self.letters.visible else None)
        volume, model, settings = placement.volume(image.data), self.model.value, self._settings(image, placement)
        before = identity(image)
        self._job = Job(
            self._viewer, lambda: make_run(volume, model, settings), f"Segment {image.name}",
            on_done=lambda labels: self._show(labels, image, placement, before), on_failed=show_error, on_end=self._on_end,
        )  # fmt: skip
        self.button.text = "Cancel"

    def _settings(self, image: Image, placement: Placement) -> dict[str, Any]:
        """Fields of the engine's Settings, as the form says."""
        region = None
        if self.region.value == VIEW:
            region = box_in_view(self._viewer, image, placement)
        elif self.region.value != WHOLE:
            region = box_in_shapes(self._viewer.layers[self.region.value], image, placement)
        index = current_slice(self._viewer, image, placement) if self.extent.value == SLICE else None
        return {"region": region, "slice_index": index, "device": self.device.value}

    def _show(self, labels: LabelMap, image: Image, placement: Placement, before: tuple[Any, ...]) -> None:
        """Show the result, unless the image it belongs to has gone or changed meanwhile."""
        if image not in self._viewer.layers:
            show_warning(f'"{image.name}" was removed while it was being segmented; the result was dropped.')
            return
        if identity(image) != before:
            show_warning(
                f'"{image.name}" was changed while it was being segmented; the result was dropped. Segment again.'
            )
            return
        layer = show_result(self._viewer, labels, image, placement)
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

    def _on_end(self) -> None:
        self._job = None
        self.button.text, self.button.enabled = "Segment", True


def make_run(volume: Volume, model: str, settings: dict[str, Any]) -> Run[LabelMap]:
    """The segmentation, made where torch may be imported: in the background."""
    from napari_ganseg.inference.engine import Settings, segmentation
    from napari_ganseg.models.library import find_path

    return segmentation(volume, find_path(model, model_folder()), Settings(**settings))


def identity(image: Image) -> tuple[Any, ...]:
    """What must stay the same for a result to fit its image."""
    return id(image.data), tuple(image.scale), tuple(image.translate), image.affine.affine_matrix.tobytes()


def wrap(label: QLabel) -> None:
    """Break long lines of a label."""
    label.setWordWrap(True)
