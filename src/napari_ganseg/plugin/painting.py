"""A painting: what a Labels layer holds at one moment, and the file that keeps it, with who holds that file."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
from napari.layers import Labels
from platformdirs import user_data_path

from napari_ganseg.errors import FileError
from napari_ganseg.io import write
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.io.holder import Holder, is_stale, this_process
from napari_ganseg.io.labels import MARK, read_sidecar
from napari_ganseg.io.names import shown, sidecar_path
from napari_ganseg.io.stored import StoredGrid
from napari_ganseg.plugin.layers import MADE, classes_of
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.volume import Array, LabelClass

PAINTED = "painted"  # in the provenance of the file: what layer it was, on which scan, when, and who holds it
SILENT_S = 3600.0  # a process of another machine that has not touched its file for so long is gone


@dataclass(frozen=True, slots=True, eq=False)
class Painting:
    """All that a file needs; it is written far from the layer.

    Attributes:
        data: the labels as the layer has them, a copy.
        placement: where they lie.
        name: of the layer.
        classes, provenance, notes: as in LabelMap.
    """

    data: Array
    placement: Placement
    name: str
    classes: tuple[LabelClass, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def painting_of(layer: Labels, placement: Placement) -> Painting:
    """Copy what a layer holds; for the thread that the layer belongs to."""
    made = layer.metadata.get(MADE, {})
    provenance = {k: v for k, v in made.items() if k not in ("checksum", "notes")}
    notes = tuple(made.get("notes", placement.all_notes))
    return Painting(np.array(layer.data), placement, layer.name, classes_of(layer), provenance, notes)


def user_paintings() -> Path:
    """Where paintings are kept; it need not exist."""
    return Path(user_data_path("napari-ganseg", appauthor=False)) / "painted"


def new_path(folder: Path) -> Path:
    """A name for a painting that nothing else has."""
    return folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{token_hex(4)}.nii.gz"


# --- the file ------------------------------------------------------------------------------------------------------


def keep(path: Path, painting: Painting, *, is_held: bool = True) -> None:
    """Write a painting, whole or not at all; slow, and safe in any thread.

    Args:
        path: its file, which may hold an older state.
        painting: what to write.
        is_held: whether its layer is still open, so that nobody else is offered it.

    Raises:
        GansegError: no space, no permission, or labels that no file holds.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"Cannot make the folder {shown(path.parent)}: {error.strerror}.") from error
    entry = entry_of(painting, is_held=is_held)
    if not path.exists():  # nobody may take a file whose sidecar is still to come for one left behind
        write_entry(path, entry)
    provenance = {**painting.provenance, PAINTED: entry}
    fields = {"classes": painting.classes, "provenance": provenance, "notes": painting.notes}
    write(path, painting.placement.label_map(painting.data, **fields))


def entry_of(painting: Painting, *, is_held: bool) -> dict[str, Any]:
    """What stands in the sidecar: enough to find the scan again, and to say what this is."""
    place, stored = painting.placement, painting.placement.stored
    scan = stored if isinstance(stored, StoredGrid) else None
    return {
        "layer": painting.name, "source": place.source, "when_s": time.time(),
        "scan": str(scan.path.absolute()) if scan else "", "is_image": bool(scan and scan.is_image),
        "holder": asdict(me()) if is_held else None,
    }  # fmt: skip


def entry_in(path: Path) -> dict[str, Any]:
    """What the sidecar of a painting says; empty where it is gone."""
    entry = read_sidecar(sidecar_path(path)).get("provenance", {}).get(PAINTED)
    return entry if isinstance(entry, dict) else {}


def write_entry(path: Path, entry: Mapping[str, Any]) -> None:
    """Replace what the sidecar says, and leave the rest of it."""
    content = read_sidecar(sidecar_path(path)) or {"software": MARK, "format": 1}
    content["provenance"] = {**content.get("provenance", {}), PAINTED: dict(entry)}
    write_bytes(sidecar_path(path), (json.dumps(content, indent=1) + "\n").encode())


def remove(path: Path) -> None:
    """Remove a painting and its sidecar, the sidecar last: it says whose the file is.

    Raises:
        FileError: no permission.
    """
    try:
        path.unlink(missing_ok=True)
        sidecar_path(path).unlink(missing_ok=True)
    except OSError as error:
        raise FileError(f"Cannot remove {shown(path)}: {error.strerror}.") from error


# --- who holds it --------------------------------------------------------------------------------------------------


@cache
def me() -> Holder:
    """This process."""
    return this_process()


def hold(path: Path) -> None:
    """Keep a painting from being offered to anybody while this process lives."""
    write_entry(path, {**entry_in(path), "holder": asdict(me())})


def release(path: Path) -> None:
    """Let a painting be offered again, if it is there and ours."""
    entry = entry_in(path)
    if path.exists() and entry.get("holder") == asdict(me()):
        write_entry(path, {**entry, "holder": None})


def touch(path: Path) -> None:
    """Show other machines that this process still lives."""
    with suppress(OSError):
        os.utime(sidecar_path(path))


def is_held(path: Path) -> bool:
    """Whether a living process has the layer of a painting open."""
    try:
        holder = Holder(**entry_in(path)["holder"])
        if holder.host == socket.gethostname():
            return not is_stale(holder)
        return time.time() - sidecar_path(path).stat().st_mtime < SILENT_S
    except (KeyError, TypeError, OSError):
        return False
