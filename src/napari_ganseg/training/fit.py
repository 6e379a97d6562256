"""The loop: steps, validation by the real inference, checkpoints, and the best average as a model."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from napari_ganseg import __version__
from napari_ganseg.errors import ComputeError
from napari_ganseg.inference.device import choose_device
from napari_ganseg.inference.engine import Settings, compute_error, segmentation
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.metrics import evaluate
from napari_ganseg.models import Model
from napari_ganseg.models.card import Card
from napari_ganseg.networks import build_generator, fill_weights, weights_of
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.training.cases import Case, divide
from napari_ganseg.training.checkpoint import load_state, save_state
from napari_ganseg.training.config import TrainConfig, config_to_json
from napari_ganseg.training.samples import Prepared, batch, prepare
from napari_ganseg.training.step import State, train_step

PROGRESS = "progress.jsonl"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a training runs: its folder (None keeps nothing on the way), its device, and what the card shall say."""

    folder: Path | None = None
    device: str = "auto"
    data: str = ""
    command: str = ""


def fit(cases: Sequence[Case], config: TrainConfig, place: Place | None = None) -> Run[Model]:
    """Train a model.

    Iterate for Progress (figures: loss, dice, best); `.result` is the Model with the best validation Dice. `.stop()`
    ends at the next step and keeps the best so far. With a folder, a killed training resumes where its last checkpoint is.

    Raises:
        UsageError: nothing to train on. ComputeError: the loss is not finite, or torch failed.
    """
    return Run(lambda controls: loop(cases, config, place or Place(), controls))


def loop(
    cases: Sequence[Case], config: TrainConfig, place: Place, controls: Controls
) -> Generator[Progress, None, Model]:
    """Prepare, then alternate training and validation until the steps are done."""
    training, validation = divide(cases, config.split)
    yield Progress(0, config.steps, f"preparing {len(training)} training and {len(validation)} validation cases")
    prepared = [prepare(case, config.card) for case in training]
    device = choose_device(place.device)
    state, best = begin(config, device)
    facts = resume(place.folder, config, state, best) or {"step": 0, "best": -1.0, "seconds": 0.0}
    try:
        while facts["step"] < config.steps and not controls.is_stopping:
            yield from stretch(prepared, config, state, facts, controls)
            score = dice(validation or training[:4], config.card, state.average)
            if score >= facts["best"]:
                facts["best"] = score
                fill_weights(best, weights_of(state.average))
            keep(place.folder, state, best, facts)
            yield Progress(facts["step"], config.steps, "validated", {"dice": score, "best": facts["best"]})
    except RuntimeError as error:
        raise compute_error(error) from error
    card = finished(config, place, training, validation, facts)
    return Model(card, best.cpu().eval(), "")


def begin(config: TrainConfig, device: torch.device) -> tuple[State, nn.Module]:
    """Seeded fresh weights, without touching anyone else's random numbers; and a place for the best."""
    card = config.card
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        generator = build_generator(
            card.arch, dims=card.dims, in_channels=len(card.channels), out_channels=card.out_channels
        )
    state = State.start(generator.to(device), config)
    best = build_generator(card.arch, dims=card.dims, in_channels=len(card.channels), out_channels=card.out_channels)
    fill_weights(best, weights_of(state.average))
    return state, best


def stretch(
    prepared: Sequence[Prepared], config: TrainConfig, state: State, facts: dict[str, Any], controls: Controls
) -> Generator[Progress, None, None]:
    """Train up to the next validation."""
    device = next(state.generator.parameters()).device
    end = min(config.steps, (facts["step"] // config.validate_every + 1) * config.validate_every)
    began, seconds = time.monotonic(), facts["seconds"]
    for step in range(facts["step"], end):
        controls.check()
        image, target = batch(prepared, config.card, config.augmentation, config.seed, step, config.batch_size)
        loss = train_step(state, image.to(device), target.to(device), config, step)
        if not np.isfinite(loss):
            raise ComputeError(f"The loss is not finite at step {step}. Lower the learning rate, or check the images.")
        facts |= {"step": step + 1, "loss": loss, "seconds": seconds + time.monotonic() - began}
        yield Progress(step + 1, config.steps, "training", {"loss": loss})
        if controls.is_stopping:
            return


def dice(cases: Sequence[Case], card: Card, network: nn.Module) -> float:
    """Mean Dice of cases segmented as a user would; a class that only one of both holds counts as 0."""
    model = Model(card, network.eval(), "")
    device = str(next(network.parameters()).device)
    scores = [
        evaluate(segmentation(c.image, model, Settings(device=device)).result, c.annotation.labels).mean_dice
        for c in cases
    ]
    network.to(device)
    return float(np.mean([s for s in scores if s is not None] or [0.0]))


def resume(folder: Path | None, config: TrainConfig, state: State, best: nn.Module) -> dict[str, Any] | None:
    """Go on from the folder's newest checkpoint, or set the folder up."""
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / "config.json", config_to_json(config))
    return load_state(
        folder, {"generator": state.generator, "average": state.average, "best": best}, {"optimiser": state.optimiser}
    )


def keep(folder: Path | None, state: State, best: nn.Module, facts: dict[str, Any]) -> None:
    """Write a checkpoint and a line of progress."""
    if folder is None:
        return
    modules = {"generator": state.generator, "average": state.average, "best": best}
    save_state(folder, modules, {"optimiser": state.optimiser}, facts)
    with open(folder / PROGRESS, "a", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")


def finished(
    config: TrainConfig, place: Place, training: Sequence[Case], validation: Sequence[Case], facts: dict[str, Any]
) -> Card:
    """The card with its provenance."""
    split = config.split
    words = f"{len(training)} training, {len(validation)} validation cases; folds {list(split.validation)} of sha256(name) % 5 " \
            f"validate, folds {list(split.held_out)} are held out"  # fmt: skip
    provenance = replace(
        config.card.provenance,
        data=place.data or config.card.provenance.data,
        split=words,
        command=place.command,
        seed=config.seed,
        created=datetime.now(UTC).strftime("%Y-%m-%d"),
        plugin=__version__,
        metrics={
            "validation_dice": round(facts["best"], 4),
            "steps": facts["step"],
            "minutes": round(facts["seconds"] / 60, 1),
        },
    )
    return replace(config.card, provenance=provenance)
