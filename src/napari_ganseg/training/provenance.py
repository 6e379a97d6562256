"""What a finished training says about itself: where its weights come from, and what its adversary did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from napari_ganseg import __version__
from napari_ganseg.models import Model
from napari_ganseg.models.card import Adversary, Card
from napari_ganseg.training.cases import Case
from napari_ganseg.training.config import Split, TrainConfig
from napari_ganseg.training.split import FEW, held_out_in_words, is_by_slices
from napari_ganseg.volume import Volume

LEAST_SHARE, LEAST_RATIO = 0.5, 0.01  # of the steps after warm-up, of the segmentation's gradient: less is idle


@dataclass(frozen=True, slots=True)
class Place:
    """Where a training runs and what it starts from.

    Attributes:
        folder: for checkpoints and progress; None keeps nothing on the way.
        data, command: what the card shall say.
        parent: the model whose weights it starts from.
        encoder_weights: "imagenet" or a file, for a generator on a ResNet encoder.
        unlabelled: images that join without labels.
        may_download: whether ImageNet weights may be fetched.
    """

    folder: Path | None = None
    device: str = "auto"
    data: str = ""
    command: str = ""
    parent: Model | None = None
    encoder_weights: str = ""
    may_download: bool = False
    unlabelled: Sequence[Volume] = ()


def finished(
    config: TrainConfig, place: Place, training: Sequence[Case], validation: Sequence[Case], facts: dict[str, Any]
) -> Card:
    """The card with its provenance."""
    provenance = replace(
        config.card.provenance,
        data=config.card.provenance.data or place.data,
        split=split_in_words(config.split, training, validation),
        command=place.command,
        seed=config.seed,
        created=datetime.now(UTC).strftime("%Y-%m-%d"),
        plugin=__version__,
        parent_sha256=place.parent.sha256 or None if place.parent else config.card.provenance.parent_sha256,
        metrics={
            "validation_dice": round(taken_dice(facts), 4),
            "steps": facts["step"],
            "minutes": round(facts["seconds"] / 60, 1),
        },
    )
    return replace(config.card, provenance=provenance, adversary=verdict(config, facts))


def taken_dice(facts: dict[str, Any]) -> float:
    """Validation Dice of the weights that were taken."""
    return float(facts.get("best_classes", {}).get("dice", facts["best"]))


def verdict(config: TrainConfig, facts: dict[str, Any]) -> Adversary:
    """What the adversary did; whether it helped, only a comparison at equal steps can say."""
    if config.adversary.weight == 0:
        return Adversary(verdict="supervised")
    after = max(1, facts["step"] - round(config.adversary.warm_up * config.steps))
    share, ratio = min(1.0, facts["spoke"] / after), float(np.median(facts["ratios"])) if facts["ratios"] else None
    took_part = share >= LEAST_SHARE and ratio is not None and LEAST_RATIO <= ratio <= config.adversary.limits.ratio
    return Adversary(
        verdict="adversarial" if took_part else "supervised",
        lambda_share=round(share, 4),
        auroc=None if facts["auroc"] is None else round(facts["auroc"], 4),
        gradient_ratio=None if ratio is None else round(ratio, 5),
        dice_with=round(taken_dice(facts), 4),
    )


def split_in_words(split: Split, training: Sequence[Case], validation: Sequence[Case]) -> str:
    """How the cases were divided."""
    if is_by_slices(training, validation):
        return f"1 case; its {held_out_in_words(training, validation)} validate and were not learnt from"
    counts = f"{len(training)} training, {len(validation)} validation cases"
    if len(training) + len(validation) < FEW:
        return f"{counts}, chosen by sha256(name)"
    return (
        f"{counts}; folds {list(split.validation)} of sha256(name) % 5 validate, "
        f"folds {list(split.held_out)} are held out"
    )
