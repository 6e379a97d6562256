"""How an adaptation trains: few steps from the original, at a third of the usual learning rate."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_ganseg.adaptation.division import SPLIT
from napari_ganseg.models import Card
from napari_ganseg.models.card import Adversary, Provenance
from napari_ganseg.training.config import Adversary as Schedule
from napari_ganseg.training.config import Augmentation, TrainConfig, Unlabelled
from napari_ganseg.training.guards import Limits
from napari_ganseg.training.planning import sides_in

CHECKPOINTS = 3  # on the way; none of them is picked
BATCH = {2: 4, 3: 2}


@dataclass(frozen=True, slots=True)
class Options:
    """What decides an adaptation, together with the scans.

    Attributes:
        name: of the adapted model; empty for the original's with "-adapted".
        steps: updates of the generator.
        restyle: whether source scans are restyled; without, only what is without labels can adapt.
        consistency: weight of the mean teacher on the new scans; 0 is off.
        adversary: weight of the discriminator that compares soft maps of new and restyled scans; 0 is off.
        share: of the trained weights in the result; the rest is the original's.
        patient_until: what stands before this in a source scan's file name is the patient, who teaches or judges.
    """

    name: str = ""
    steps: int = 150
    restyle: bool = True
    consistency: float = 0.3
    adversary: float = 0.0
    learning_rate: float = 3e-4
    seed: int = 0
    share: float = 0.75
    patient_until: str = ""


def configured(card: Card, options: Options) -> TrainConfig:
    """The training's configuration; its last average counts, no checkpoint is picked."""
    name = options.name or f"{card.name}-adapted"
    fresh = replace(card, name=name, provenance=Provenance(), adversary=Adversary(), probe=None)
    return TrainConfig(
        card=fresh,
        steps=options.steps,
        batch_size=BATCH[card.dims],
        learning_rate=options.learning_rate,
        validate_every=max(1, options.steps // CHECKPOINTS),
        tolerance=1.0,
        seed=options.seed,
        split=SPLIT,
        augmentation=augmentation(card),
        adversary=Schedule(limits=Limits(ready=0.52, losing=0.505)),
        unlabelled=Unlabelled(
            consistency=options.consistency, threshold=0.8, ramp=0.3, strong=0.6, adversary=options.adversary
        ),
    )


def augmentation(card: Card) -> Augmentation:
    """The usual one; MRI also with bias fields."""
    sides = sides_in(card.classes) if card.dims == 3 else ()
    return Augmentation(sides=sides, bias=0.3 if card.modality == "MR" else 0.0, low_resolution=0.1)
