"""Is the new model better than the one it started from? Both are measured on what was held out, before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_ganseg.models import Card, Model
from napari_ganseg.run import Controls
from napari_ganseg.training.cases import Case
from napari_ganseg.training.outcome import ClassDice, Outcome
from napari_ganseg.training.partial import letters
from napari_ganseg.training.validation import Validation, class_dices, predicted, summed_up
from napari_ganseg.volume import LabelMap

LEAST_GAIN = 0.005  # Dice; less is noise
MOST_LOSS = 0.05  # Dice, of any class that the old model knew
DOUBTFUL = 0.5  # share of the old model's own validation Dice, below which its data and these labels contradict


@dataclass(frozen=True, slots=True)
class Parent:
    """The model a training started from.

    Attributes:
        usual: the validation Dice on its card; 0 where there is none.
    """

    name: str
    usual: float


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What a training made.

    Attributes:
        model: the weights that were best on what was held out.
        parent: the model it started from; None for a training from scratch.
        before: of the parent; None without one, or where it cannot see such images.
        after: of the new model.
        held_out: what both were measured on, in words.
        kept: what came along from the parent, in words.
        pace_s: how long a step took; 0 where there were too few to tell.
    """

    model: Model
    parent: Parent | None
    before: Validation | None
    after: Validation
    held_out: str
    kept: str
    pace_s: float = 0.0


def measured_parent(
    parent: Model, cases: Sequence[Case], card: Card, device: str, controls: Controls
) -> Validation | None:
    """Dice of the parent itself on the classes that it shares; None where it cannot see such images."""
    if (parent.card.dims, len(parent.card.channels)) != (card.dims, len(card.channels)):
        return None
    values = shared_values(parent.card, card)
    if not values:
        return Validation(0.0, {})
    mine = Model(parent.card, parent.network.to(device).eval(), parent.sha256)
    found = []
    for case in cases:
        labels = renumbered(predicted(case, mine, device, controls), values)
        dices = class_dices(labels, case.annotation)
        found.append({v: d for v, d in dices.items() if v in values.values()})
    return summed_up(found)


def shared_values(parent: Card, card: Card) -> dict[int, int]:
    """The parent's value -> the child's, of the classes that both call the same."""
    mine = {letters(c.name): c.value for c in card.classes}
    return {c.value: mine[letters(c.name)] for c in parent.classes if letters(c.name) in mine}


def renumbered(labels: LabelMap, values: Mapping[int, int]) -> LabelMap:
    """Labels under other values; what has none becomes background."""
    array = np.zeros_like(labels.array, dtype=np.int32)
    for old, new in values.items():
        array[labels.array == old] = new
    return labels.derive(array=array, classes=())


def outcome_of(trained: Trained, path: str) -> Outcome:
    """The table for the person who decides, and what it comes to in a sentence."""
    before, after = trained.before.per_class if trained.before else {}, trained.after.per_class
    classes = tuple(
        ClassDice(c.value, c.name, rounded(before.get(c.value)), rounded(after.get(c.value)))
        for c in trained.model.card.classes
    )
    both = [c for c in classes if c.before is not None and c.after is not None]
    mean_before = float(np.mean([c.before for c in both])) if both else None
    mean_after = mean([c.after for c in both or classes])
    is_better, verdict = judged(trained, classes, mean_before, mean_after)
    return Outcome(
        path, trained.parent.name if trained.parent else "", trained.held_out, classes, rounded(mean_before),
        rounded(mean_after), is_better, verdict, trained.kept,
    )  # fmt: skip


def judged(
    trained: Trained, classes: Sequence[ClassDice], before: float | None, after: float | None
) -> tuple[bool, str]:
    """Whether to take the new model, and why."""
    name, parent = trained.model.card.name, trained.parent
    if parent is None:
        return True, f"A new model: Dice {in_words(after)} on {trained.held_out}."
    stays = f"Not better; {parent.name} stays."
    if before is None or after is None:
        news = mean([c.after for c in classes])
        return True, f"{parent.name} knows none of these classes. {name} reaches Dice {in_words(news)}."
    lost = [c for c in classes if c.before is not None and c.after is not None and c.after < c.before - MOST_LOSS]
    figures = f"Dice {in_words(before)} before, {in_words(after)} after, on {trained.held_out}."
    if after < before + LEAST_GAIN:
        return False, f"{stays} {figures}"
    if lost:
        return False, f"{stays} It is worse at {', '.join(c.name for c in lost)}. {figures}"
    if before < DOUBTFUL * parent.usual and after < DOUBTFUL * parent.usual:
        doubt = f"{parent.name} usually reaches {in_words(parent.usual)}: look whether these labels are right."
        return False, f"{stays} {figures} {doubt}"
    return True, f"Better: {figures}"


def mean(numbers: Sequence[float | None]) -> float | None:
    """Mean of what is there."""
    there = [n for n in numbers if n is not None]
    return float(np.mean(there)) if there else None


def rounded(number: float | None) -> float | None:
    """Four digits are more than anybody can tell apart."""
    return None if number is None else round(number, 4)


def in_words(number: float | None) -> str:
    """A Dice for people."""
    return "not measured" if number is None else f"{number:.3f}"
