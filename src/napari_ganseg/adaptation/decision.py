"""The decision: does the adapted model replace the original? No label of a new scan is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_ganseg.adaptation.agreement import found, overlap, volumes
from napari_ganseg.adaptation.appearance import Doubles
from napari_ganseg.adaptation.audit import LOOKED_AT, Scans, mean, spread, trial
from napari_ganseg.adaptation.lessons import imitating
from napari_ganseg.adaptation.restyle import usual
from napari_ganseg.models import Model
from napari_ganseg.run import Controls
from napari_ganseg.training.cases import Case
from napari_ganseg.training.outcome import ClassDice
from napari_ganseg.training.validation import Validation, class_dices, summed_up

MOST_LOSS = 0.01  # Dice on held-out source scans
MOST_UNSTEADY = 0.01  # Dice between views of the new scans
MOST_MOVED = 0.25  # of the usual volume, away from it
JUDGED_BY = 24  # held-out source scans that imitate new ones
LEVEL, DRAWS, SEED = 0.9, 4000, 73


@dataclass(frozen=True, slots=True)
class Decision:
    """Why the adapted model is taken, or the original stays.

    Attributes:
        imitation_before, imitation_after: Dice on held-out source scans that imitate the new ones.
        gain_low, gain_high: 90 % interval of the difference, by a bootstrap over those scans.
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
    agreement: float
    vetoes: tuple[str, ...]
    classes: tuple[ClassDice, ...]

    @property
    def is_accepted(self) -> bool:
        """Whether the adapted model is taken."""
        return not self.vetoes


def decide(
    before: Model, after: Model, scans: Scans, judged: Sequence[int], source_dice: tuple[float, float],
    device: str, controls: Controls,
) -> Decision:  # fmt: skip
    """Compare both models on imitations with labels, and on the new scans without.

    Args:
        judged: which of the source scans no training learnt from.
        source_dice: on them as they are, before and after.
    """
    cases = imitations(scans, spread(judged, JUDGED_BY), before)
    per_class = [[dices_of(model, case, device, controls) for case in cases] for model in (before, after)]
    pairs = [[np.mean(list(d.values())) for d in pair] for pair in zip(*per_class, strict=True) if all(pair)]
    dices = np.array(pairs or [[0.0, 0.0]])  # where nothing is contoured, nothing is gained
    low, high = interval(dices[:, 1] - dices[:, 0])
    target = spread(scans.target, LOOKED_AT)
    trials = [[trial(model, volume, device, controls) for volume in target] for model in (before, after)]
    steady = [mean([t.steady for t in each]) for each in trials]
    agreement = mean([overlap(a.labels, b.labels) for a, b in zip(*trials, strict=True)])
    own = [found(scans.raw[i].image, before, device, controls) for i in spread(judged, LOOKED_AT)]
    sizes = volumes(own, values := [c.value for c in before.card.classes])
    found_before, found_after = (volumes([t.labels for t in each], values) for each in trials)
    vetoes = (
        *gain_veto(low), *source_veto(*source_dice), *steady_veto(*steady),
        *volume_vetoes(before, sizes, found_before, found_after),
    )  # fmt: skip
    imitation = (mean(list(dices[:, 0])), mean(list(dices[:, 1])))
    return Decision(
        *imitation, low, high, rounded(source_dice[0]), rounded(source_dice[1]), steady[0], steady[1], agreement,
        vetoes, class_dices_in(before, *map(summed_up, per_class)),
    )  # fmt: skip


def imitations(scans: Scans, judged: Sequence[int], model: Model) -> list[Case]:
    """Held-out source scans that imitate the new scanner."""
    rng, own, other = np.random.default_rng(SEED), usual(scans.source_looks), usual(scans.target_looks)
    return [imitating(scans.source[i], own, other, rng, model.card) for i in judged]


def dices_of(model: Model, case: Case, device: str, controls: Controls) -> dict[int, float]:
    """Dice per class of a case; empty where neither model nor truth holds any."""
    return class_dices(found(case.image, model, device, controls), case.annotation)


def class_dices_in(model: Model, before: Validation, after: Validation) -> tuple[ClassDice, ...]:
    """Every class of the model before and after."""
    pairs = [(c, before.per_class.get(c.value), after.per_class.get(c.value)) for c in model.card.classes]
    return tuple(ClassDice(c.value, c.name, one and rounded(one), two and rounded(two)) for c, one, two in pairs)


def interval(differences: Doubles) -> tuple[float, float]:
    """Percentile bootstrap of a mean."""
    rng = np.random.default_rng(SEED)
    means = differences[rng.integers(0, len(differences), (DRAWS, len(differences)))].mean(axis=1)
    edges = np.quantile(means, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return rounded(edges[0]), rounded(edges[1])


def rounded(number: float) -> float:
    """Four digits."""
    return round(float(number), 4)


def gain_veto(low: float) -> tuple[str, ...]:
    """A gain on imitations that may be none."""
    return () if low > 0 else ("it is not surely better on source scans that imitate the new ones",)


def source_veto(before: float, after: float) -> tuple[str, ...]:
    """Forgetting."""
    return () if after >= before - MOST_LOSS else (f"it loses {before - after:.3f} Dice on the source's own scans",)


def steady_veto(before: float, after: float) -> tuple[str, ...]:
    """Less sure of the new scans than before."""
    return () if after >= before - MOST_UNSTEADY else ("views of one new scan agree less than before",)


def volume_vetoes(model: Model, usual: Doubles, before: Doubles, after: Doubles) -> tuple[str, ...]:
    """Classes that vanish, or whose median volume moves away from the usual one."""
    medians = [np.median(sizes, axis=0) for sizes in (usual, before, after)]
    vetoes = []
    for c, own, old, new in zip(model.card.classes, *medians, strict=True):
        if old > 0 and new == 0:
            vetoes.append(f"{c.name} vanishes from the new scans")
        elif abs(new - own) > abs(old - own) + MOST_MOVED * own:
            vetoes.append(f"{c.name} moves away from its usual volume")
    return tuple(vetoes)
