"""A data set of which few patients are labelled: links to their files, and to the others' images without labels."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_ganseg.io.names import stem
from napari_ganseg.training.config import Split

LABELLED, UNLABELLED = "labelled", "unlabelled"


def linked(data: Sequence[Path], folder: Path, split: Split, labels: int, seed: int) -> tuple[list[Path], list[Path]]:
    """Folders of a training: labelled patients and those that validate, and the images of all others of the pool.

    Args:
        data: folders with `images/`, `labels/` and perhaps `cases.csv`.
        folder: where the links go; what lies there is replaced.
        split: held-out folds are left out, validation folds keep their labels and count as nobody's.
        labels: how many patients of the pool are labelled; nested over this number.
        seed: decides which.
    """
    pool = [p.name for root in data for p in images(root) if not is_kept_apart(split, p.name)]
    chosen = labelled(sorted({patient(split, name) for name in pool}), labels, seed)
    for kind in (LABELLED, UNLABELLED):
        shutil.rmtree(folder / kind, ignore_errors=True)
    for root in data:
        for image in images(root):
            if split.fold_of(image.name) in split.held_out:
                continue
            if is_kept_apart(split, image.name) or patient(split, image.name) in chosen:
                for path in sorted(root.glob(f"*/{stem(image.name)}.*")):  # with `labels/NAME.known.nii.gz`
                    link(path, folder / LABELLED / root.name / path.parent.name / path.name)
            else:
                link(image, folder / UNLABELLED / root.name / image.name)
        if (root / "cases.csv").exists() and (folder / LABELLED / root.name).exists():
            link(root / "cases.csv", folder / LABELLED / root.name / "cases.csv")
    made, rest = ([folder / kind / root.name for root in data] for kind in (LABELLED, UNLABELLED))
    return [path for path in made if path.exists()], [path for path in rest if path.exists()]


def images(root: Path) -> list[Path]:
    """Images of a data set, by name."""
    return sorted((root / "images").iterdir())


def patient(split: Split, name: str) -> str:
    """Whose image it is."""
    return name.split(split.patient_until)[0] if split.patient_until else name


def is_kept_apart(split: Split, name: str) -> bool:
    """Whether an image is held out or validates."""
    return split.fold_of(name) in (*split.held_out, *split.validation)


def labelled(patients: Sequence[str], labels: int, seed: int) -> set[str]:
    """So many of the patients, drawn by the seed; nested over `labels`."""
    return {patients[i] for i in np.random.default_rng([seed, 6]).permutation(len(patients))[:labels]}


def link(path: Path, place: Path) -> None:
    """A link at a place to a file."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(path.absolute())
