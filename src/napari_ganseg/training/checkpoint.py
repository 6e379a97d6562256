"""The state of a training in one safetensors file: networks, optimisers, step; written whole, two kept, no pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from napari_ganseg.errors import FileError, ModelError
from napari_ganseg.io.atomic import replacing
from napari_ganseg.io.names import shown
from napari_ganseg.models.file import digest, header_of, packed, tensors_of
from napari_ganseg.networks import fill_weights, weights_of
from napari_ganseg.training.files import LAST, PREVIOUS


def save_state(
    folder: Path, modules: Mapping[str, nn.Module], optimisers: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """Write the state as the folder's last checkpoint; the one before it is kept.

    Raises:
        FileError: the disk is full or weights are not finite; the older checkpoints stay.
    """
    tensors = state_tensors(modules, optimisers)
    if not all(bool(t.isfinite().all()) for t in tensors.values() if t.is_floating_point()):
        raise FileError("The weights hold NaN or infinite numbers; they were not saved.")
    text = json.dumps(facts)
    content = packed(tensors, {"facts": text, "sha256": digest(text.encode(), tensors)})
    with replacing(folder / LAST, needed=len(content)) as temporary:
        temporary.write_bytes(content)
        with suppress(FileNotFoundError):
            os.replace(folder / LAST, folder / PREVIOUS)


def state_tensors(modules: Mapping[str, nn.Module], optimisers: Mapping[str, Any]) -> dict[str, Tensor]:
    """Copies of all tensors, named `module/key` and `optimiser/index/key`."""
    tensors = {f"{name}/{key}": t for name, module in modules.items() for key, t in weights_of(module).items()}
    for name, optimiser in optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"{name}/{index}/{key}": torch.as_tensor(value) for key, value in state.items()}
    return {key: t.detach().cpu().clone().contiguous() for key, t in tensors.items()}


def has_state(folder: Path) -> bool:
    """Whether a training left a checkpoint here."""
    return any((folder / name).exists() for name in (LAST, PREVIOUS))


def load_state(folder: Path, modules: Mapping[str, nn.Module], optimisers: Mapping[str, Any]) -> dict[str, Any] | None:
    """Bring modules and optimisers to the newest checkpoint that is whole; return its facts, None where there is none.

    Raises:
        FileError: there are checkpoints, but all are damaged, or are of another training.
    """
    for name in (LAST, PREVIOUS):
        try:
            tensors, facts = read_state(folder / name)
        except (ModelError, ValueError, LookupError, TypeError, AttributeError, OSError):
            continue
        try:
            restore(tensors, modules, optimisers)
        except (KeyError, ValueError, RuntimeError) as error:
            raise FileError(f"The checkpoint in {shown(folder)} is of another training ({error}).") from error
        return facts
    if has_state(folder):
        raise FileError(f"The checkpoints in {shown(folder)} are damaged. Choose another folder to start anew.")
    return None


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors and the facts of one checkpoint, when its checksum agrees."""
    content = path.read_bytes()
    metadata = header_of(content[:8], content[8:])["__metadata__"]
    tensors = tensors_of(content)
    if digest(metadata["facts"].encode(), tensors) != metadata["sha256"]:
        raise ModelError("the checkpoint is damaged (checksum differs).")
    facts: dict[str, Any] = json.loads(metadata["facts"])
    return tensors, facts


def restore(tensors: Mapping[str, Tensor], modules: Mapping[str, nn.Module], optimisers: Mapping[str, Any]) -> None:
    """Fill modules and optimisers from tensors named `module/key` and `optimiser/index/key`."""
    for name, module in modules.items():
        fill_weights(module, under(tensors, name))
    for name, optimiser in optimisers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in under(tensors, name).items():
            index, what = key.split("/")
            state.setdefault(int(index), {})[what] = tensor
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def under(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of one module or optimiser, without its prefix."""
    return {key[len(name) + 1 :]: t for key, t in tensors.items() if key.startswith(name + "/")}


def sweep(folder: Path, name: str = "") -> None:
    """Remove the temporary files of processes that were killed while they wrote a file.

    Args:
        folder: where they wrote it.
        name: of the file; empty for any.
    """
    for path in folder.glob(f".{escape(name[:40])}*.tmp-*-*"):
        process = path.name.rsplit("-", 2)[1]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            with suppress(OSError):
                path.unlink()
