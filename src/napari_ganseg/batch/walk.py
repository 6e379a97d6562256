"""Walk through a folder of scans, without hidden files, label maps, and links that lead elsewhere."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import nibabel as nib

from napari_ganseg.batch.options import BatchOptions
from napari_ganseg.errors import GansegError
from napari_ganseg.io import door
from napari_ganseg.io.header import decode, header_bytes
from napari_ganseg.io.labels import read_sidecar
from napari_ganseg.io.load import PAIR
from napari_ganseg.io.names import shown, sidecar_path

log = logging.getLogger(__name__)
KNOWN = (".known.nii.gz", ".known.nii")  # masks beside our own annotations


def image_files(folder: Path, out: Path, suffixes: Sequence[str], options: BatchOptions) -> list[Path]:
    """Paths inside the folder of every file that may be a scan, in alphabetical order.

    The output folder, hidden files and folders, and a folder `labels` beside `images` are left out, and links that lead
    out of the folder unless `options.follow`; how many links is logged.
    """
    found, elsewhere = [], 0
    for path in files(folder, out, follow=options.follow):
        name = path.name.lower()
        if name.startswith(".") or not name.endswith(tuple(suffixes)) or name.endswith(KNOWN):
            continue
        inside = path.relative_to(folder)
        if not is_wanted(inside, options.patterns):
            continue
        if not options.follow and leads_out(path, folder):
            elsewhere += 1
        else:
            found.append(inside)
    if elsewhere:
        log.warning("Links that lead out of %s were left out: %d. follow=True takes them.", shown(folder), elsewhere)
    return sorted(found)


def files(folder: Path, out: Path, *, follow: bool) -> Iterator[Path]:
    """Every file below a folder but not in `out`; a folder that cannot be read is logged, a loop of links ends."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=follow, onerror=complain):
        here = Path(place)
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if is_entered(here / name, folders, out)]
        yield from (here / name for name in names)


def complain(error: OSError) -> None:
    """Say that a folder cannot be read."""
    log.warning("Left out: the folder %s cannot be read (%s).", shown(error.filename or ""), error.strerror)


def is_entered(folder: Path, siblings: Sequence[str], out: Path) -> bool:
    """Whether to look into a folder."""
    name = folder.name
    has_labels = name.startswith("labels") and "images" + name.removeprefix("labels") in siblings
    return not name.startswith(".") and not has_labels and os.path.realpath(folder) != os.path.realpath(out)


def is_wanted(inside: Path, patterns: Sequence[str]) -> bool:
    """Whether a path matches one of the patterns, or there are none."""
    path, name = inside.as_posix().lower(), inside.name.lower()
    return not patterns or any(fnmatchcase(path if "/" in p else name, p.lower()) for p in patterns)


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a file is a link to something outside the folder."""
    return path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def is_our_output(path: Path) -> bool:
    """Whether a file is a label map that we wrote: it has our sidecar, and its record or its header says labels."""
    sidecar = read_sidecar(sidecar_path(path))
    if not sidecar:
        return False
    record = sidecar.get("record")
    output = record.get("output") if isinstance(record, dict) else None
    if isinstance(output, dict) and output.get("name") == path.name:
        return True
    try:
        with door.open_regular(path) as stream:
            return declares_labels(header_bytes(stream), path)
    except (*door.READ_ERRORS, GansegError):
        return False


def declares_labels(header: bytes, path: Path) -> bool:
    """Whether a NIfTI header has the intent code of labels."""
    is_pair = PAIR.fullmatch(path.name) is not None
    intents = nib.nifti1.intent_codes
    return int(decode(header, is_pair=is_pair)["intent_code"]) == intents["label"]
