"""The decision: does the adapted model replace the original? No label of a new scan is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_ganseg.adaptation.agreement import found, overlap, volumes
from napari_ganseg.adaptation.appearance import Doubles
from napari_ganseg.adaptation.audit import LOOKED_AT, Scans, affordable, mean, spread, trial
from napari_ganseg.adaptation.lessons import as_it_is, imitating, readable
from napari_ganseg.adaptation.restyle import usual
from napari_ganseg.models import Card, Model
from napari_ganseg.run import Controls
from napari_ganseg.training.cases import Case
from napari_ganseg.training.outcome import ClassDice
from napari_ganseg.training.validation import class_dices, summed_up
from napari_ganseg.volume import LabelMap

MOST_LOSS = 0.01  # Dice on held-out source scans that may surely be lost
MOST_UNSTEADY = 0.01  # Dice between views of the new scans
MOST_MOVED = 0.25  # of the usual volume, away from it
JUDGED_BY = 48  # held-out source scans that imitate new ones
LEVEL, DRAWS, SEED = 0.9, 4000, 73


@dataclass(frozen=True, slots=True)
class Decision:
    """Why the adapted model is taken, or the original stays.

    Attributes:
        imitation_before, imitation_after: Dice on held-out source scans that imitate the new ones.
        gain_low, gain_high: 90 % interval of the difference, by a bootstrap over those scans.
        steadier_low: lower end of that of the difference in steadiness, over the new scans.
        source_before, source_after: Dice on the held-out source scans as they are.
        steady_before, steady_after: Dice between views of the new scans.
        agreement: mean Dice between what both models find in the new scans.
        vetoes: what speaks against it, in words.
        classes: Dice on the imitations, class by class.
    """

    imitation_before: float
    imitation_after: float
    gain_low: float
    gain_high: float
    source_before: float
    source_after: float
    steady_before: float
    steady_after: float
    steadier_low: float
    agreement: float
    vetoes: tuple[str, ...]
    classes: tuple[ClassDice, ...]

    @property
    def is_accepted(self) -> bool:
        """Whether the adapted model is taken."""
        return not self.vetoes


def decide(
    before: Model, after: Model, scans: Scans, judged: Sequence[int], device: str, controls: Controls
) -> Decision:
    """Compare both models where there are labels, on imitations and on the source as it is, and without on new scans.

    Args:
        judged: which of the source scans no training learnt from.
    """
    both, card, one = (before, after), before.card, scans.source[0].image
    chosen = spread(judged, affordable(one, JUDGED_BY))
    imitation = compared(both, imitations(scans, chosen, card), device, controls)
    source = compared(both, [as_it_is(scans.source[i], card) for i in chosen], device, controls)
    new = [
        readable(volume, card.preprocessing.intensity()) for volume in spread(scans.target, affordable(one, LOOKED_AT))
    ]
    trials = [[trial(model, volume, device, controls) for volume in new] for model in both]
    sureness = np.array([[t.steady for t in each] for each in trials])
    steady, steadier = (rounded(sureness[0].mean()), rounded(sureness[1].mean())), interval(sureness[1] - sureness[0])
    values = [c.value for c in card.classes]
    sizes = [volumes(maps, values) for maps in (source.maps, *[[t.labels for t in each] for each in trials])]
    gain, loss = interval(imitation.differences), interval(source.differences)
    vetoes = (*gain_veto(gain, steadier), *source_veto(loss[1]), *steady_veto(*steady), *volume_vetoes(card, *sizes))
    agreement = mean([overlap(a.labels, b.labels) for a, b in zip(*trials, strict=True)])
    return Decision(
        *imitation.means,
        *gain,
        *source.means,
        *steady,
        steadier[0],
        agreement=agreement,
        vetoes=vetoes,
        classes=imitation.classes,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Two models on labelled cases.

    Attributes:
        dices: (cases, 2) before and after, of those in which anything is contoured.
        classes: means over cases, class by class.
        maps: what the first model found.
    """

    dices: Doubles
    classes: tuple[ClassDice, ...]
    maps: Sequence[LabelMap]

    @property
    def differences(self) -> Doubles:
        """After less before, case by case."""
        return np.asarray(self.dices[:, 1] - self.dices[:, 0])

    @property
    def means(self) -> tuple[float, float]:
        """Before and after."""
        return rounded(self.dices[:, 0].mean()), rounded(self.dices[:, 1].mean())


