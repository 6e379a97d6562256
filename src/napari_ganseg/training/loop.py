"""The loop: steps, validation by the real inference, checkpoints, and the best average as a model."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import nn

from napari_ganseg.errors import ComputeError
from napari_ganseg.heap import keeping
from napari_ganseg.inference.computing import compute_error
from napari_ganseg.models import Card, Model, find_model
from napari_ganseg.models.card import CardClass
from napari_ganseg.networks import build_generator
from napari_ganseg.networks.pretrained import fill_encoder
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.training import ranks
from napari_ganseg.training.adversary import build_critic
from napari_ganseg.training.cases import Case, check_cases, good_cases, scan_folder
from napari_ganseg.training.checkpoint import load_state, save_state
from napari_ganseg.training.comparison import Trained, measured_parent
from napari_ganseg.training.config import TrainConfig
from napari_ganseg.training.facts import Facts, as_facts, fresh_facts, is_over, judge_progress, start_figures, trained
from napari_ganseg.training.filling import filled
from napari_ganseg.training.guards import Action, Seen
from napari_ganseg.training.material import Material, prepared_images
from napari_ganseg.training.planning import plan
from napari_ganseg.training.progress import noted
from napari_ganseg.training.provenance import Place, finished
from napari_ganseg.training.recovery import Snapshot, judge, recover
from napari_ganseg.training.run_folder import open_folder
from napari_ganseg.training.samples import prepare
from napari_ganseg.training.split import divide, held_out_in_words
from napari_ganseg.training.start import start_from
from napari_ganseg.training.step import Figures, State, train_step
from napari_ganseg.training.unlabelled import build_second
from napari_ganseg.training.validation import held_out_auroc, validate
from napari_ganseg.training.viewed import Viewed
from napari_ganseg.volume import Volume

log = logging.getLogger(__name__)


def fit(
    cases: Sequence[Case] | str | Path,
    config: TrainConfig | None = None,
    place: Place | None = None,
    *,
    start: str | Path | Model | None = None,
    unlabelled: Sequence[Volume] = (),
) -> Run[Model]:
    """Train a model.

    Iterate for Progress (figures: loss, dice, best); `.result` is the Model with the best validation Dice. `.stop()`
    ends at the next step and keeps the best so far. With a folder, a killed training goes on from its last checkpoint.

    Args:
        cases: labelled cases, or a folder of `images/` and `labels/`, or nnU-Net's `imagesTr/` and `labelsTr/`.
        config: everything that decides the training; planned from the cases where it is left out.
        place: where it runs.
        start: the model whose weights it starts from: a name that `list_models` shows, a file, or a loaded Model.
        unlabelled: images that join without labels, as the configuration's `unlabelled` says.

    Raises:
        UsageError: nothing to train on. ComputeError: the loss is not finite, or torch failed.
    """
    place = place or Place()
    if start is not None:
        place = replace(place, parent=start if isinstance(start, Model) else find_model(start))
    if isinstance(cases, str | Path):
        cases = good_cases(scan_folder(cases, *channels_and_classes(config)))
    config = config or plan(cases, "mine", place.parent.card if place.parent else None)
    work = training(cases, config, replace(place, unlabelled=(*place.unlabelled, *unlabelled)))

    def model_alone(controls: Controls) -> Generator[Progress, None, Model]:
        return (yield from work(controls)).model

    return Run(model_alone)


def channels_and_classes(config: TrainConfig | None) -> tuple[int, Sequence[CardClass]]:
    """What a folder's cases are read for."""
    return (len(config.card.channels), config.card.classes) if config else (1, ())


def training(
    cases: Sequence[Case], config: TrainConfig, place: Place
) -> Callable[[Controls], Generator[Progress, None, Trained]]:
    """The work of a training, noted in its run folder on the way."""
    return lambda controls: noted(keeping(loop(cases, config, place, controls)), ranks.own(place.folder))


def loop(
    cases: Sequence[Case], config: TrainConfig, place: Place, controls: Controls
) -> Generator[Progress, None, Trained]:
    """Prepare and measure what there is before the first step, then alternate training and validation."""
    check_cases(cases, config.card)
    ranks.check_size(config.batch_size)
    learnt, judged = divide(cases, config.split)
    yield Progress(0, config.steps, f"preparing {len(learnt)} training and {len(judged)} validation cases")
    is_filled = config.fill and not config.adversary.weight  # a discriminator judges what people drew, not what we did
    taught = [prepare(filled(case) if is_filled else case, config.card) for case in learnt]
    prepared = Material(taught, prepared_images(place.unlabelled, config))
    state, best, kept = begin(config, place, ranks.device_for(place.device))
    folder, facts = place.folder, fresh_facts()
    viewed = Viewed(ranks.own(folder), cases)
    if folder is not None:
        ranks.from_first(lambda: open_folder(folder, config, learnt, judged))
        facts = load_state(folder, state.modules | {"best": best}, state.optimisers) or facts
        ranks.wait_for_all()  # before the first one writes the next checkpoint
        state.seen = Seen(**facts.get("seen", {}))
    try:
        if "before" not in facts:
            yield Progress(0, config.steps, f"measuring before the first step, on {held_out_in_words(learnt, judged)}")
            measure_before(facts, state, best, judged, config, place, kept, controls)
            yield Progress(0, config.steps, "measured", start_figures(facts))
        while not ranks.from_first(lambda: is_over(facts, config, controls)):
            is_lost = yield from stretch(prepared, config, state, best, facts, controls, viewed)
            if is_lost:
                break
            yield Progress(facts["step"], config.steps, "validating")
            found = ranks.from_first(lambda: validate(judged, config.card, state.average, controls, folder))
            judge_progress(facts, found, state, best, config.tolerance)
            keep(folder, state, best, facts)
            yield Progress(facts["step"], config.steps, "validated", {"dice": found.dice, "best": facts["best"]})
    except RuntimeError as error:
        raise compute_error(error) from error
    if facts["best"] < 0:
        raise ComputeError("The loss was not a number from the start. Lower the learning rate, or check the images.")
    facts["auroc"] = held_out_auroc(state, judged, config)
    model = Model(finished(config, place, learnt, judged, facts), best.cpu().eval(), "")
    return trained(model, facts, held_out_in_words(learnt, judged))


