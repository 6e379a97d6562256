"""The card: everything a model says about itself, as one strict JSON document."""

from __future__ import annotations

import json
import re
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from napari_ganseg.errors import ModelError
from napari_ganseg.intensity import INTENSITIES, Intensity
from napari_ganseg.networks import Arch
from napari_ganseg.volume import LabelClass

MAX_BYTES = 64 * 2**10
MAX_DEPTH = 8
STRICT = ConfigDict(extra="forbid", strict=True)
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=NAME)]
Text = Annotated[str, Field(max_length=4000)]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
Millimetres = Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, config=STRICT)
class CardClass:
    """One class, in the order of the network's channels; background (channel 0) is not listed."""

    value: Annotated[int, Field(ge=1, le=2**31 - 1)]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    colour: Colour


@dataclass(frozen=True, config=STRICT)
class Preprocessing:
    """Which of `napari_ganseg.intensity` prepares the voxels, and its numbers."""

    kind: Literal["ct_window", "z_score", "unit_range"]
    args: dict[str, Annotated[float, Field(allow_inf_nan=False)]]

    def __post_init__(self) -> None:
        try:
            self.intensity()
        except TypeError as error:
            raise ValueError(f"{self.kind} does not take the numbers {', '.join(self.args) or '(none)'}") from error

    def intensity(self) -> Intensity:
        """The step itself."""
        return INTENSITIES[self.kind](**self.args)


@dataclass(frozen=True, config=STRICT)
class Postprocessing:
    """What happens to the finished labels: `largest_component` lists values of which one piece is kept."""

    largest_component: tuple[int, ...] = ()


@dataclass(frozen=True, config=STRICT)
class FieldOfView:
    """What the model expects to see: words, and the extent in millimetres along (z, y, x) or (y, x)."""

    region: Text
    least_mm: tuple[Millimetres, ...]
    most_mm: tuple[Millimetres, ...]


@dataclass(frozen=True, config=STRICT)
class Probe:
    """A seeded input and the probabilities the network gave for it: proof that it computes what it did when saved."""

    seed: int
    shape: tuple[Annotated[int, Field(ge=8, le=256)], ...]
    probabilities: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1, max_length=64)]


@dataclass(frozen=True, config=STRICT)
class Provenance:
    """Where the weights come from; empty on the draft of a model that is not trained yet."""

    data: Text = ""
    split: Text = ""
    command: Text = ""
    seed: int = 0
    created: Annotated[str, Field(max_length=40)] = ""
    plugin: Annotated[str, Field(max_length=40)] = ""
    metrics: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = field(default_factory=dict)
    parent_sha256: Sha256 | None = None


@dataclass(frozen=True, config=STRICT)
class Adversary:
    """What the discriminator did during training.

    Attributes:
        verdict: "adversarial" when it took part and the result is no worse, else "supervised".
        lambda_share: share of the steps after warm-up with a positive weight.
        auroc: the discriminator's, on held-out hard maps.
        gradient_ratio: median of lambda * |adversarial gradient| / |segmentation gradient| at the last layer.
        dice_with, dice_without: validation Dice of both at equal steps.
    """

    verdict: Literal["adversarial", "supervised"] = "supervised"
    lambda_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    auroc: Annotated[float, Field(ge=0, le=1)] | None = None
    gradient_ratio: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    dice_with: Annotated[float, Field(ge=0, le=1)] | None = None
    dice_without: Annotated[float, Field(ge=0, le=1)] | None = None


@dataclass(frozen=True, config=STRICT)
class Card:
    """A model's own description; `card.name` is its file's name without `.ganseg.safetensors`.

    Attributes:
        dims: 2 or 3.
        classes: foreground classes in channel order; channel 0 is background.
        channels: what each input channel is, for example ("T1",).
        spacing: millimetres along (z, y, x) or (y, x) at which the network works.
        patch: voxels of the tiles it was trained on, in the same order.
        licence: SPDX, of the weights; `data_licence` of what they were trained on.
        about: free text for people; nothing reads it.
    """

    name: Name
    summary: Text
    modality: Literal["CT", "MR", "picture", "any"]
    arch: Arch
    dims: Literal[2, 3]
    classes: Annotated[tuple[CardClass, ...], Field(min_length=1, max_length=1023)]
    channels: Annotated[tuple[str, ...], Field(min_length=1, max_length=16)]
    preprocessing: Preprocessing
    spacing: tuple[Millimetres, ...]
    patch: tuple[Annotated[int, Field(ge=1, le=1024)], ...]
    field_of_view: FieldOfView
    licence: Annotated[str, Field(max_length=100)]
    data_licence: Text = ""
    citations: tuple[Text, ...] = ()
    about: Text = ""
    postprocessing: Postprocessing = field(default_factory=Postprocessing)
    provenance: Provenance = field(default_factory=Provenance)
    adversary: Adversary = field(default_factory=Adversary)
    probe: Probe | None = None
    activation: Literal["softmax"] = "softmax"
    format: Literal[1] = 1

    def __post_init__(self) -> None:
        view = self.field_of_view
        per_axis = (self.spacing, self.patch, view.least_mm, view.most_mm, *self.arch.strides)
        if any(len(numbers) != self.dims for numbers in per_axis):
            raise ValueError(f"a {self.dims}D model gives {self.dims} numbers for spacing, patch, view and strides")
        values = {c.value for c in self.classes}
        if len(values) != len(self.classes):
            raise ValueError("two classes have the same value")
        if not values.issuperset(self.postprocessing.largest_component):
            raise ValueError("largest_component names a value that is no class")

    @property
    def out_channels(self) -> int:
        """Channels of the network's output, background included."""
        return len(self.classes) + 1

    @property
    def label_classes(self) -> tuple[LabelClass, ...]:
        """The classes as a label map carries them."""
        return tuple(LabelClass(c.value, c.name, c.colour) for c in self.classes)


ADAPTER = TypeAdapter(Card)


def is_model_name(name: str) -> bool:
    """Whether a model may be called so: the name is a file's on every system."""
    return len(name) <= 64 and re.fullmatch(NAME, name) is not None


def card_to_json(card: Card) -> bytes:
    """The canonical bytes: sorted keys, no spaces, ASCII."""
    content = ADAPTER.dump_python(card, mode="json")
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def card_from_json(text: bytes) -> Card:
    """Understand a card, or refuse it.

    Raises:
        ModelError: too long, too deep, a key twice, a number that is none, an unknown key, or a value out of bounds.
    """
    if len(text) > MAX_BYTES:
        raise ModelError(f"its card is {len(text):,} bytes long; the limit is {MAX_BYTES:,}.")
    try:
        check_depth(strict_json(text))
        return ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "card"
        raise ModelError(f"its card is not valid: {where}: {first['msg']}.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"its card is not valid JSON ({error}).") from error


def strict_json(text: bytes) -> Any:
    """Parse JSON without the liberties Python's parser takes: no NaN, no key twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if len(set(keys)) != len(keys):
            raise ValueError(f"the key {max(keys, key=keys.count)!r} stands twice")
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a number")

    return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)


def check_depth(content: Any, depth: int = 1) -> None:
    """Raise ValueError where a document nests deeper than a card does."""
    if depth > MAX_DEPTH:
        raise ValueError(f"it nests deeper than {MAX_DEPTH} levels")
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        for item in content:
            check_depth(item, depth + 1)
