"""The configuration of a training: the draft of the model's card, the schedule, the split and the augmentation."""

from __future__ import annotations

import hashlib
import json
from dataclasses import field, replace
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from napari_ganseg.errors import UsageError
from napari_ganseg.models.card import STRICT, Card, check_depth, strict_json
from napari_ganseg.networks import divisor
from napari_ganseg.networks.discriminator import DiscriminatorArch
from napari_ganseg.training.guards import Limits

Share = Annotated[float, Field(ge=0, le=1)]
MAX_CLASSES = 254
Count = Annotated[int, Field(ge=1, le=10_000_000)]


@dataclass(frozen=True, config=STRICT)
class Split:
    """Which cases learn, which decide, which are never touched: by `fold_of` their name, 0 to 4.

    Attributes:
        held_out: folds that are left out altogether, for a test later.
        validation: folds that choose the best weights.
        patient_until: what stands before this in a file name is the patient, whose cases stay together.
    """

    held_out: tuple[Annotated[int, Field(ge=0, le=4)], ...] = ()
    validation: tuple[Annotated[int, Field(ge=0, le=4)], ...] = (1,)
    patient_until: Annotated[str, Field(max_length=40)] = ""

    def fold_of(self, name: str) -> int:
        """Fold 0 to 4 of a case, by its file name or its patient."""
        return fold_of(name.split(self.patient_until)[0] if self.patient_until else name)


@dataclass(frozen=True, config=STRICT)
class Augmentation:
    """How training images are varied; all angles in degrees, all probabilities per sample.

    Attributes:
        affine: probability of a rotation up to `rotate` and a scaling up to `scale`, labels by nearest neighbour.
        in_plane: rotate about the first axis alone and leave its scale, so that a plane across it stays one.
        flip_axes: axes that may be mirrored; only where left and right are not classes of their own.
        sides: pairs of class values (right, left) that change places when the last axis is mirrored, as half of the
            samples then are; a class in the middle needs no pair.
        couch: probability of a couch drawn behind the body, for CT that was cut out along the skin.
        noise, smooth, contrast, bias, low_resolution: probabilities of each change of intensity.
    """

    affine: Share = 0.5
    in_plane: bool = False
    rotate: Annotated[float, Field(ge=0, le=180)] = 15.0
    scale: Annotated[float, Field(ge=0, le=0.9)] = 0.15
    flip_axes: tuple[Annotated[int, Field(ge=0, le=2)], ...] = ()
    sides: tuple[tuple[int, int], ...] = ()
    couch: Share = 0.0
    noise: Share = 0.15
    smooth: Share = 0.1
    contrast: Share = 0.3
    bias: Share = 0.0
    low_resolution: Share = 0.0


@dataclass(frozen=True, config=STRICT)
class Adversary:
    """The discriminator and when it speaks; all times are shares of the steps.

    Attributes:
        weight: lambda at full strength; 0 trains the same network without an adversary.
        planes: judge single planes across the first axis, for cases of which only slices are annotated.
        begin: when the discriminator starts to learn.
        warm_up: until when the generator learns from the labels alone.
        ramp: how long lambda then takes to rise to `weight`.
        learning_rate: of the discriminator's Adam.
    """

    weight: Annotated[float, Field(ge=0, le=10)] = 0.0
    planes: bool = False
    arch: DiscriminatorArch = field(default_factory=DiscriminatorArch)
    begin: Share = 0.1
    warm_up: Share = 0.2
    ramp: Annotated[float, Field(gt=0, le=1)] = 0.2
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 5e-4
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, config=STRICT)
class Unlabelled:
    """What images without labels add to a training; where both weights are 0, nothing.

    The second discriminator never sees an image; it begins, warms up, rises and is guarded as `Adversary` says. A
    network that has just begun is a poor teacher: by default it speaks late, and only of what it is sure of.

    Attributes:
        consistency: mu at full strength: how much the generator learns from its own average (mean teacher).
        threshold: the average's largest probability, above which a voxel counts.
        ramp: share of the steps over which mu rises to `consistency`.
        cut_mix: share of a patch that is taken from another one; 0 mixes nothing.
        strong: share of the student's views that have each change of intensity, at the least.
        adversary: lambda of the second discriminator at full strength.
        learning_rate: of its Adam.
    """

    consistency: Annotated[float, Field(ge=0, le=10)] = 0.0
    threshold: Share = 0.95
    ramp: Annotated[float, Field(gt=0, le=1)] = 0.9
    cut_mix: Share = 0.35
    strong: Share = 0.0
    adversary: Annotated[float, Field(ge=0, le=10)] = 0.0
    arch: DiscriminatorArch = field(default_factory=DiscriminatorArch)
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-4

    @property
    def is_used(self) -> bool:
        """Whether images without labels are needed at all."""
        return self.consistency > 0 or self.adversary > 0