def compared(models: tuple[Model, Model], cases: Sequence[Case], device: str, controls: Controls) -> Compared:
    """Segment labelled cases with both."""
    maps = [[found(case.image, model, device, controls) for case in cases] for model in models]
    scores = [[class_dices(m, case.annotation) for m, case in zip(each, cases, strict=True)] for each in maps]
    pairs = [[np.mean(list(dices.values())) for dices in pair] for pair in zip(*scores, strict=True) if all(pair)]
    dices = np.array(pairs or [[0.0, 0.0]])  # where nothing is contoured, nothing is gained
    before, after = (summed_up(each).per_class for each in scores)
    classes = [(c, before.get(c.value), after.get(c.value)) for c in models[0].card.classes]
    named = tuple(ClassDice(c.value, c.name, one and rounded(one), two and rounded(two)) for c, one, two in classes)
    return Compared(dices, named, maps[0])


def imitations(scans: Scans, judged: Sequence[int], card: Card) -> list[Case]:
    """Held-out source scans that imitate the new scanner."""
    rng, own, other = np.random.default_rng(SEED), usual(scans.source_looks), usual(scans.target_looks)
    return [imitating(scans.source[i], own, other, rng, card) for i in judged]


def interval(differences: Doubles) -> tuple[float, float]:
    """90 % interval of a mean, by a percentile bootstrap."""
    rng = np.random.default_rng(SEED)
    means = differences[rng.integers(0, len(differences), (DRAWS, len(differences)))].mean(axis=1)
    edges = np.quantile(means, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return rounded(edges[0]), rounded(edges[1])


def rounded(number: float) -> float:
    """Four digits."""
    return round(float(number), 4)


def gain_veto(gain: tuple[float, float], steadier: tuple[float, float]) -> tuple[str, ...]:
    """Nothing that surely speaks for it.

    Imitations cannot show every change of scanner. Where they leave it open, it counts that views of one new scan agree
    more; where they surely show a loss, that does not count: a model can be sure of what is wrong.

    Args:
        gain: interval of what is gained on imitations.
        steadier: interval of what steadiness gains on new scans.
    """
    if gain[1] < 0:
        return ("it is surely worse on source scans that imitate the new ones",)
    if gain[0] > 0 or steadier[0] > 0:
        return ()
    return ("it is not surely better on source scans that imitate the new ones, nor surely steadier on these",)


def source_veto(high: float) -> tuple[str, ...]:
    """Forgetting, where it is sure: few held-out scans differ by chance, and often chose the original's weights."""
    return () if high >= -MOST_LOSS else (f"it loses {-high:.3f} Dice or more on the source's own scans",)


def steady_veto(before: float, after: float) -> tuple[str, ...]:
    """Less sure of the new scans than before."""
    return () if after >= before - MOST_UNSTEADY else ("views of one new scan agree less than before",)


def volume_vetoes(card: Card, usual: Doubles, before: Doubles, after: Doubles) -> tuple[str, ...]:
    """Classes that vanish, or whose median volume moves away from the usual one."""
    medians = [np.median(sizes, axis=0) for sizes in (usual, before, after)]
    vetoes = []
    for c, own, old, new in zip(card.classes, *medians, strict=True):
        if old > 0 and new == 0:
            vetoes.append(f"{c.name} vanishes from the new scans")
        elif abs(new - own) > abs(old - own) + MOST_MOVED * own:
            vetoes.append(f"{c.name} moves away from its usual volume")
    return tuple(vetoes)
