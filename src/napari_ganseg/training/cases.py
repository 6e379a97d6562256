"""Labelled cases: found in a folder, every pair checked before the first step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_ganseg.errors import GansegError, UsageError
from napari_ganseg.io import EXTENSIONS, read, read_labels
from napari_ganseg.io.names import shown
from napari_ganseg.training.config import Split, fold_of
from napari_ganseg.volume import Annotation, LabelMap, Volume

LEAST_GOOD = 0.8  # share of a folder's pairs that must be usable


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One labelled image.

    Attributes:
        name: its image's file name, which decides its fold.
        image: the volume.
        annotation: what is known about it.
    """

    name: str
    image: Volume
    annotation: Annotation


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What became of one pair of files: a case, or why it is not one."""

    name: str
    case: Case | None
    fault: str = ""


def scan_folder(folder: str | Path, channels: int = 1) -> list[Verdict]:
    """Read and check every pair of `images/` and `labels/` with the same file name.

    Args:
        folder: holds `images/` and `labels/`.
        channels: how many channels an image has; with more than one, its fourth axis.

    Raises:
        UsageError: there are no such folders, or nothing in them.
    """
    images, labels = Path(folder) / "images", Path(folder) / "labels"
    if not images.is_dir() or not labels.is_dir():
        raise UsageError(f"{shown(folder)} needs the folders images and labels, with files of the same names.")
    names = sorted(
        {p.name for place in (images, labels) for p in place.iterdir() if p.name.lower().endswith(EXTENSIONS)}
    )
    if not names:
        raise UsageError(f"There are no NIfTI files in {shown(folder)}/images.")
    return [check_pair(images / name, labels / name, channels) for name in names]


def check_pair(image: Path, label: Path, channels: int) -> Verdict:
    """Read one pair; a fault is a verdict, not an end."""
    for path, what in ((image, "image"), (label, "label")):
        if not path.exists():
            return Verdict(image.name, None, f"its {what} is missing")
    try:
        volume = read(image, channels=channels > 1 or None)
        return Verdict(image.name, make_case(image.name, volume, read_labels(label)))
    except GansegError as error:
        return Verdict(image.name, None, str(error))


def make_case(name: str, volume: Volume, labels: LabelMap, missing: frozenset[int] = frozenset()) -> Case:
    """A fully annotated case.

    Raises:
        UsageError: image and labels do not lie on the same grid.
    """
    if not volume.same_grid_as(labels):
        raise UsageError(
            f"image and labels differ in grid ({volume.shape} at {rounded(volume.spacing_mm)} mm, {labels.shape} at "
            f"{rounded(labels.spacing_mm)} mm, or shifted)"
        )
    return Case(name, volume, Annotation(labels, labels.array >= 0, missing))


def rounded(spacing: Sequence[float]) -> str:
    """Spacing in a few characters."""
    return " x ".join(f"{s:.3g}" for s in spacing)


def good_cases(verdicts: Sequence[Verdict], values: Sequence[int] | None = None) -> list[Case]:
    """The usable cases, as long as most are.

    Args:
        verdicts: of a whole folder.
        values: label values that have a class; a case with another is not usable.

    Raises:
        UsageError: none, or fewer than four in five, are usable; the message lists the first faults.
    """
    judged = [with_values(v, values) if values is not None else v for v in verdicts]
    good = [v.case for v in judged if v.case is not None]
    if not good or len(good) < LEAST_GOOD * len(judged):
        faults = "; ".join(f"{shown(v.name)}: {v.fault}" for v in judged if v.case is None)
        raise UsageError(f"Only {len(good)} of {len(judged)} pairs can be used. {faults[:600]}")
    return good


def with_values(verdict: Verdict, values: Sequence[int]) -> Verdict:
    """Turn a case that holds an unknown label value into a fault."""
    if verdict.case is None:
        return verdict
    unknown = set(verdict.case.annotation.labels.counts()) - set(values)
    if not unknown:
        return verdict
    return Verdict(verdict.name, None, f"its labels hold the value {min(unknown)}, which has no class")


def divide(cases: Sequence[Case], split: Split) -> tuple[list[Case], list[Case]]:
    """Training and validation cases; with too few for any validation fold, one case is moved over.

    Raises:
        UsageError: nothing is left to train on.
    """
    folds = {case.name: fold_of(case.name) for case in cases}
    kept = [c for c in cases if folds[c.name] not in split.held_out]
    validation = [c for c in kept if folds[c.name] in split.validation]
    training = [c for c in kept if folds[c.name] not in split.validation]
    if not validation and len(training) > 1:
        validation, training = training[-1:], training[:-1]
    if not training and len(validation) > 1:
        training, validation = validation[:-1], validation[-1:]
    if not training:
        raise UsageError(f"{len(cases)} case(s) leave nothing to train on after the split; two are the least.")
    return training, validation
