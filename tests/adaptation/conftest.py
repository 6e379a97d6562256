"""Ellipses of many patients, and a model that has learnt to find them."""

from __future__ import annotations

import numpy as np
import pytest
from builders import Z_SCORE, make_card
from scipy.ndimage import gaussian_filter

from napari_ganseg.models import Model
from napari_ganseg.training import Case, TrainConfig, fit
from napari_ganseg.training.cases import make_case
from napari_ganseg.training.config import Augmentation, fold_of
from napari_ganseg.volume import LabelClass, LabelMap, Volume

SIDE = 48
PATIENTS = (1, 1, 0, 0, 2, 2, 3, 4)  # folds of the names of the source scans: those of folds 1 and 2 judge


def phantom(name: str, seed: int) -> Case:
    """A bright ellipse of its own size and place on texture, with a little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    (cy, cx), (a, b) = rng.uniform(0.4, 0.6, 2) * SIDE, rng.uniform(0.18, 0.26, 2) * SIDE
    inside = ((y - cy) / a) ** 2 + ((x - cx) / b) ** 2 < 1
    image = 10 * gaussian_filter(rng.normal(0, 3, inside.shape), 2) + 80 * inside
    image = gaussian_filter(image, 0.6) + rng.normal(0, 3, inside.shape)
    labels = LabelMap(array=inside.astype(np.uint8), classes=(LabelClass(1, "organ 1", "#e6550d"),))
    return make_case(name, Volume(array=image.astype(np.float32)), labels)


def names() -> list[str]:
    """Of the source scans, one patient each."""
    candidates = [[f"{k}-{i}.nii.gz" for i in range(60)] for k in range(len(PATIENTS))]
    return [next(n for n in each if fold_of(n) == fold) for each, fold in zip(candidates, PATIENTS, strict=True)]


@pytest.fixture(scope="session")
def source() -> list[Case]:
    return [phantom(name, seed) for seed, name in enumerate(names())]


@pytest.fixture(scope="session")
def fresh() -> list[Volume]:
    """Scans of other patients by the same scanner."""
    return [phantom("new.nii.gz", seed).image for seed in range(100, 103)]


@pytest.fixture(scope="session")
def model(source: list[Case]) -> Model:
    """Trained for a few seconds."""
    card = make_card(2, preprocessing=Z_SCORE, patch=(32, 32), modality="MR")
    config = TrainConfig(
        card, steps=70, validate_every=70, batch_size=4, learning_rate=1e-2, ema=0.9, augmentation=Augmentation(0.2)
    )
    return fit(source, config).result
