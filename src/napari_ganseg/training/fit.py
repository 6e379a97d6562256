"""The loop: steps, validation by the real inference, checkpoints, and the best average as a model."""

from __future__ import annotations

import copy
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
from napari_ganseg.metrics import evaluate
from napari_ganseg.models import Model
from napari_ganseg.models.card import Card
from napari_ganseg.networks import build_generator, fill_weights, weights_of
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.training.cases import Case, check_cases
from napari_ganseg.training.checkpoint import load_state, save_state
from napari_ganseg.training.config import Split, TrainConfig
from napari_ganseg.training.run_folder import note_progress, open_folder
from napari_ganseg.training.samples import Prepared, batch, prepare
from napari_ganseg.training.split import divide
from napari_ganseg.training.step import State, train_step
from napari_ganseg.volume import Annotation, LabelMap


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
    ends at the next step and keeps the best so far. With a folder, a killed training goes on from its last checkpoint.

    Raises:
        UsageError: nothing to train on. ComputeError: the loss is not finite, or torch failed.
    """
    return Run(lambda controls: loop(cases, config, place or Place(), controls))


def loop(
    cases: Sequence[Case], config: TrainConfig, place: Place, controls: Controls
) -> Generator[Progress, None, Model]:
    """Prepare, then alternate training and validation until the steps are done."""
    check_cases(cases, config.card)
    training, validation = divide(cases, config.split)
    yield Progress(0, config.steps, f"preparing {len(training)} training and {len(validation)} validation cases")
    prepared = [prepare(case, config.card) for case in training]
    device = choose_device(place.device)
    state, best = begin(config, device)
    facts: dict[str, Any] = {"step": 0, "best": -1.0, "seconds": 0.0}
    if place.folder is not None:
        open_folder(place.folder, config, training, validation)
        facts = load_state(place.folder, state.modules | {"best": best}, state.optimisers) or facts
    try:
        while facts["step"] < config.steps and not (controls.is_stopping and facts["step"]):
            yield from stretch(prepared, config, state, facts, controls)
            score = dice(validation, config.card, state.average, controls)
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
    generator = build_generator(
        card.arch, dims=card.dims, in_channels=len(card.channels), out_channels=card.out_channels, seed=config.seed
    )
    best = copy.deepcopy(generator)
    return State.start(generator.to(device), config), best.requires_grad_(False)


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


def dice(cases: Sequence[Case], card: Card, network: nn.Module, controls: Controls) -> float:
    """Mean Dice of cases segmented as a user would, where they are annotated."""
    model = Model(card, network.eval(), "")
    device = str(next(network.parameters()).device)
    scores = []
    for case in cases:
        run = segmentation(case.image, model, Settings(device=device))
        for _ in run:
            controls.check()
        scores.append(case_dice(run.result, case.annotation))
    return float(np.mean([s for s in scores if s is not None] or [0.0]))


def case_dice(labels: LabelMap, truth: Annotation) -> float | None:
    """Mean Dice over the classes that somebody contoured, inside what is known; None where there are none."""
    known = truth.known.astype(np.uint8)
    scores = evaluate(labels.derive(array=labels.array * known), truth.labels.derive(array=truth.labels.array * known))
    dices = [s.dice for value, s in scores.per_class.items() if value not in truth.missing and s.dice is not None]
    return float(np.mean(dices)) if dices else None


def keep(folder: Path | None, state: State, best: nn.Module, facts: dict[str, Any]) -> None:
    """Write a checkpoint and a line of progress."""
    if folder is not None:
        save_state(folder, state.modules | {"best": best}, state.optimisers, facts)
        note_progress(folder, facts)


def finished(
    config: TrainConfig, place: Place, training: Sequence[Case], validation: Sequence[Case], facts: dict[str, Any]
) -> Card:
    """The card with its provenance."""
    provenance = replace(
        config.card.provenance,
        data=place.data or config.card.provenance.data,
        split=split_in_words(config.split, training, validation),
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


def split_in_words(split: Split, training: Sequence[Case], validation: Sequence[Case]) -> str:
    """How the cases were divided."""
    if training[0].name == validation[0].name:
        return f"1 case; its last {validation[0].image.shape[0]} slices validate and were not learnt from"
    return (
        f"{len(training)} training, {len(validation)} validation cases; folds {list(split.validation)} of "
        f"sha256(name) % 5 validate, folds {list(split.held_out)} are held out"
    )
