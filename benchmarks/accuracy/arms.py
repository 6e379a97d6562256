"""The arms: what each adds to the plain configuration, everything else equal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch

from torch import Tensor

from napari_ganseg.training import adversary
from napari_ganseg.training.adversary import Pairs
from napari_ganseg.training.config import TrainConfig

WEIGHT, SECOND_WEIGHT = 1.0, 0.5  # at 0.05 the adversary's gradient was 0.004 of the labels': it did not speak up
CONSISTENCY, RAMP, SURE, STRONG = 1.0, 0.9, 0.95, 0.0  # a teacher that speaks late, of what it is sure of
WHAT = {
    "supervised": "the network alone",
    "adversary": "a discriminator of (image, segmentation) pairs, on the labelled scans",
    "shuffled pairs": "the same, its images exchanged within the batch: equal computing, less information",
    "adversary on unlabelled": "and a second one, of soft maps, that compares unlabelled with labelled scans",
    "mean teacher": "no discriminator; consistency with the own average on unlabelled scans (CutMix)",
    "both": "mean teacher, and both discriminators",
    "equal time": "the network alone, for as many processor seconds as the costliest arm",
    "every label": "the network alone, which is shown the labels of all other patients too: the most scans can teach",
}


def configured(config: TrainConfig, arm: str) -> TrainConfig:
    """The configuration of an arm."""
    judged = replace(config.adversary, weight=WEIGHT if arm in WITH_CRITIC else 0.0)
    unlabelled = replace(
        config.unlabelled,
        ramp=RAMP,
        threshold=SURE,
        strong=STRONG,
        consistency=CONSISTENCY if arm in ("mean teacher", "both") else 0.0,
        adversary=SECOND_WEIGHT if arm in ("adversary on unlabelled", "both") else 0.0,
    )
    return replace(config, adversary=judged, unlabelled=unlabelled)


WITH_CRITIC = ("adversary", "shuffled pairs", "adversary on unlabelled", "both")


@contextlib.contextmanager
def shuffled_pairs(arm: str) -> Iterator[None]:
    """While it lasts, the discriminator of the control arm sees every map beside another item's image."""
    if arm != "shuffled pairs":
        yield
        return
    honest = adversary.judged_pairs

    def mismatched(image: Tensor, logits: Tensor, target: Tensor, config: TrainConfig) -> Pairs:
        shown = honest(image, logits, target, config)
        return replace(shown, image=shown.image.roll(1, 0))

    with patch.object(adversary, "judged_pairs", mismatched):
        yield
