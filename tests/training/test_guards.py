"""Every guard fires when provoked, not before, and the training recovers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from builders import blob_cases, tiny_config
from torch import nn

from napari_ganseg.networks import weights_of
from napari_ganseg.training import fit
from napari_ganseg.training.config import Adversary
from napari_ganseg.training.guards import (
    Action,
    Limits,
    Seen,
    is_ready,
    watch_accuracy,
    watch_collapse,
    watch_finite,
    watch_ratio,
)
from napari_ganseg.training.recovery import Snapshot, judge, recover
from napari_ganseg.training.step import Figures, State

LIMITS = Limits(winning_steps=10, losing_steps=10, collapse_steps=5)


def after(steps: int, accuracy: float, *, is_active: bool = True) -> Seen:
    seen = Seen()
    for _ in range(steps):
        seen = watch_accuracy(seen, accuracy, LIMITS, is_active=is_active)
    return seen


def test_a_bad_number_is_skipped_then_rolled_back_then_given_up() -> None:
    seen, actions = Seen(), []
    for _ in range(9):
        seen, action = watch_finite(seen, float("nan"), LIMITS)
        actions.append(action)
    skip, back = Action.SKIP, Action.ROLL_BACK
    assert actions == [skip, skip, back, skip, skip, back, skip, skip, Action.STOP]
    assert seen.rate == 0.25


def test_a_good_number_ends_a_row_of_bad_ones() -> None:
    seen, _ = watch_finite(Seen(bad=2), 1.0, LIMITS)
    assert seen.bad == 0


def test_a_discriminator_that_wins_for_long_rests_and_works_again_once_it_does_not() -> None:
    assert after(100, 1.0).rest == 1
    winning = after(300, 1.0)
    assert winning.rest == 4
    for _ in range(60):
        winning = watch_accuracy(winning, 0.5, LIMITS, is_active=True)
    assert winning.rest == 1


def test_a_discriminator_with_nothing_to_teach_is_silenced_but_not_before_it_spoke() -> None:
    assert after(300, 0.5).scale == 0
    assert after(300, 0.5, is_active=False).scale == 1
    assert after(300, 0.7).scale == 1


def test_an_adversary_is_heard_only_when_it_has_learnt_something() -> None:
    assert not is_ready(Seen(accuracy=0.54), LIMITS)
    assert is_ready(Seen(accuracy=0.56), LIMITS)


def test_a_gradient_that_drowns_the_segmentations_is_capped_and_the_cap_rises_again() -> None:
    capped = watch_ratio(Seen(), 0.6, LIMITS)
    assert capped.cap == pytest.approx(0.5)
    assert watch_ratio(capped, 0.3, LIMITS).cap == pytest.approx(0.5)
    assert watch_ratio(capped, 0.01, LIMITS).cap == pytest.approx(0.6)
    assert watch_ratio(Seen(), 0.29, LIMITS).cap == 1


@pytest.mark.parametrize("predicted", [0.0, 0.9])
def test_foreground_that_vanishes_or_floods_halves_the_weight(predicted: float) -> None:
    seen, action = Seen(), Action.GO_ON
    for _ in range(5):
        assert action is Action.GO_ON
        seen, action = watch_collapse(seen, predicted, 0.1, LIMITS)
    assert action is Action.RESTORE_BEST
    assert seen.scale == 0.5


def test_an_empty_truth_is_no_collapse() -> None:
    assert watch_collapse(Seen(collapsed=4), 0.0, 0.0, LIMITS)[1] is Action.GO_ON


def test_a_roll_back_brings_weights_and_optimisers_back() -> None:
    config = tiny_config(2)
    state = State.start(nn.Conv2d(1, 2, 1), config)
    snapshot, before = Snapshot(state), weights_of(state.generator)["weight"].detach().clone()
    with torch.no_grad():
        state.generator.weight.fill_(torch.nan)
    recover(Action.ROLL_BACK, state, snapshot, state.average)
    assert torch.equal(state.generator.weight, before)


def test_a_collapse_brings_the_best_average_back() -> None:
    state, best = State.start(nn.Conv2d(1, 2, 1), tiny_config(2)), nn.Conv2d(1, 2, 1)
    recover(Action.RESTORE_BEST, state, Snapshot(state), best)
    assert torch.equal(state.generator.weight, best.weight)
    assert torch.equal(state.average.weight, best.weight)


def test_the_state_remembers_what_the_guards_saw() -> None:
    state = State.start(nn.Conv2d(1, 2, 1), tiny_config(2))
    judge(state, Figures(1.0, weight=0.1, accuracy=0.9, ratio=0.6, foreground=(0.0, 0.2)), LIMITS)
    assert state.seen == replace(Seen(), accuracy=0.508, cap=0.5, losing=1, collapsed=1)


def test_a_training_survives_a_batch_of_infinite_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """One real batch turns infinite in the middle: the update is skipped and the training ends with a finite model."""
    from importlib import import_module

    loop = import_module("napari_ganseg.training.material")
    whole = loop.batch

    def spoilt(*arguments: object) -> object:
        made = whole(*arguments)
        return made._replace(image=made.image * torch.inf) if arguments[4] == 3 else made

    monkeypatch.setattr(loop, "batch", spoilt)
    adversary = Adversary(weight=0.1, begin=0.0, warm_up=0.0, limits=Limits(ready=0.0))
    model = fit(blob_cases(2), tiny_config(2, adversary=adversary)).result
    assert all(bool(t.isfinite().all()) for t in weights_of(model.network).values())
