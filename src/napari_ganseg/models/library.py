"""The library: models that came with the plugin, and the user's own, by name."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from platformdirs import user_data_path

from napari_ganseg.errors import ModelError
from napari_ganseg.io.names import shown
from napari_ganseg.models.card import Card
from napari_ganseg.models.file import SUFFIX, Model, load_model, read_card

SHIPPED = Path(__file__).parent / "shipped"
PINS = SHIPPED / "sha256.json"


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model file in the library: its card, or why it cannot be used."""

    path: Path
    card: Card | None
    fault: str = ""


def model_folders() -> list[Path]:
    """Where models are looked for, the first find of a name wins.

    The plugin's own folder, those in the environment variable GANSEG_MODELS, the user's data folder.
    """
    extra = os.environ.get("GANSEG_MODELS", "")
    return [SHIPPED, *[Path(p) for p in extra.split(os.pathsep) if p], user_models()]


def user_models() -> Path:
    """The folder for the user's own models; it need not exist."""
    return Path(user_data_path("napari-ganseg", appauthor=False)) / "models"


def search_models(folder: str | Path | None = None) -> list[FoundModel]:
    """Every model file of the library and of one more folder, damaged ones with their fault."""
    folders = model_folders() + ([Path(folder)] if folder else [])
    paths: dict[str, Path] = {}
    for place in folders:
        for path in sorted(place.glob("*" + SUFFIX)) if place.is_dir() else []:
            paths.setdefault(path.name, path)
    return [found(path) for path in paths.values()]


def found(path: Path) -> FoundModel:
    """One file's card or fault."""
    try:
        return FoundModel(path, read_card(path))
    except ModelError as error:
        return FoundModel(path, None, str(error))


def list_models(folder: str | Path | None = None) -> list[Card]:
    """Cards of every usable model: those that came with the plugin first, then the user's."""
    return [model.card for model in search_models(folder) if model.card is not None]


def find_model(name: str | Path, folder: str | Path | None = None) -> Model:
    """Load a model by its name in the library, or by its path.

    Raises:
        ModelError: there is none of that name (the message lists those there are), or it cannot be trusted.
    """
    return load_trusted(find_path(name, folder))


def find_card(name: str | Path, folder: str | Path | None = None) -> Card:
    """Only the card of a model, without torch; raises as `find_model` does."""
    return read_card(find_path(name, folder))


def find_path(name: str | Path, folder: str | Path | None = None) -> Path:
    """The file of a model by its name or path."""
    if Path(name).name.endswith(SUFFIX):
        return Path(name)
    models = search_models(folder)
    for model in models:
        if model.path.name == f"{name}{SUFFIX}":
            return model.path
    names = ", ".join(m.card.name for m in models if m.card) or "none"
    raise ModelError(
        f'There is no model "{name}". Models found: {names}. Give one of these, or the path of a {SUFFIX} file.'
    )


def load_trusted(path: Path) -> Model:
    """Load a model, comparing a shipped one with the list in the wheel; the last few stay in memory."""
    try:
        status = path.stat()
    except OSError:
        return load_model(path)
    return remembered(path.absolute(), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def remembered(path: Path, mtime_ns: int, size: int) -> Model:
    """A model as long as its file stays the same."""
    if path.parent != SHIPPED:
        return load_model(path)
    sha256 = pins().get(path.name)
    if sha256 is None:
        raise ModelError(f"Cannot load {shown(path)}: it is not one of the models that came with the plugin.")
    return load_model(path, file_sha256=sha256)


def pins() -> dict[str, str]:
    """SHA-256 of every shipped model's file, by its name; none where the list is missing or damaged."""
    try:
        return dict(json.loads(PINS.read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}
