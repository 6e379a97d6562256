"""What a training came to, for the person who decides: each class before and after, and whether it got better."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from napari_ganseg.errors import UsageError
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.io.names import shown
from napari_ganseg.models.card import STRICT
from napari_ganseg.training.files import OUTCOME

Dice = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, config=STRICT)
class ClassDice:
    """Dice of one class on the held-out cases or slices; None where nothing could be measured.

    Attributes:
        before: of the model that the training started from; None also where that does not know the class.
        after: of the new model.
    """

    value: int
    name: str
    before: Dice | None
    after: Dice | None


@dataclass(frozen=True, config=STRICT)
class Outcome:
    """The end of a training.

    Attributes:
        model: path of the new model's file; empty where none was made, since nothing had to be adapted.
        parent: name of the model it started from; empty for a training from scratch.
        held_out: what it was measured on, in words: "2 of 6 cases", "slices 31 to 40 of scan.nii.gz".
        classes: before and after, class by class.
        before, after: means over the classes that both could be measured on; `before` is None without a parent.
        is_better: whether the new model is worth taking; without a parent always.
        verdict: the same in a sentence.
        kept: what came along from the parent, or what an adaptation found before it trained, in words.
    """

    model: str
    parent: str
    held_out: str
    classes: tuple[ClassDice, ...]
    before: Dice | None
    after: Dice | None
    is_better: bool
    verdict: str
    kept: str = ""


ADAPTER = TypeAdapter(Outcome)


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Put it into the run folder."""
    write_bytes(folder / OUTCOME, (json.dumps(ADAPTER.dump_python(outcome, mode="json"), indent=1) + "\n").encode())


def read_outcome(folder: Path) -> Outcome:
    """The outcome of a finished run folder.

    Raises:
        UsageError: there is none, or it cannot be understood.
    """
    try:
        return ADAPTER.validate_json((folder / OUTCOME).read_bytes())
    except (OSError, ValidationError) as error:
        raise UsageError(f"{shown(folder)} holds no outcome of a training that can be read.") from error
