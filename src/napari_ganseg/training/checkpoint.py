"""The state of a training in one safetensors file: networks, optimisers, step; written whole, two kept, no pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from napari_ganseg.errors import FileError
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.networks import fill_weights, weights_of

LAST, PREVIOUS = "last.train.safetensors", "previous.train.safetensors"


def save_state(
    folder: Path, modules: Mapping[str, nn.Module], optimisers: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """Write the state as the folder's last checkpoint; the one before it is kept.

    Raises:
        FileError: the disk is full or weights are not finite; the older checkpoints stay.
    """
    tensors = {f"{name}/{key}": t for name, module in modules.items() for key, t in weights_of(module).items()}
    if not all(bool(t.isfinite().all()) for t in tensors.values() if t.is_floating_point()):
        raise FileError("The weights hold NaN or infinite numbers; they were not saved.")
    for name, optimiser in optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"{name}/{index}/{key}": torch.as_tensor(value) for key, value in state.items()}
    content = save({k: t.detach().cpu().clone().contiguous() for k, t in tensors.items()}, {"facts": json.dumps(facts)})
    if (folder / LAST).exists():
        os.replace(folder / LAST, folder / PREVIOUS)
    write_bytes(folder / LAST, content)


def load_state(folder: Path, modules: Mapping[str, nn.Module], optimisers: Mapping[str, Any]) -> dict[str, Any] | None:
    """Bring modules and optimisers to the newest checkpoint that can be read; return its facts, or None."""
    for name in (LAST, PREVIOUS):
        if (folder / name).exists():
            try:
                tensors, facts = read_state(folder / name)
            except (SafetensorError, ValueError, KeyError, OSError):
                continue
            restore(tensors, modules, optimisers)
            return facts
    return None


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors and the facts of one checkpoint."""
    with safe_open(path, framework="pt") as file:
        facts: dict[str, Any] = json.loads(file.metadata()["facts"])
        return {key: file.get_tensor(key) for key in file.keys()}, facts  # noqa: SIM118 - not a mapping


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
