"""The studies: which data, which network, how many labels, which patients are labelled."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.few import labelled as chosen_patients
from napari_ganseg.networks import Arch
from napari_ganseg.training import Case
from napari_ganseg.training.cases import good_cases, scan_folder
from napari_ganseg.training.config import TrainConfig, config_from_json

RECIPES = Path("benchmarks/recipes")
TEST, CALIBRATION = 0, 1  # folds; the others are the pool
FEW = 8  # labelled patients, of which the claim speaks


@dataclass(frozen=True, slots=True)
class Study:
    """One data set and one small network, the same in every arm.

    Attributes:
        name: as users would call the data.
        config: of the plain arm; its last average counts, no checkpoint is picked.
        labels: how many patients are labelled, per budget.
        arms: of each budget.
        seeds: of the labelled subset, the weights and the order of the data together.
    """

    name: str
    folder: str
    config: TrainConfig
    arms: dict[int, tuple[str, ...]]
    seeds: int = 3

    def patient(self, name: str) -> str:
        """Whose case it is."""
        until = self.config.split.patient_until
        return name.split(until)[0] if until else name

    def fold(self, name: str) -> int:
        """Fold of a case, by its patient."""
        return self.config.split.fold_of(name)


SEMI = ("adversary on unlabelled", "mean teacher", "both")
PLAIN = ("supervised", "adversary", "shuffled pairs")
EVERY = "every label"
LAST = "equal time"  # needs the others' seconds


def heart() -> Study:
    """2D: left-ventricle cavity at 2 mm, 16 patients in the pool."""
    base = recipe("heart-lv")
    card = replace(
        base.card,
        name="heart",
        spacing=(2.0, 2.0),
        patch=(96, 96),
        arch=Arch("DynUNet", (16, 32, 64, 128), ((2, 2),) * 3),
    )
    config = replace(base, card=card, steps=1200, validate_every=1200, batch_size=4, ema=0.99)
    few = (*PLAIN, *SEMI, LAST)
    return Study("heart", "heart_lv_mri_2d", config, {4: few, FEW: (*few, EVERY), 16: (*PLAIN, LAST)})


def hippocampus() -> Study:
    """3D: both parts of the hippocampus at 1 mm, 112 cases in the pool."""
    base = recipe("hippocampus-mri")
    arch = replace(base.card.arch, features=(8, 16, 32, 64))  # half as wide, trained twice as long at thrice the rate
    card = replace(base.card, name="hippocampus", arch=arch)
    config = replace(base, card=card, steps=1000, validate_every=1000, batch_size=2, learning_rate=3e-3)
    return Study("hippocampus", "hippocampus_mri", config, {FEW: ("supervised", "adversary", *SEMI, LAST, EVERY)})


def at_length(study: Study, steps: int) -> Study:
    """The same with more steps, at the claim's budget: of the setting alone that calibration chose at fewer."""
    config = replace(study.config, steps=steps, validate_every=steps)
    return replace(study, name=f"{study.name}-long", config=config, arms={FEW: ("supervised", "mean teacher", LAST)})


def studies() -> dict[str, Study]:
    """All, by name; those of a data set one after the other."""
    every = (heart(), at_length(heart(), 3600), hippocampus(), at_length(hippocampus(), 2000))
    return {study.name: study for study in every}


def recipe(name: str) -> TrainConfig:
    """The configuration of a shipped model."""
    return config_from_json((RECIPES / f"{name}.json").read_bytes())


@functools.cache
def all_cases(folder: str) -> tuple[Case, ...]:
    """Every case of a data set."""
    root = os.environ.get("GANSEG_DATA")
    if not root:
        sys.exit("Set GANSEG_DATA to the folder of the project's data.")
    study = next(s for s in studies().values() if s.folder == folder)
    card = study.config.card
    return tuple(good_cases(scan_folder(Path(root) / folder, len(card.channels), card.classes)))


def divided(study: Study, cases: Sequence[Case], labels: int, seed: int) -> tuple[list[Case], list[Case]]:
    """Labelled cases of so many patients of the pool, and those of all the others; nested over `labels`."""
    pool = [case for case in cases if study.fold(case.name) not in (TEST, CALIBRATION)]
    chosen = chosen_patients(sorted({study.patient(case.name) for case in pool}), labels, seed)
    labelled = [case for case in pool if study.patient(case.name) in chosen]
    return labelled, [case for case in pool if study.patient(case.name) not in chosen]


def of_fold(study: Study, cases: Sequence[Case], fold: int) -> list[Case]:
    """The cases of a fold."""
    return [case for case in cases if study.fold(case.name) == fold]
