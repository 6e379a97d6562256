"""The audit: are the new scans different, does it matter to the model, and can restyling explain what happens to it?"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from napari_ganseg.adaptation.agreement import consistency, found, volumes
from napari_ganseg.adaptation.appearance import Appearance, Doubles
from napari_ganseg.adaptation.lessons import readable, with_look
from napari_ganseg.models import Card, Model
from napari_ganseg.run import Controls, Progress
from napari_ganseg.training.cases import Case
from napari_ganseg.training.validation import case_dice
from napari_ganseg.volume import LabelMap, Volume

T = TypeVar("T")
LOOKED_AT = 30  # scans of each kind that the model is tried on, where they are small; looks are compared of all
FEWEST, MOST_VOXELS = 4, 4_000_000  # of large ones, at the model's spacing
UNUSUAL = 0.97  # of the source's own scans look less unlike the usual source scan
STEADY = 0.02  # Dice between views that may be lost without anything being wrong
HARMLESS = 0.01  # Dice that restyled source scans may lose
FALLING = 0.5  # Dice between views below which a model guesses
FITTING = 0.5  # Dice on the source scans, below which their labels or images are of another kind
HARDLY = 0.75  # share of the steadiness lost that restyled source scans do not lose
UNEXPLAINED = 0.2  # Dice between views that restyled source scans keep and the new ones lose
WITHIN = (0.3, 3.0)  # of the smallest and the largest volume in source scans
MOSTLY = 0.5
CLEAR = 0.3  # rank correlation
SEED = 71

Verdict = Literal["nothing to adapt", "adapt", "too far"]


@dataclass(frozen=True, slots=True, eq=False)
class Scans:
    """Both kinds of scans, as the audit and the training need them.

    Attributes:
        source: labelled, as `seen_case` makes them.
        target: the new ones, as `seen` makes them.
        source_looks, target_looks: what each looks like.
    """

    source: Sequence[Case]
    target: Sequence[Volume]
    source_looks: Sequence[Appearance]
    target_looks: Sequence[Appearance]


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found before anything was trained; no label of a new scan was used.

    Attributes:
        grey_values, sharpness, noise: median over the new scans of the share of source scans that look less unusual.
        steady_source, steady_target, steady_restyled: Dice between views: of source scans, of new ones, and of source
            scans restyled to look like the new ones.
        dice_source, dice_restyled: against the labels of the source scans, as they are and restyled.
        dice_alike: the same of source scans restyled to look like one another: what restyling alone costs.
        polarity_source, polarity_target: medians; bright is where something is, or dark.
        odd_volumes: share of new scans with a class much smaller or larger than in any source scan that was tried.
        verdict, reason: what follows from it.
    """

    grey_values: float
    sharpness: float
    noise: float
    steady_source: float
    steady_target: float
    steady_restyled: float
    dice_source: float
    dice_restyled: float
    dice_alike: float
    polarity_source: float
    polarity_target: float
    odd_volumes: float
    verdict: Verdict
    reason: str


def audit(model: Model, scans: Scans, device: str, controls: Controls) -> Generator[Progress, None, Audit]:
    """Compare looks, then what the model does with them."""
    yield Progress(0, 0, "comparing how the scans look")
    strange = unusual(scans.source_looks, scans.target_looks)
    count, intensity = affordable(scans.source[0].image, LOOKED_AT), model.card.preprocessing.intensity()
    tried = spread(range(len(scans.source)), count)
    yield Progress(0, 0, "trying the model on scans of both kinds")
    own = [trial(model, readable(scans.source[i].image, intensity), device, controls) for i in tried]
    theirs = [trial(model, readable(v, intensity), device, controls) for v in spread(scans.target, count)]
    yield Progress(0, 0, "trying it on restyled scans")
    cases = [dressed(scans, i, scans.target_looks, model.card) for i in tried]
    alike = [dressed(scans, i, scans.source_looks, model.card) for i in tried]
    imitations = [trial(model, case.image, device, controls) for case in cases]
    found_alike = [found(case.image, model, device, controls) for case in alike]
    figures = {
        "steady_source": mean([t.steady for t in own]),
        "steady_target": mean([t.steady for t in theirs]),
        "steady_restyled": mean([t.steady for t in imitations]),
        "dice_source": mean_dice([t.labels for t in own], [scans.source[i] for i in tried]),
        "dice_restyled": mean_dice([t.labels for t in imitations], cases),
        "dice_alike": mean_dice(found_alike, alike),
        "polarity_source": median([a.polarity for a in scans.source_looks]),
        "polarity_target": median([a.polarity for a in scans.target_looks]),
        "odd_volumes": odd_volumes(own, theirs, [c.value for c in model.card.classes]),
    }
    return judged(strange, figures)


def dressed(scans: Scans, number: int, looks: Sequence[Appearance], card: Card) -> Case:
    """A source scan that looks like one of some others, chosen at random but always the same one."""
    rng = np.random.default_rng([SEED, number])
    return with_look(scans.source[number], looks[int(rng.integers(len(looks)))], 1.0, rng, card)


