"""What a training remembers from step to step, in JSON: checkpoints keep it, card and outcome are made of it."""

from __future__ import annotations

from typing import Any

from torch import nn

from napari_ganseg.models import Model
from napari_ganseg.networks import fill_weights, weights_of
from napari_ganseg.run import Controls
from napari_ganseg.training.comparison import Parent, Trained
from napari_ganseg.training.config import TrainConfig
from napari_ganseg.training.step import State
from napari_ganseg.training.validation import Validation

Facts = dict[str, Any]
LEAST_STEPS = 50  # from which the pace of a training tells something about the machine
LEAST_RISE = 5e-4  # Dice; a validation that rises less counts as no better


def fresh_facts() -> Facts:
    """Before anything is measured."""
    return {"step": 0, "best": -1.0, "seconds": 0.0, "spoke": 0, "ratios": [], "stale": 0}


def is_over(facts: Facts, config: TrainConfig, controls: Controls) -> bool:
    """Whether the steps are done, nothing has got better for long, or the user wants to stop."""
    is_flat = 0 < config.patience <= facts.get("stale", 0)
    return facts["step"] >= config.steps or is_flat or bool(controls.is_stopping and facts["step"])


def start_figures(facts: Facts) -> dict[str, float]:
    """What the training has to beat, where there is anything."""
    return {"dice": facts["best"], "best": facts["best"]} if facts["best"] >= 0 else {}


def judge_progress(facts: Facts, found: Validation, state: State, best: nn.Module, tolerance: float) -> None:
    """Keep the weights of the best validation, or of a later one nearly as good; count those that were no better."""
    is_better = found.dice > facts["best"] + LEAST_RISE
    has_begun = max(found.dice, facts["best"]) > 0  # a fresh network may take its time to find anything
    facts["stale"] = facts.get("stale", 0) + 1 if has_begun and not is_better else 0
    facts["best"] = max(facts["best"], found.dice)
    if found.dice >= facts["best"] - (tolerance if has_begun else 0.0):
        facts["best_classes"] = as_facts(found)
        fill_weights(best, weights_of(state.average))


def as_facts(found: Validation) -> dict[str, Any]:
    """A validation as a checkpoint keeps it."""
    return {"dice": found.dice, "per_class": {str(v): d for v, d in found.per_class.items()}}


def from_facts(content: dict[str, Any] | None) -> Validation | None:
    """A validation as a checkpoint kept it."""
    return Validation(content["dice"], {int(v): d for v, d in content["per_class"].items()}) if content else None


def trained(model: Model, facts: Facts, held_out: str) -> Trained:
    """What the training made, beside what it started from."""
    after = from_facts(facts.get("best_classes")) or Validation(facts["best"], {})
    parent = Parent(**facts["parent"]) if "parent" in facts else None
    pace_s = facts["seconds"] / facts["step"] if facts["step"] >= LEAST_STEPS else 0.0
    return Trained(model, parent, from_facts(facts.get("before")), after, held_out, facts.get("kept", ""), pace_s)
