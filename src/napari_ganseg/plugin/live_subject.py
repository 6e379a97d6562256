"""What Live follows: an image as it is now, the model that shall look at it, and the slice on screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari.layers import Image

from napari_ganseg.errors import UsageError
from napari_ganseg.models.card import Card
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.regions import current_slice
from napari_ganseg.plugin.registry import placement_of
from napari_ganseg.plugin.task import Identity

TRANSFORM = ("scale", "translate", "rotate", "shear", "affine")


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """An image as it is now, and the model that shall look at it."""

    image: Image
    identity: Identity
    placement: Placement
    card: Card
    device: str

    @classmethod
    def of(cls, image: Image | None, card: Card | None, device: str) -> Subject:
        """What a form says.

        Raises:
            UsageError: image or model are missing, or the image is no single scan.
        """
        if image is None:
            raise UsageError("Open a scan first, then switch Live on.")
        if card is None:
            raise UsageError("There is no model; put one into the model folder (Preferences > Plugins).")
        return cls(image, Identity.of(image), placement_of(image), card, device)

    def is_same_as(self, other: Subject) -> bool:
        """Whether labels of one are labels of the other."""
        is_same = (self.image, self.card, self.device) == (other.image, other.card, other.device)
        return is_same and self.identity.is_same_as(other.identity) and self.placement.is_same_grid_as(other.placement)


def index_of(viewer: Any, subject: Subject) -> int:
    """The slice of the scan on screen; 0 of a picture.

    Raises:
        UsageError: another plane of the scan is on screen.
    """
    if subject.image.ndim == 2:
        return 0
    return current_slice(viewer, subject.image, subject.placement)


def changes_of(image: Image) -> list[Any]:
    """Events of an image after which labels no longer fit it."""
    return [getattr(image.events, name) for name in ("data", *TRANSFORM)]
