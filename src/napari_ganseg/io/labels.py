"""Class names beside a label map: the NIfTI label table other programs read, and our JSON sidecar."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from napari_ganseg.volume import LabelClass, LabelMap

MAX_SIDECAR = 4 * 2**20
CARET_CODE = 30  # NIFTI_ECODE_CARET: Connectome Workbench, TotalSegmentator and others keep names there
MARK = "napari-ganseg"
PALETTE = (
    "#e6550d", "#3182bd", "#31a354", "#fdd23a", "#9e4fb5", "#17becf", "#e377c2", "#8c564b", "#bcbd22", "#6baed6",
    "#fb6a4a", "#74c476", "#9467bd", "#ff9896", "#c49c94", "#1f77b4", "#dbdb8d", "#2ca02c", "#f7b6d2", "#d62728",
)  # fmt: skip


def colour_for(value: int) -> str:
    """A colour for a class that has none, always the same for the same value."""
    return PALETTE[(value - 1) % len(PALETTE)]


def label_table(classes: Iterable[LabelClass]) -> bytes:
    """Content of the Caret extension: one Label element per class."""
    rows = []
    for c in classes:
        red, green, blue = (int(c.colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        # Workbench writes names as CDATA; escaped text is the same XML and cannot be broken by "]]>".
        rows.append(f'<Label Key="{c.value}" Red="{red:.3f}" Green="{green:.3f}" Blue="{blue:.3f}" Alpha="1">'
                    f"{escape(printable(c.name))}</Label>")  # fmt: skip
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><CaretExtension><VolumeInformation Index="0"><LabelTable>'
        f"{''.join(rows)}</LabelTable><VolumeType>Label</VolumeType></VolumeInformation></CaretExtension>"
    )
    return text.encode()


def parse_label_table(extensions: bytes) -> tuple[LabelClass, ...]:
    """Classes in the first Caret label table among a file's extension bytes; nothing where it is damaged."""
    begin, end = extensions.find(b"<CaretExtension"), extensions.find(b"</CaretExtension>")
    if begin < 0 or not begin < end < begin + MAX_SIDECAR:
        return ()
    text = extensions[begin:end].decode("utf-8", "replace") + "</CaretExtension>"
    if "<!" in text.replace("<![CDATA[", ""):  # no document type, so no entities
        return ()
    try:
        labels = ElementTree.fromstring(text).iter("Label")
        return tuple(c for c in map(class_from_xml, labels) if 0 < abs(c.value) < 2**31)
    except (ElementTree.ParseError, ValueError):
        return ()


def class_from_xml(element: ElementTree.Element) -> LabelClass:
    """One Label element; a missing colour is made up."""
    value = int(element.get("Key", "0"))
    parts = [element.get(name) for name in ("Red", "Green", "Blue")]
    if None in parts:
        return LabelClass(value, (element.text or "").strip(), colour_for(value))
    numbers = [round(min(1.0, max(0.0, float(p or 0))) * 255) for p in parts]
    return LabelClass(value, (element.text or "").strip(), "#{:02x}{:02x}{:02x}".format(*numbers))


def sidecar_bytes(labels: LabelMap) -> bytes:
    """Our JSON sidecar: pure ASCII, so that no file name can break it."""
    counts = labels.counts()
    content = {
        "software": MARK,
        "format": 1,
        "classes": [
            {"value": c.value, "name": c.name, "colour": c.colour, "voxels": counts[c.value],
             "ml": round(counts[c.value] * labels.voxel_ml, 6)}
            for c in labels.classes
        ],
        "notes": list(labels.notes),
        "provenance": dict(labels.provenance),
    }  # fmt: skip
    return (json.dumps(content, indent=1, allow_nan=False, default=str) + "\n").encode()


def is_ours(path: Path) -> bool:
    """Whether a JSON file was written by us: only then may it be replaced."""
    return bool(read_sidecar(path))


def read_sidecar(path: Path) -> dict[str, Any]:
    """Our sidecar's content; empty where there is none, or where it is someone else's or damaged."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_SIDECAR:
            return {}
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    is_ours = isinstance(content, dict) and content.get("software") == MARK
    return content if is_ours and isinstance(content.get("provenance", {}), dict) else {}


def classes_of(sidecar: dict[str, Any], extensions: bytes) -> tuple[LabelClass, ...]:
    """Classes from the file's own label table, else from the sidecar, else none; sorted, one per value."""
    listed = sidecar.get("classes")
    beside = [c for c in map(class_from_json, listed) if c] if isinstance(listed, list) else []
    classes = parse_label_table(extensions) or beside
    return tuple(sorted({c.value: c for c in classes}.values(), key=lambda c: c.value))


def class_from_json(entry: Any) -> LabelClass | None:
    """One class of a sidecar, or None where the entry is not one."""
    if not isinstance(entry, dict) or type(entry.get("value")) is not int or not isinstance(entry.get("name"), str):
        return None
    colour = entry.get("colour")
    is_colour = isinstance(colour, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", colour)
    value: int = entry["value"]
    return LabelClass(value, entry["name"], str(colour) if is_colour else colour_for(value)) if value else None


def printable(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return "".join(c for c in text if c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff")