def unusual(source: Sequence[Appearance], target: Sequence[Appearance]) -> dict[str, float]:
    """How unusual the new scans look among the source's own, feature by feature; the median over the new scans."""
    usual = (
        np.median([a.quantiles for a in source], axis=0),
        float(np.median([a.softness for a in source])),
        np.median([log_noise(a) for a in source], axis=0),
    )
    own = np.array([distances(a, *usual) for a in source])
    theirs = np.array([distances(a, *usual) for a in target])
    shares = (own[np.newaxis] < theirs[:, np.newaxis]).mean(axis=1)
    return dict(zip(("grey_values", "sharpness", "noise"), map(float, np.median(shares, axis=0)), strict=True))


def distances(look: Appearance, quantiles: Doubles, softness: float, noise: Doubles) -> tuple[float, float, float]:
    """From the usual look: of grey values (Wasserstein), of sharpness, of noise."""
    return (
        float(np.abs(look.quantiles - quantiles).mean()),
        abs(look.softness - softness),
        float(np.abs(log_noise(look) - noise).mean()),
    )


def log_noise(look: Appearance) -> Doubles:
    """Noise as people see it: twice as much is one step."""
    return np.asarray(np.log2(look.noise + 1e-3))


def affordable(volume: Volume, most: int) -> int:
    """How many such scans the model can be tried on within minutes."""
    return int(np.clip(MOST_VOXELS // volume.array.size, FEWEST, most))


def spread(items: Sequence[T], count: int) -> list[T]:
    """So many of them, evenly spaced."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[i] for i in places]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What a model found in a scan, and how steadily."""

    labels: LabelMap
    steady: float


def trial(model: Model, volume: Volume, device: str, controls: Controls) -> Trial:
    """Segment a scan and views of it."""
    labels = found(volume, model, device, controls)
    return Trial(labels, consistency(volume, labels, model, device, controls))


def mean(numbers: Sequence[float]) -> float:
    """Four digits are more than anybody can tell apart."""
    return round(float(np.mean(numbers)), 4)


def median(numbers: Sequence[float]) -> float:
    """Four digits, too."""
    return round(float(np.median(numbers)), 4)


def mean_dice(maps: Sequence[LabelMap], cases: Sequence[Case]) -> float:
    """Over the cases in which somebody contoured something."""
    dices = [case_dice(labels, case.annotation) for labels, case in zip(maps, cases, strict=True)]
    return mean([dice for dice in dices if dice is not None] or [0.0])


def odd_volumes(own: Sequence[Trial], theirs: Sequence[Trial], values: Sequence[int]) -> float:
    """Share of new scans with a class far outside the volumes found in source scans."""
    usual, new = (volumes([t.labels for t in trials], values) for trials in (own, theirs))
    low, high = WITHIN[0] * usual.min(axis=0), WITHIN[1] * usual.max(axis=0)
    return float(((new < low) | (new > high)).any(axis=1).mean())


def judged(strange: dict[str, float], figures: dict[str, float]) -> Audit:
    """The verdict and its reason."""
    lost = figures["steady_source"] - figures["steady_target"]
    unexplained = figures["steady_restyled"] - figures["steady_target"]
    harm = figures["dice_alike"] - figures["dice_restyled"]
    far = (
        is_guessing(figures)
        or figures["dice_source"] < FITTING
        or figures["odd_volumes"] > MOSTLY
        or unexplained > max(UNEXPLAINED, HARDLY * lost)
        or is_inverted(figures)
    )
    looks_alike = max(strange.values()) < UNUSUAL
    if far:
        return Audit(**strange, **figures, verdict="too far", reason=too_far(figures, unexplained))
    if looks_alike or (lost <= STEADY and harm < HARMLESS):
        why = (
            "The new scans look like the model's own"
            if looks_alike
            else "The new scans look different, but not to the model"
        )
        return Audit(**strange, **figures, verdict="nothing to adapt", reason=f"{why}; nothing to adapt.")
    reason = f"Source scans made to look like the new ones lose {max(harm, 0):.3f} Dice; it can be learnt."
    return Audit(**strange, **figures, verdict="adapt", reason=reason)


def is_inverted(figures: dict[str, float]) -> bool:
    """Whether bright and dark have changed places."""
    own, theirs = figures["polarity_source"], figures["polarity_target"]
    return own * theirs < 0 and min(abs(own), abs(theirs)) > CLEAR


def is_guessing(figures: dict[str, float]) -> bool:
    """Whether views of one new scan hardly agree, where those of a source scan do."""
    return figures["steady_target"] < min(FALLING, figures["steady_source"] - UNEXPLAINED)


def too_far(figures: dict[str, float], unexplained: float) -> str:
    """Why adapting without labels is refused, and what helps instead."""
    if figures["dice_source"] < FITTING:
        return (
            f"The labelled scans do not fit the model: it reaches Dice {figures['dice_source']:.2f} on them. Look "
            "whether they are of its kind, and whether their labels mean the same classes."
        )
    if is_inverted(figures):
        why = "what is bright in the source scans is dark in them"
    elif is_guessing(figures):
        why = f"the model guesses in them (views of one scan agree by {figures['steady_target']:.2f} only)"
    elif figures["odd_volumes"] > MOSTLY:
        why = f"in {figures['odd_volumes']:.0%} of them it finds volumes that no source scan has"
    else:
        why = f"grey values, blur and noise do not explain what it loses (views agree by {unexplained:.2f} less)"
    return f"Too far from what the model knows: {why}. Label three of the scans and fine-tune."
