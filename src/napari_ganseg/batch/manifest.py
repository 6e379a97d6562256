"""The manifest: one line of JSON per case that ended, only ever added to, in the output folder."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_ganseg.batch.result import CaseResult
from napari_ganseg.errors import FileError
from napari_ganseg.io.atomic import reason
from napari_ganseg.io.names import shown

NAME = "manifest.jsonl"
KEPT = ("why", "inputs", "models", "parameters", "output")  # of a record


def add_line(out: Path, result: CaseResult, record: dict[str, Any]) -> None:
    """Add what became of a case.

    Args:
        out: the output folder.
        result: the case's.
        record: the output's, empty where there is none.

    Raises:
        FileError: the disk is full, or the file cannot be written.
    """
    facts = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "name": result.name,
        "source": str(result.source),
        "status": result.status,
        "cause": result.cause,
        "seconds": round(result.seconds, 3),
        "notes": list(result.notes),
    }
    kept = {key: record[key] for key in KEPT if key in record} if result.is_good else {}
    if result.status == "skipped":
        kept.pop("why", None)  # of an earlier run
    path = out / NAME
    try:
        append(path, json.dumps(facts | kept).encode() + b"\n")
    except OSError as error:
        raise FileError(f"Cannot write {shown(path)}: {reason(error, out, 0)}") from error


def append(path: Path, line: bytes) -> None:
    """Add a line in one write, on a line of its own even where a killed process left half of one."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
    try:
        size = os.lseek(descriptor, 0, os.SEEK_END)
        if size:
            os.lseek(descriptor, size - 1, os.SEEK_SET)
            line = line if os.read(descriptor, 1) == b"\n" else b"\n" + line
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def read_manifest(out: str | Path) -> list[dict[str, Any]]:
    """All whole lines of a folder's manifest, the oldest first; none where there is no manifest."""
    try:
        lines = (Path(out) / NAME).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    entries = map(parsed, lines)
    return [entry for entry in entries if entry]


def parsed(line: bytes) -> dict[str, Any]:
    """One line; empty where it is none of ours."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) and isinstance(entry.get("name"), str) else {}