@dataclass(frozen=True, config=STRICT)
class TrainConfig:
    """Everything that decides a training, together with the data.

    Attributes:
        card: the model as it shall be; its provenance is filled in by the training.
        steps: updates of the generator.
        validate_every: steps between validations and checkpoints.
        fill: whether shapes are interpolated between slices that alone are annotated.
        patience: validations in a row without a rise that end the training; 0 goes through all steps.
        learning_rate: of AdamW, falling to zero as (1 - step / steps) ** 0.9.
        ema: weight of the old average; validation and the finished model use the average.
        class_weights: of the cross-entropy, background first; empty for equal ones.
        tolerance: Dice below the best that a later validation may have and still be taken: where little is held out,
            the best is a matter of luck, and later weights have learnt at a lower rate.
        precision: "auto" uses bfloat16 where the processor computes it natively.
    """

    card: Card
    steps: Count = 2000
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 2
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-5
    clip_norm: Annotated[float, Field(gt=0)] = 12.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.99
    validate_every: Count = 250
    fill: bool = False
    patience: Annotated[int, Field(ge=0, le=1000)] = 0
    seed: int = 0
    class_weights: tuple[Annotated[float, Field(gt=0, le=1000)], ...] = ()
    tolerance: Share = 0.0
    precision: Literal["auto", "float32"] = "auto"
    split: Split = field(default_factory=Split)
    augmentation: Augmentation = field(default_factory=Augmentation)
    adversary: Adversary = field(default_factory=Adversary)
    unlabelled: Unlabelled = field(default_factory=Unlabelled)

    def __post_init__(self) -> None:
        card, steps = self.card, divisor(self.card.arch)
        if len(card.classes) > MAX_CLASSES:
            raise ValueError(f"training takes at most {MAX_CLASSES} classes, since 255 marks unknown voxels")
        if any(size % d for size, d in zip(card.patch, steps, strict=True)) or card.patch == steps:
            raise ValueError(f"the patch {card.patch} must be a multiple of the network's strides {steps}, and larger")
        if self.class_weights and len(self.class_weights) != card.out_channels:
            raise ValueError(
                f"{card.out_channels} class weights are needed, background first, not {len(self.class_weights)}"
            )
        if any(axis >= card.dims for axis in self.augmentation.flip_axes):
            raise ValueError(f"a {card.dims}D image has the axes 0 to {card.dims - 1}; flip_axes names another")
        if unknown := {v for pair in self.augmentation.sides for v in pair} - {c.value for c in card.classes}:
            raise ValueError(f"sides names the values {sorted(unknown)}, which are no classes of the model")
        if self.augmentation.couch and (card.dims != 3 or card.preprocessing.kind != "ct_window"):
            raise ValueError("a couch is drawn only into 3D images with a CT window")
        if self.adversary.planes and card.dims != 3:
            raise ValueError("only a 3D model's adversary can judge planes")

    @property
    def variation(self) -> Augmentation:
        """The augmentation as it is done: it never tilts planes that the adversary judges, whatever its weight."""
        return replace(self.augmentation, in_plane=True) if self.adversary.planes else self.augmentation


ADAPTER = TypeAdapter(TrainConfig)


def config_to_json(config: TrainConfig) -> bytes:
    """The whole configuration, readable, every default written out."""
    return (json.dumps(ADAPTER.dump_python(config, mode="json"), indent=1, allow_nan=False) + "\n").encode()


def config_from_json(text: bytes) -> TrainConfig:
    """Understand a configuration; what it leaves out has its default.

    Raises:
        UsageError: naming the key that is unknown or out of bounds.
    """
    try:
        check_depth(strict_json(text))
        return ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "as a whole"
        raise UsageError(f"The configuration is not valid: {where}: {first['msg']}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"The configuration is not valid JSON ({error}).") from error


def fold_of(name: str) -> int:
    """Fold 0 to 4 of a case, from its image's file name: the same on every machine, whatever else is there."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 5
