"""The models chosen for a batch: found and hashed at once, loaded (with torch) when the first case needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_ganseg.batch.record import Hashed, sha256_of
from napari_ganseg.errors import ModelError, UsageError
from napari_ganseg.io.names import shown
from napari_ganseg.models import Card, Model, find_card, find_model
from napari_ganseg.models.library import find_path

Names = str | Path | Sequence[str | Path]


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """A model's file, its card, and the SHA-256 of the whole file."""

    path: Path
    card: Card
    sha256: str

    @property
    def hashed(self) -> Hashed:
        """As a record keeps it."""
        return Hashed(self.card.name, self.sha256)


def choose(names: Names) -> tuple[ChosenModel, ...]:
    """Find one or several models by name or path, without torch.

    Raises:
        ModelError: there is none of that name, or it is damaged.
        UsageError: none is given, one is given twice, or they want different numbers of channels.
    """
    several = [names] if isinstance(names, str | Path) else list(names)
    if not all(isinstance(name, str | Path) for name in several):
        raise UsageError("A batch takes models by name or by the path of their file; save a loaded model first.")
    chosen = tuple(chosen_model(find_path(name)) for name in several)
    if not chosen:
        raise UsageError("Give at least one model.")
    if len({model.sha256 for model in chosen}) < len(chosen):
        raise UsageError("A model is given twice.")
    if len({len(model.card.channels) for model in chosen}) > 1:
        wants = ", ".join(f"{m.card.name} {len(m.card.channels)}" for m in chosen)
        raise UsageError(f"These models want different numbers of channels ({wants}); run one batch for each.")
    return chosen


def chosen_model(path: Path) -> ChosenModel:
    """A model's card and hash."""
    return ChosenModel(path, find_card(path), sha256_of(path))


def load(chosen: Sequence[ChosenModel]) -> list[Model]:
    """Load the models that were hashed.

    Raises:
        ModelError: one is damaged, or was replaced since it was hashed.
    """
    return [load_one(model.path, model.sha256) for model in chosen]


def load_one(path: Path, sha256: str) -> Model:
    """Load the model of a file that shall have a certain SHA-256; raises as `load` does."""
    model = find_model(path)
    if sha256_of(path) != sha256:
        raise ModelError(f"{shown(path)} was replaced while the batch began; start the batch again.")
    return model
