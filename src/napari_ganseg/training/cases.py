"""Labelled cases: found in a folder, every pair checked before the first step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ganseg.errors import GansegError, UsageError
from napari_ganseg.io import READABLE, read, read_labels
from napari_ganseg.io.names import shown, stem
from napari_ganseg.models import Card
from napari_ganseg.models.card import CardClass
from napari_ganseg.training.nnunet import channels_by_case, is_nnunet, label_file, named, names_in, read_channels
from napari_ganseg.training.partial import KNOWN, annotate, missing_classes
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


def scan_folder(folder: str | Path, channels: int = 1, classes: Sequence[CardClass] = ()) -> list[Verdict]:
    """Read and check every pair of `images/` and `labels/` with the same file name, or of nnU-Net's folders.

    Args:
        folder: holds `images/` and `labels/`, and says what is not annotated as `partial` describes.
        channels: how many channels an image has; with more than one, its fourth axis.
        classes: the model's, to find those that were not contoured in a case.

    Raises:
        UsageError: there are no such folders, or nothing in them.
    """
    if is_nnunet(Path(folder)):
        verdicts = without_copies(scan_nnunet(Path(folder), classes))
        return verdicts if classes else with_missing(verdicts, Path(folder))
    images, labels = Path(folder) / "images", Path(folder) / "labels"
    if not images.is_dir() or not labels.is_dir():
        raise UsageError(
            f"{shown(folder)} needs the folders images and labels, with files of the same names, or nnU-Net's two."
        )
    names = sorted({p.name for place in (images, labels) for p in place.iterdir() if is_case(p.name)})
    if not names:
        raise UsageError(f"There are no NIfTI files or pictures in {shown(folder)}/images.")
    missing = missing_classes(Path(folder), classes)
    pairs = [check_pair(images / n, labels / n, channels, missing.get(stem(n), frozenset())) for n in names]
    return without_copies(pairs) if classes else with_missing(without_copies(pairs), Path(folder))


def with_missing(verdicts: Sequence[Verdict], folder: Path) -> list[Verdict]:
    """The same, with what the labels' own classes say is not contoured: nobody gave the model's."""
    own = {c.value: c for v in verdicts if v.case is not None for c in v.case.annotation.labels.classes}
    missing = missing_classes(folder, list(own.values()))
    return [replace(v, case=lacking(v.case, missing.get(stem(v.name), frozenset()))) for v in verdicts]


def lacking(case: Case | None, missing: frozenset[int]) -> Case | None:
    """A case in which nobody contoured some classes."""
    return replace(case, annotation=replace(case.annotation, missing=missing)) if case and missing else case


def scan_nnunet(folder: Path, classes: Sequence[CardClass]) -> list[Verdict]:
    """Every case of nnU-Net's layout, under the names of its `dataset.json`."""
    names, missing = names_in(folder), missing_classes(folder, classes)
    return [
        check_nnunet(folder, case, paths, names, missing.get(case, frozenset()))
        for case, paths in channels_by_case(folder).items()
    ]


def check_nnunet(
    folder: Path, case: str, paths: Sequence[Path], names: Mapping[int, str], missing: frozenset[int]
) -> Verdict:
    """Read one case; a fault is a verdict, not an end."""
    label = label_file(folder, case)
    for is_there, what in ((bool(paths), "image"), (label.exists(), "label")):
        if not is_there:
            return Verdict(f"{case}.nii.gz", None, f"its {what} is missing")
    try:
        annotation = named(annotate(read_labels(label), label, missing), names)
        return Verdict(label.name, make_case(label.name, read_channels(paths), annotation))
    except GansegError as error:
        return Verdict(label.name, None, str(error))


def is_case(name: str) -> bool:
    """Whether a file name can stand for a case; of a `.hdr` with its `.img` the first does, a known mask does not."""
    return name.lower().endswith(READABLE) and not name.lower().endswith((".img", ".img.gz", KNOWN))


