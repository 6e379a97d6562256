"""File names and sizes in messages, and names beside one another."""

from __future__ import annotations

from pathlib import Path

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".hdr", ".img", ".hdr.gz", ".img.gz")
PICTURE_SUFFIXES = (".png", ".tif", ".tiff")


def shown(path: str | Path) -> str:
    """Name of a file as it may stand in a message: control, bidirectional and undecodable characters are escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in Path(path).name or str(path))


def amount(size: float) -> str:
    """Bytes for people: 8.0 GB, 70.4 TB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


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
