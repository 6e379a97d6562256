"""Small pictures of a case for the page: the labels' outlines over three planes of the scan."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from napari_ganseg.errors import GansegError
from napari_ganseg.io import read, read_labels
from napari_ganseg.io.labels import colour_for
from napari_ganseg.report.case import ReportCase
from napari_ganseg.report.planes import Plane, Span, planes, window
from napari_ganseg.volume import Array, LabelMap, Volume

log = logging.getLogger(__name__)
SIDE = 288  # pixels of a picture's side
LINE = 3  # pixels of an outline
FILL = 0.28
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Picture:
    """A square JPEG as a data URI; `left` and `right` are the patient's sides."""

    uri: str
    title: str
    left: str
    right: str


def pictures_of(case: ReportCase) -> tuple[tuple[Picture, ...], str]:
    """A case's pictures, all of one scale; none, and why, where they cannot be made."""
    if not case.result.is_good:
        return (), ""
    try:
        labels = read_labels(case.result.output)
        return drawn(scan_of(case), labels), ""
    except GansegError as error:
        return (), str(error)
    except Exception as error:  # the edge: a broken picture never breaks the report
        log.warning("No picture of %r: %s: %s", case.result.name, type(error).__name__, error)
        return (), f"{type(error).__name__}: {error}"


def scan_of(case: ReportCase) -> Volume:
    """The scan that was segmented, the first channel's file where there are several."""
    parameters = case.record.get("parameters")
    frame = parameters.get("frame") if isinstance(parameters, Mapping) else None
    return read(case.result.source, frame=frame, channels=True if frame is None else None)


def drawn(volume: Volume, labels: LabelMap) -> tuple[Picture, ...]:
    """Pictures of the three planes."""
    greys, colours = window(volume.array), {c.value: rgb(c.colour) for c in labels.classes}
    made = planes(volume, labels)
    side_mm = max(max(extent_mm(plane)) for plane in made)
    return tuple(
        Picture(encoded(overlay(plane, greys, colours, SIDE / side_mm)), plane.title, plane.left, plane.right)
        for plane in made
    )


def extent_mm(plane: Plane) -> tuple[float, float]:
    """Height and width of what is shown."""
    (top, bottom), (left, right) = plane.rows, plane.columns
    return (bottom - top) * plane.spacing_mm[0], (right - left) * plane.spacing_mm[1]


def overlay(plane: Plane, greys: Span, colours: Mapping[int, Array], pixels_per_mm: float) -> Image.Image:
    """One plane in the middle of a black square."""
    height, width = (max(1, round(mm * pixels_per_mm)) for mm in extent_mm(plane))
    scaled = np.clip((plane.image_yx.astype(np.float32) - greys[0]) / (greys[1] - greys[0]), 0, 1)
    grey = resized((scaled * 255).astype(np.uint8), plane, width, height)
    picture = np.repeat(grey[..., np.newaxis], 3, axis=-1).astype(np.float32)
    for value in np.unique(plane.labels_yx[plane.labels_yx != 0]):
        mask = resized(np.where(plane.labels_yx == value, 255, 0).astype(np.uint8), plane, width, height) > 127
        paint(picture, mask, colours.get(int(value), rgb(colour_for(int(value)))))
    square = Image.new("RGB", (SIDE, SIDE))
    square.paste(Image.fromarray(picture.round().astype(np.uint8)), ((SIDE - width) // 2, (SIDE - height) // 2))
    return square


def resized(array_yx: npt.NDArray[np.uint8], plane: Plane, width: int, height: int) -> npt.NDArray[np.uint8]:
    """The part to show, at the picture's pixels."""
    box = (plane.columns[0], plane.rows[0], plane.columns[1], plane.rows[1])
    image = Image.fromarray(np.ascontiguousarray(array_yx))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC, box=box))


def paint(picture: npt.NDArray[np.float32], mask: Mask, colour: Array) -> None:
    """Tint a structure and draw its outline."""
    outline = mask & ~ndimage.binary_erosion(mask, iterations=LINE, border_value=1)
    picture[mask] = (1 - FILL) * picture[mask] + FILL * colour
    picture[outline] = colour


def rgb(colour: str) -> Array:
    """ "#rrggbb" as three numbers."""
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.float32)


def encoded(image: Image.Image) -> str:
    """A picture as a data URI."""
    stream = io.BytesIO()
    options: dict[str, Any] = {"quality": 82, "subsampling": 0, "optimize": True}
    image.save(stream, "JPEG", **options)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