def check_pair(image: Path, label: Path, channels: int, missing: frozenset[int] = frozenset()) -> Verdict:
    """Read one pair; a fault is a verdict, not an end."""
    for path, what in ((image, "image"), (label, "label")):
        if not path.exists():
            return Verdict(image.name, None, f"its {what} is missing")
    try:
        volume = read(image, channels=channels > 1 or None)
        return Verdict(image.name, make_case(image.name, volume, annotate(read_labels(label), label, missing)))
    except GansegError as error:
        return Verdict(image.name, None, str(error))


def without_copies(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Turn a second copy of an image into a fault: it could learn in one fold and be tested in another."""
    first: dict[str, Verdict] = {}
    judged = []
    for verdict in verdicts:
        if verdict.case is not None:
            original = first.setdefault(sha256_of(verdict.case.image.array), verdict)
            if original is not verdict:
                verdict = Verdict(verdict.name, None, f"it is the same image as {shown(original.name)}")
        judged.append(verdict)
    return judged


def make_case(name: str, volume: Volume, annotation: Annotation | LabelMap) -> Case:
    """A case; a label map alone counts as fully annotated.

    Raises:
        UsageError: image and labels do not lie on the same grid, or a label is negative.
    """
    if isinstance(annotation, LabelMap):
        annotation = Annotation(annotation, np.ones(annotation.shape, dtype=np.bool_))
    labels = annotation.labels
    if not volume.same_grid_as(labels):
        raise UsageError(
            f"image and labels differ in grid ({volume.shape} at {rounded(volume.spacing_mm)} mm, {labels.shape} at "
            f"{rounded(labels.spacing_mm)} mm, or shifted)"
        )
    if labels.array.min() < 0:
        raise UsageError(f"its labels hold the value {labels.array.min()}; classes are positive")
    return Case(name, volume, annotation)


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
        raise UsageError(
            f"Only {len(good)} of {len(judged)} pairs can be used; four in five are needed. {faults[:600]}"
        )
    return good


def with_values(verdict: Verdict, values: Sequence[int]) -> Verdict:
    """Turn a case that holds an unknown label value into a fault."""
    if verdict.case is None:
        return verdict
    unknown = unknown_values(verdict.case, values)
    if not unknown:
        return verdict
    return Verdict(verdict.name, None, f"its labels hold the value {min(unknown)}, which has no class")


def unknown_values(case: Case, values: Sequence[int]) -> set[int]:
    """Label values in a case that have no class."""
    return {value for value, voxels in case.annotation.labels.counts().items() if voxels} - set(values)


def check_cases(cases: Sequence[Case], card: Card) -> None:
    """Refuse cases that a model cannot learn from.

    Raises:
        UsageError: naming the case and what does not fit.
    """
    names = [case.name for case in cases]
    if len(set(names)) < len(names):
        raise UsageError(f"Two cases are called {shown(max(names, key=names.count))}; names decide the folds.")
    for case in cases:
        if fault := misfit(case, card):
            raise UsageError(f"{shown(case.name)} cannot train {card.name}: {fault}.")


def misfit(case: Case, card: Card) -> str:
    """Why a case does not fit a model, or nothing."""
    if case.image.spatial_ndim != card.dims:
        return f"it is {case.image.spatial_ndim}D, the model {card.dims}D"
    if case.image.channels != len(card.channels):
        return f"it has {case.image.channels} channel(s), the model {len(card.channels)}"
    if unknown := unknown_values(case, [c.value for c in card.classes]):
        return f"its labels hold the value {min(unknown)}, which has no class"
    return "" if case.annotation.known.any() else "nothing in it is annotated"


def case_sha256(case: Case) -> str:
    """SHA-256 of everything a training learns from a case."""
    labels, known = case.annotation.labels, case.annotation.known
    missing = np.array(sorted(case.annotation.missing), dtype=np.int64)
    return sha256_of(case.image.array, case.image.affine, labels.array, known, missing)


def sha256_of(*arrays: npt.NDArray[Any]) -> str:
    """SHA-256 over dtype, shape and bytes of arrays."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype.str}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return sha.hexdigest()
