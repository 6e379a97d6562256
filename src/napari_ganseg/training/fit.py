"""The loop: steps, validation by the real inference, checkpoints, and the best average as a model."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_ganseg.errors import ComputeError
from napari_ganseg.inference.device import choose_device
from napari_ganseg.inference.engine import compute_error
from napari_ganseg.models import Model
from napari_ganseg.networks import build_generator, fill_weights, weights_of
from napari_ganseg.networks.discriminator import build_discriminator
from napari_ganseg.networks.pretrained import fill_encoder
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.training.cases import Case, check_cases
from napari_ganseg.training.checkpoint import load_state, save_state
from napari_ganseg.training.config import TrainConfig
from napari_ganseg.training.guards import Action, Seen
from napari_ganseg.training.provenance import Place, finished
from napari_ganseg.training.recovery import Snapshot, judge, recover
from napari_ganseg.training.run_folder import note_progress, open_folder
from napari_ganseg.training.samples import Prepared, batch, prepare
from napari_ganseg.training.split import divide
from napari_ganseg.training.start import start_from
from napari_ganseg.training.step import Figures, State, train_step
from napari_ganseg.training.validation import held_out_auroc, validate

log = logging.getLogger(__name__)


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
    state, best = begin(config, place, device)
    facts: dict[str, Any] = {"step": 0, "best": -1.0, "seconds": 0.0, "spoke": 0, "ratios": []}
    if place.folder is not None:
        open_folder(place.folder, config, training, validation)
        facts = load_state(place.folder, state.modules | {"best": best}, state.optimisers) or facts
        state.seen = Seen(**facts.get("seen", {}))
    try:
        while facts["step"] < config.steps and not (controls.is_stopping and facts["step"]):
            is_lost = yield from stretch(prepared, config, state, best, facts, controls)
            if is_lost:
                break
            score = validate(validation, config.card, state.average, controls, place.folder)
            if score >= facts["best"]:
                facts["best"] = score
                fill_weights(best, weights_of(state.average))
            keep(place.folder, state, best, facts)
            yield Progress(facts["step"], config.steps, "validated", {"dice": score, "best": facts["best"]})
    except RuntimeError as error:
        raise compute_error(error) from error
    if facts["best"] < 0:
        raise ComputeError("The loss was not a number from the start. Lower the learning rate, or check the images.")
    facts["auroc"] = held_out_auroc(state, validation, config)
    card = finished(config, place, training, validation, facts)
    return Model(card, best.cpu().eval(), "")


def begin(config: TrainConfig, place: Place, device: torch.device) -> tuple[State, nn.Module]:
    """Seeded fresh weights, or a parent's, without touching anyone else's random numbers; and a place for the best."""
    card = config.card
    generator = build_generator(
        card.arch, dims=card.dims, in_channels=len(card.channels), out_channels=card.out_channels, seed=config.seed
    )
    if place.parent is not None:
        log.warning("starting from %s: %s", place.parent.card.name, start_from(generator, card, place.parent))
    if place.encoder_weights:
        fill_encoder(generator, place.encoder_weights, may_download=place.may_download)
    best = copy.deepcopy(generator)
    discriminator = None
    if config.adversary.weight > 0:
        seen_channels = len(card.channels) + card.out_channels + 1  # image, one map per class, what is known
        discriminator = build_discriminator(
            config.adversary.arch, dims=card.dims, in_channels=seen_channels, seed=config.seed + 1
        ).to(device)
    return State.start(generator.to(device), config, discriminator), best.requires_grad_(False)


def stretch(
    prepared: Sequence[Prepared],
    config: TrainConfig,
    state: State,
    best: nn.Module,
    facts: dict[str, Any],
    controls: Controls,
) -> Generator[Progress, None, bool]:
    """Train up to the next validation; True when the guards gave the training up."""
    device = next(state.generator.parameters()).device
    end = min(config.steps, (facts["step"] // config.validate_every + 1) * config.validate_every)
    began, seconds = time.monotonic(), facts["seconds"]
    snapshot = Snapshot(state)
    for step in range(facts["step"], end):
        controls.check()
        samples = batch(prepared, config.card, config.augmentation, config.seed, step, config.batch_size)
        figures = train_step(state, samples.to(device), config, step)
        action = judge(state, figures, config.adversary.limits)
        if action is not Action.GO_ON:
            log.warning("step %d: %s", step, action.value)
            recover(action, state, snapshot, best)
        note(facts, figures, state, step, seconds + time.monotonic() - began)
        yield Progress(step + 1, config.steps, "training", shown(figures))
        if action is Action.STOP:
            return True
        if controls.is_stopping:
            break
    return False


def note(facts: dict[str, Any], figures: Figures, state: State, step: int, seconds: float) -> None:
    """Bring the facts up to date: what a checkpoint keeps and the card will say."""
    facts |= {"step": step + 1, "loss": figures.loss, "seconds": seconds, "seen": asdict(state.seen)}
    facts["spoke"] += int(figures.weight > 0)
    if figures.ratio is not None:
        facts["ratios"].append(round(figures.ratio, 5))


def shown(figures: Figures) -> dict[str, float]:
    """Figures for whoever watches: those of the adversary only where there is one."""
    wanted = {
        "loss": figures.loss,
        "lambda": figures.weight,
        "d_loss": figures.discriminator,
        "d_accuracy": figures.accuracy,
    }
    return {name: value for name, value in wanted.items() if value is not None and (value or name == "loss")}


def keep(folder: Path | None, state: State, best: nn.Module, facts: dict[str, Any]) -> None:
    """Write a checkpoint and a line of progress."""
    if folder is not None:
        save_state(folder, state.modules | {"best": best}, state.optimisers, facts)
        note_progress(folder, facts)
