"""The record beside an output: what it was made from, by hash, so that a case is skipped only when all of it agrees.

It is the key "record" of the JSON sidecar that every label map of ours has. Its `state` is "writing" before the output
is touched and "done" once the output is whole; so what a killed process left is told from somebody else's file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_ganseg.batch.case import ScanCase
from napari_ganseg.errors import FileError
from napari_ganseg.io import door
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.io.labels import MARK, read_sidecar
from napari_ganseg.io.load import halves
from napari_ganseg.io.names import shown
from napari_ganseg.volume import Array

FORMAT = 1
State = Literal["writing", "done"]


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file's name and the SHA-256 of its bytes."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides about an output's voxels: the scan's files, the models' files in order, the parameters."""

    inputs: Sequence[Hashed]
    models: Sequence[Hashed]
    parameters: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As a record keeps it."""
        return {
            "inputs": [asdict(i) for i in self.inputs],
            "models": [asdict(m) for m in self.models],
            "parameters": dict(self.parameters),
        }


def hashes(sources: Sequence[Path]) -> list[Hashed]:
    """Name and SHA-256 of a case's files, both halves of a pair.

    Raises:
        FileError: one is missing, or no regular file.
    """
    made = []
    for path in dict.fromkeys(half for source in sources for half in halves(source)):
        with door.opening(path):
            door.open_regular(path).close()
            made.append(Hashed(path.name, sha256_of(path)))
    return made


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def voxels_sha256(array: Array) -> str:
    """SHA-256 over an array's type, shape and bytes."""
    sha = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    sha.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return sha.hexdigest()


def why_compute(case: ScanCase, recipe: Recipe, *, overwrite: bool) -> str:
    """Why a case has to be computed, in words; nothing where its output is there and its record agrees.

    Raises:
        FileError: the output or its JSON file is not ours, and `overwrite` does not allow to replace it.
    """
    record = read_record(case)
    if not record and (fault := foreign(case)) and not overwrite:
        raise FileError(fault)
    if not record:
        return "overwrites a file that was not ours" if case.output.exists() else "new"
    if record.get("state") != "done":
        return "broken off while writing"
    if not case.output.exists():
        return "the output is gone"
    return difference(record, case.output, recipe.to_json())


def read_record(case: ScanCase) -> dict[str, Any]:
    """A case's record; empty where there is none for this output."""
    record = read_sidecar(case.sidecar).get("record")
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        return {}
    output = record.get("output")
    return record if isinstance(output, dict) and output.get("name") == case.output.name else {}


def foreign(case: ScanCase) -> str:
    """What is in the way of a case that has no record, in words."""
    if case.output.exists():
        return (f"{shown(case.output)} is there already without a record of this batch, so it may be somebody's work. "
                "Choose another output folder, or overwrite=True.")  # fmt: skip
    if case.sidecar.exists() and not read_sidecar(case.sidecar):
        return (f"{shown(case.sidecar)} is there already and is not ours, or is damaged. "
                "Choose another output folder, or overwrite=True.")  # fmt: skip
    return ""


def difference(record: Mapping[str, Any], output: Path, recipe: Mapping[str, Any]) -> str:
    """The first thing in which a record differs from what is asked now, or its output from what was written."""
    words = {"inputs": "the scan changed", "models": "the model changed", "parameters": "the parameters changed"}
    for key, change in words.items():
        if record.get(key) != recipe[key]:
            return change
    return "" if record["output"].get("sha256") == sha256_of(output) else "the output was cut or changed"


def write_record(case: ScanCase, state: State, facts: Mapping[str, Any], sidecar: Mapping[str, Any]) -> None:
    """Write the sidecar with its record, whole or not at all.

    Args:
        case: whose.
        state: where its output stands.
        facts: the record.
        sidecar: the other keys.
    """
    output = {"name": case.output.name, **facts.get("output", {})}
    record = {"format": FORMAT, "state": state, **facts, "output": output}
    content = {"software": MARK, "format": 1, "classes": [], **sidecar, "record": record}
    write_bytes(case.sidecar, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
