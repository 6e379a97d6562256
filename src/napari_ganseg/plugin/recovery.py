"""What was painted and never saved: listed, opened in place, or thrown away."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from napari.layers import Image, Labels

from napari_ganseg.errors import UsageError
from napari_ganseg.io import read_labels
from napari_ganseg.io.load import PAIR
from napari_ganseg.io.names import sidecar_path
from napari_ganseg.io.stored import StoredGrid
from napari_ganseg.plugin.layers import MADE, bare, labels_layer, put_on
from napari_ganseg.plugin.painting import PAINTED, entry_in, hold, is_held, remove, user_paintings
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.registry import is_scan, placement_of
from napari_ganseg.plugin.upright import watch
from napari_ganseg.volume import LabelMap

KEPT, DAYS = 20, 30
DAY_S = 86_400.0

_files: WeakKeyDictionary[Labels, Path] = WeakKeyDictionary()  # of restored layers


@dataclass(frozen=True, slots=True)
class Painted:
    """Labels that an earlier session left.

    Attributes:
        path: their file.
        name: of their layer.
        source: what the scan was called.
        when: they were kept, in local time.
    """

    path: Path
    name: str
    source: str
    when: datetime


def recoverable(folder: Path | None = None) -> list[Painted]:
    """What earlier sessions left, the newest first; nothing that a living process, this or another, has open.

    Args:
        folder: of paintings; the user's own by default.
    """
    paths = (folder or user_paintings()).glob("*.nii.gz")
    left = [described(path) for path in paths if not is_held(path)]
    return sorted((painted for painted in left if painted), key=lambda painted: painted.when, reverse=True)


def described(path: Path) -> Painted | None:
    """What a file holds, as its sidecar says; None where it was just removed."""
    entry = entry_in(path)
    try:
        when = datetime.fromtimestamp(float(entry.get("when_s") or path.stat().st_mtime)).astimezone()
    except (OSError, ValueError, TypeError, OverflowError):
        return None
    return Painted(path, str(entry.get("layer", "labels")), str(entry.get("source", "an unknown scan")), when)


# --- back into a viewer --------------------------------------------------------------------------------------------


def restore(viewer: Any, painted: Painted) -> Labels:
    """Open painted labels on their scan, if that is open, and by themselves otherwise.

    Their file stays until they are saved, forgotten, or kept anew.

    Raises:
        UsageError: somebody has them open.
        FileError: the file is gone or damaged.
    """
    viewer = bare(viewer)
    check_free(painted)
    entry, found = entry_in(painted.path), read_labels(painted.path)
    labels = found.derive(provenance={k: v for k, v in found.provenance.items() if k != PAINTED})
    watch(viewer)
    layer = layer_of(labels, painted, scan_of(viewer, labels, painted.source), entry)
    viewer.add_layer(layer)
    viewer.layers.selection.active = layer
    hold(painted.path)
    _files[layer] = painted.path
    return layer


def layer_of(labels: LabelMap, painted: Painted, scan: Image | None, entry: dict[str, Any]) -> Labels:
    """A Labels layer, in place; by hand, whoever made it first."""
    own = replace(Placement.of(labels, painted.source), stored=grid_of(labels, entry))
    data, fields, _ = labels_layer(labels, painted.name, placement_of(scan) if scan else own)
    fields["metadata"][MADE]["checksum"] = None
    return Labels(data, **(put_on(fields, scan) if scan else fields))


def grid_of(labels: LabelMap, entry: dict[str, Any]) -> object | None:
    """The stored grid with the scan's path: that is where people save labels, and what they must not overwrite."""
    stored, scan = labels.stored, Path(str(entry.get("scan") or ""))
    if not isinstance(stored, StoredGrid) or not scan.name or PAIR.fullmatch(scan.name):
        return stored
    return replace(stored, path=scan, is_image=bool(entry.get("is_image")))


def scan_of(viewer: Any, labels: LabelMap, source: str) -> Image | None:
    """The image of a viewer on whose grid labels lie, the one of their own scan's name before others."""
    images = [layer for layer in reversed(viewer.layers) if isinstance(layer, Image) and is_scan(layer)]
    fitting = [image for image in images if lies_on(labels, placement_of(image), source)]
    named = [image for image in fitting if source in (image.name, placement_of(image).source)]
    return next(iter([*named, *fitting]), None)


def lies_on(labels: LabelMap, place: Placement, source: str) -> bool:
    """Whether labels have the grid of a scan; where that was guessed, any array of this size has it, so names count."""
    if labels.shape != place.shape or (place.assumption and place.source != source):
        return False
    return labels.same_grid_as(labels.derive(affine=place.affine))


def file_of(layer: Labels) -> Path | None:
    """The file that a restored layer came from."""
    return _files.get(layer)


# --- away with it --------------------------------------------------------------------------------------------------


def forget(painted: Painted) -> None:
    """Remove painted labels for good.

    Raises:
        UsageError: somebody has them open.
        FileError: no permission.
    """
    check_free(painted)
    remove(painted.path)


def check_free(painted: Painted) -> None:
    """Refuse what somebody else restored since it was listed."""
    if is_held(painted.path):
        raise UsageError(f'"{painted.name}" is open in a viewer already.')


def prune(folder: Path) -> None:
    """Remove what is beyond the newest 20 or older than 30 days, and what killed processes left half-written."""
    oldest_s = time.time() - DAYS * DAY_S
    for i, painted in enumerate(recoverable(folder)):
        if i >= KEPT or painted.when.timestamp() < oldest_s:
            with suppress(OSError):
                painted.path.unlink(missing_ok=True)
                sidecar_path(painted.path).unlink(missing_ok=True)
    for path in [*folder.glob(".*.tmp-*"), *folder.glob("*.json")]:
        has_labels = path.with_suffix(".nii.gz").exists()
        with suppress(OSError):
            if not has_labels and not is_held(path.with_suffix(".nii.gz")) and is_old(path):
                path.unlink()


def is_old(path: Path) -> bool:
    """Whether a file was written more than a day ago."""
    return time.time() - path.stat().st_mtime > DAY_S
