"""Entries of the queue: a recipe with overrides, what it is for, and how long it takes."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from napari_ganseg.errors import UsageError
from napari_ganseg.models.card import STRICT, Name
from napari_ganseg.training import TrainConfig, config_from_json

Minutes = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, config=STRICT)
class Entry:
    """One training that waits.

    Attributes:
        name: of the entry; the model is called as its recipe says.
        purpose: what is learned from it, in one sentence.
        data: folders below GANSEG_DATA.
        recipe: the configuration's path, from the repository's root.
        override: laid over the recipe, key by key; lists are replaced.
        gpu_minutes, cpu_minutes: rough, for the whole training.
        labels: patients that keep their labels, drawn by the configuration's seed; the others' images join without,
            where the configuration has a use for them. 0: all keep them.
    """

    name: Name
    purpose: Annotated[str, Field(min_length=10)]
    data: Annotated[tuple[str, ...], Field(min_length=1)]
    recipe: str
    gpu_minutes: Minutes
    cpu_minutes: Minutes | None = None
    override: dict[str, Any] = Field(default_factory=dict)
    labels: Annotated[int, Field(ge=0)] = 0

    @property
    def content(self) -> dict[str, Any]:
        """The recipe with the overrides, as it is written for the training."""
        return merged(json.loads(Path(self.recipe).read_bytes()), self.override)

    @property
    def config(self) -> TrainConfig:
        """The same, understood."""
        return config_from_json(json.dumps(self.content).encode())

    @property
    def sha256(self) -> str:
        """What decides the training, in 16 digits: the configuration, the data's names and how few have labels."""
        decisive = json.dumps([self.content, self.data, *([self.labels] if self.labels else [])], sort_keys=True)
        return hashlib.sha256(decisive.encode()).hexdigest()[:16]


ADAPTER = TypeAdapter(tuple[Entry, ...])


def read_entries(path: Path) -> tuple[Entry, ...]:
    """The entries of a queue's file, in their order.

    Raises:
        UsageError: a key is unknown or out of bounds, or a name stands twice.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
        entries = ADAPTER.validate_json(json.dumps(content["entry"]))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(f"{path.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error
    except (OSError, KeyError, ValueError) as error:
        raise UsageError(f"{path.name} is no list of [[entry]]: {error}.") from error
    if twice := [name for name, count in Counter(e.name for e in entries).items() if count > 1]:
        raise UsageError(f"{path.name} has two entries called {twice[0]}.")
    return entries


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """One document laid over another: dictionaries key by key, all else replaced."""
    both = {**base, **over}
    for key in base.keys() & over.keys():
        if isinstance(base[key], Mapping) and isinstance(over[key], Mapping):
            both[key] = merged(base[key], over[key])
    return both
