"""The run folder: a training's configuration and cases by hash; it goes on only as the same training."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_ganseg.errors import FileError, UsageError
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.io.names import shown
from napari_ganseg.training.cases import Case, case_sha256
from napari_ganseg.training.checkpoint import has_state, sweep
from napari_ganseg.training.config import TrainConfig, config_from_json, config_to_json
from napari_ganseg.training.files import CONFIG, INPUTS


def open_folder(folder: Path, config: TrainConfig, training: Sequence[Case], validation: Sequence[Case]) -> None:
    """Set a folder up for a training, or make sure that the one it holds is the same.

    Raises:
        UsageError: it holds checkpoints of another configuration or of other cases; the message names a difference.
        FileError: it cannot be made or written.
    """
    inputs = {"training": hashes(training), "validation": hashes(validation)}
    wanted = {CONFIG: json.loads(config_to_json(config)), INPUTS: inputs}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"Cannot make the folder {shown(folder)}: {error.strerror}.") from error
    sweep(folder)
    if has_state(folder):
        for name, content in wanted.items():
            check_same(folder, name, content)
    for name, content in wanted.items():
        write_bytes(folder / name, (json.dumps(content, indent=1) + "\n").encode())


def hashes(cases: Sequence[Case]) -> dict[str, str]:
    """SHA-256 of each case by its name."""
    return {case.name: case_sha256(case) for case in cases}


def check_same(folder: Path, name: str, content: Mapping[str, Any]) -> None:
    """Compare one file of the folder with what it should hold now."""
    try:
        stored = json.loads((folder / name).read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{shown(folder)} holds a training whose {name} cannot be read. Choose another folder to start anew."
        ) from error
    if name == CONFIG:
        with suppress(UsageError):  # an older version left out what has a default now
            stored = json.loads(config_to_json(config_from_json(json.dumps(stored).encode())))
    there, now = dict(leaves(stored)), dict(leaves(content))
    for key in sorted(there.keys() | now.keys()):
        if there.get(key) != now.get(key):
            raise UsageError(
                f"{shown(folder)} holds another training: {key} is {short(there.get(key))} there and "
                f"{short(now.get(key))} now. Give it the same, or choose another folder to start anew."
            )


def leaves(content: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a JSON document with its dotted path; lists count as values."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, content


def short(value: Any) -> str:
    """A value in a message."""
    text = "not there" if value is None else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
