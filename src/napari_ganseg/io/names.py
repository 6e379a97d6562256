"""File names in messages and beside one another."""

from __future__ import annotations

from pathlib import Path

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".hdr", ".img", ".hdr.gz", ".img.gz")


def shown(path: str | Path) -> str:
    """Name of a file as it may stand in a message: control, bidirectional and undecodable characters are escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in Path(path).name or str(path))


def stem(path: str | Path) -> str:
    """File name without `.nii.gz` or whichever suffix it has."""
    name = Path(path).name
    for suffix in IMAGE_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return Path(name).stem


def sidecar_path(path: str | Path) -> Path:
    """Where the names and the provenance of a label map lie: `seg.nii.gz` -> `seg.json`."""
    return Path(path).with_name(stem(path) + ".json")