def measure_before(
    facts: Facts, state: State, best: nn.Module, judged: Sequence[Case], config: TrainConfig, place: Place,
    kept: str, controls: Controls,
) -> None:  # fmt: skip
    """One validation before the first step: it finds what would fail later, and what a new model has to beat."""
    parent, card = place.parent, config.card
    first = ranks.from_first(lambda: validate(judged if parent else judged[:1], card, state.average, controls))
    facts |= {"before": None, "kept": kept}
    if parent is None:
        return
    device, before = str(next(state.average.parameters()).device), None
    if is_twin(parent.card, card):
        before = first
    else:
        before = ranks.from_first(lambda: measured_parent(parent, judged, card, device, controls))
    usual = parent.card.provenance.metrics.get("validation_dice", 0.0)
    facts |= {"before": as_facts(before) if before else None, "parent": {"name": parent.card.name, "usual": usual}}
    judge_progress(facts, first, state, best, 0.0)
    keep(place.folder, state, best, facts)


def is_twin(parent: Card, card: Card) -> bool:
    """Whether a fresh child computes what its parent does."""
    return (parent.classes, len(parent.channels), parent.spacing) == (card.classes, len(card.channels), card.spacing)


def begin(config: TrainConfig, place: Place, device: torch.device) -> tuple[State, nn.Module, str]:
    """Seeded fresh weights, or a parent's, without touching anyone else's random numbers; a place for the best; and
    what came along from the parent, in words.
    """
    card = config.card
    generator = build_generator(
        card.arch, dims=card.dims, in_channels=len(card.channels), out_channels=card.out_channels, seed=config.seed
    )
    kept = ""
    if place.parent is not None:
        kept = str(start_from(generator, card, place.parent))
        log.warning("starting from %s: %s", place.parent.card.name, kept)
    if place.encoder_weights:
        fill_encoder(generator, place.encoder_weights, may_download=place.may_download)
    best = copy.deepcopy(generator)
    critics = build_critic(config, device), build_second(config, device)
    state = State.start(generator.to(device), config, *critics)
    return state, best.requires_grad_(False), kept


def stretch(
    prepared: Material,
    config: TrainConfig,
    state: State,
    best: nn.Module,
    facts: Facts,
    controls: Controls,
    viewed: Viewed,
) -> Generator[Progress, None, bool]:
    """Train up to the next validation; True when the guards gave the training up."""
    device = next(state.generator.parameters()).device
    end = min(config.steps, (facts["step"] // config.validate_every + 1) * config.validate_every)
    began, seconds = time.monotonic(), facts["seconds"]
    snapshot = Snapshot(state)
    for step in range(facts["step"], end):
        ranks.from_first(controls.check)
        labelled, further = prepared.at(step, config, device)
        figures = ranks.agreed(train_step(state, labelled, config, step, further))
        action = judge(state, figures, config.adversary.limits)
        if action is not Action.GO_ON:
            log.warning("step %d: %s", step, action.value)
            recover(action, state, snapshot, best)
        note(facts, figures, state, step, seconds + time.monotonic() - began)
        yield Progress(step + 1, config.steps, "training", shown(figures))
        if facts["best"] >= 0:  # what a fresh network says before its first validation is noise
            viewed.answer(state.average, config.card, step + 1, controls)
        if action is Action.STOP:
            return True
        if ranks.agreed(controls.is_stopping):
            break
    return False


def note(facts: Facts, figures: Figures, state: State, step: int, seconds: float) -> None:
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
        "consistency": figures.consistency,
        "lambda2": figures.second_weight,
        "d2_loss": figures.second,
        "d2_accuracy": figures.second_accuracy,
    }
    return {name: value for name, value in wanted.items() if value is not None and (value or name == "loss")}


def keep(folder: Path | None, state: State, best: nn.Module, facts: Facts) -> None:
    """Write a checkpoint."""
    if folder is not None and ranks.is_first():
        save_state(folder, state.modules | {"best": best}, state.optimisers, facts)
