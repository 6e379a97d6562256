"""Guards: watch a GAN training and say what to do when it goes wrong; a state machine without a network in it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from napari_ganseg.models.card import STRICT

Share = Annotated[float, Field(ge=0, le=1)]
Steps = Annotated[int, Field(ge=1)]
RISE = 1.2  # most that the cap may grow between two measurements


class Action(Enum):
    """What the loop has to do before its next step."""

    GO_ON = "go on"
    SKIP = "skip this update"
    ROLL_BACK = "reload the last good snapshot and halve the learning rate"
    STOP = "stop and keep the best"
    RESTORE_BEST = "reload the best average and halve the adversary's weight"


@checked(frozen=True, config=STRICT)
class Limits:
    """When a guard fires.

    Attributes:
        non_finite: so many bad steps in a row roll back; so many roll-backs stop.
        winning, winning_steps: accuracy of a discriminator that leaves the generator nothing to learn from.
        losing, losing_steps: accuracy of one that has nothing to teach.
        collapse, collapse_steps: foreground beyond this factor of the truth's, either way.
        ready: accuracy from which the adversary may speak.
        ratio: most that the adversary's gradient may be of the segmentation's.
    """

    non_finite: Steps = 3
    winning: Share = 0.95
    winning_steps: Steps = 200
    losing: Share = 0.52
    losing_steps: Steps = 500
    collapse: Annotated[float, Field(gt=1)] = 5.0
    collapse_steps: Steps = 100
    ready: Share = 0.55
    ratio: Share = 0.3


@dataclass(frozen=True, slots=True)
class Seen:
    """What the guards remember; part of every checkpoint.

    Attributes:
        accuracy: of the discriminator, averaged over some fifty steps.
        scale: factor on the adversary's weight, 0 once it was switched off.
        cap: another one, while the adversary's gradient would be too large.
        rate: factor on the generator's learning rate.
        rest: the discriminator learns only every so many steps.
        second_accuracy, second_losing, second_scale: as above, of the second discriminator.
    """

    accuracy: float = 0.5
    bad: int = 0
    roll_backs: int = 0
    winning: int = 0
    losing: int = 0
    collapsed: int = 0
    scale: float = 1.0
    cap: float = 1.0
    rate: float = 1.0
    rest: int = 1
    second_accuracy: float = 0.5
    second_losing: int = 0
    second_scale: float = 1.0


def watch_finite(seen: Seen, value: float, limits: Limits) -> tuple[Seen, Action]:
    """A loss or gradient that is no number: skip, then roll back, then stop."""
    if math.isfinite(value):
        return replace(seen, bad=0), Action.GO_ON
    if seen.bad + 1 < limits.non_finite:
        return replace(seen, bad=seen.bad + 1), Action.SKIP
    if seen.roll_backs + 1 >= limits.non_finite:
        return replace(seen, bad=0, roll_backs=seen.roll_backs + 1), Action.STOP
    return replace(seen, bad=0, roll_backs=seen.roll_backs + 1, rate=seen.rate / 2), Action.ROLL_BACK


def watch_accuracy(seen: Seen, accuracy: float, limits: Limits, *, is_active: bool) -> Seen:
    """A discriminator that wins learns less often; one that has nothing to teach loses its voice.

    Args:
        accuracy: of this step.
        is_active: whether the adversary had a weight in this step; a silent one cannot lose.
    """
    mean = 0.98 * seen.accuracy + 0.02 * accuracy
    winning = seen.winning + 1 if mean > limits.winning else 0
    losing = seen.losing + 1 if is_active and mean < limits.losing else 0
    rest = 4 if winning >= limits.winning_steps else 1 if mean < limits.winning - 0.05 else seen.rest
    scale = 0.0 if losing >= limits.losing_steps else seen.scale
    return replace(seen, accuracy=mean, winning=winning, losing=losing, rest=rest, scale=scale)


def watch_second(seen: Seen, accuracy: float, limits: Limits, *, is_active: bool) -> Seen:
    """The second discriminator loses its voice as the first does; it never rests."""
    second = Seen(accuracy=seen.second_accuracy, losing=seen.second_losing, scale=seen.second_scale)
    after = watch_accuracy(second, accuracy, limits, is_active=is_active)
    return replace(seen, second_accuracy=after.accuracy, second_losing=after.losing, second_scale=after.scale)


def watch_ratio(seen: Seen, ratio: float, limits: Limits) -> Seen:
    """Cap an adversary whose gradient would drown the segmentation's; the cap rises again, slowly, when it does not."""
    wanted = seen.cap * limits.ratio / max(ratio, 1e-6)
    return replace(seen, cap=min(1.0, wanted, seen.cap * RISE))


def watch_collapse(seen: Seen, predicted: float, true: float, limits: Limits) -> tuple[Seen, Action]:
    """Foreground that vanishes or floods for long, while an adversary speaks: take both weights back."""
    is_odd = true > 0 and not 1 / limits.collapse <= predicted / true <= limits.collapse
    count = seen.collapsed + 1 if is_odd else 0
    if count < limits.collapse_steps:
        return replace(seen, collapsed=count), Action.GO_ON
    halved = replace(seen, collapsed=0, scale=seen.scale / 2, second_scale=seen.second_scale / 2)
    return halved, Action.RESTORE_BEST


def is_ready(seen: Seen, limits: Limits) -> bool:
    """Whether the discriminator has learnt enough to be listened to."""
    return seen.accuracy >= limits.ready
