"""The studies of adapting: which shipped model, whose scans are source, new, and test, and which arms there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.accuracy.studies import CALIBRATION, TEST, all_cases, of_fold
from benchmarks.accuracy.studies import Study as Data
from benchmarks.accuracy.studies import studies as data_studies
from napari_ganseg.adaptation.options import Options
from napari_ganseg.training.cases import Case
from napari_ganseg.volume import Volume

MOST_JUDGING = 60  # scans of fold 1
BARE = Options(restyle=False, consistency=0.0, adversary=0.0)
TEACHER, CRITIC = 0.3, 0.5  # weights
ARMS: dict[str, tuple[str, Options | None]] = {
    "do nothing": ("the shipped model", None),
    "same steps": ("further training on the source as it is", BARE),
    "restyle": ("on the source restyled to look like the new scans", replace(BARE, restyle=True)),
    "teacher": ("and a mean teacher on the new scans", replace(BARE, restyle=True, consistency=TEACHER)),
    "adversary": ("and the second discriminator", Options(restyle=True, consistency=TEACHER, adversary=CRITIC)),
    "adversary alone": ("no restyling, no teacher", replace(BARE, adversary=CRITIC)),
    "entropy": ("norm layers alone, entropy of the new scans minimised (TENT)", None),
    "labels of 1": ("further training on one labelled new patient", BARE),
    "labels of 3": ("further training on three", BARE),
}
ADAPTING = ("restyle", "teacher", "adversary", "adversary alone")


def default_arm() -> str:
    """The arm that trains as the product does unless told otherwise; empty where none does."""
    return next((arm for arm in ADAPTING if is_default(ARMS[arm][1])), "")


def is_default(options: Options | None) -> bool:
    """Whether options are the product's, but for the seed and the names of patients."""
    usual = Options()
    return options is not None and replace(options, seed=usual.seed, patient_until=usual.patient_until) == usual


@dataclass(frozen=True, slots=True)
class Study:
    """One shipped model on one data set.

    Attributes:
        data: the study of `benchmarks.accuracy` whose data these are.
        most_source: source scans at the most, evenly spaced.
        most_target: new scans at the most.
    """

    name: str
    model: str
    data: Data
    seeds: int
    most_source: int
    most_target: int = 20

    def options(self, arm: str, seed: int) -> Options:
        """How an arm trains."""
        options = ARMS[arm][1] or Options()
        return replace(options, seed=seed, patient_until=self.data.config.split.patient_until)


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Who is what, for one seed: the patients of the pool are source, those of fold 1 half source, half new.

    Attributes:
        source: labelled scans; those of fold 1 judge.
        new: labelled too, but their labels are used by the arms "labels of" alone.
        test: fold 0.
    """

    source: Sequence[Case]
    new: Sequence[Case]
    test: Sequence[Case]


def studies() -> dict[str, Study]:
    """All, by name."""
    data = data_studies()
    return {
        "heart": Study("heart", "heart-lv", data["heart"], 5, 150),
        "hippocampus": Study("hippocampus", "hippocampus-mri", data["hippocampus"], 3, 80),
    }


def parts(study: Study, seed: int) -> Parts:
    """The patients of a seed."""
    data, cases = study.data, all_cases(study.data.folder)
    middle = of_fold(data, cases, CALIBRATION)
    patients = sorted({data.patient(case.name) for case in middle})
    order = np.random.default_rng([seed, 8]).permutation(len(patients))
    new = {patients[i] for i in order[: len(patients) // 2]}
    pool = [case for case in cases if data.fold(case.name) not in (TEST, CALIBRATION)]
    judging = [case for case in middle if data.patient(case.name) not in new]
    source = [*evenly(pool, study.most_source), *evenly(judging, MOST_JUDGING)]
    return Parts(source, [case for case in middle if data.patient(case.name) in new], of_fold(data, cases, TEST))


def evenly(cases: Sequence[Case], most: int) -> list[Case]:
    """So many at the most, evenly spaced."""
    return [cases[i] for i in np.linspace(0, len(cases) - 1, min(most, len(cases))).round().astype(int)]


def labelled(study: Study, cases: Sequence[Case], patients: int) -> list[Case]:
    """All scans of the first so many patients."""
    chosen = list(dict.fromkeys(study.data.patient(case.name) for case in cases))[:patients]
    return [case for case in cases if study.data.patient(case.name) in chosen]


def images(cases: Sequence[Case]) -> list[Volume]:
    """Without their labels."""
    return [case.image for case in cases]
