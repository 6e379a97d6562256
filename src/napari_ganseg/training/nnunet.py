"""Labelled cases in nnU-Net's layout: `imagesTr/CASE_0000.nii.gz`, one file a channel, and `labelsTr/CASE.nii.gz`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from napari_ganseg.errors import UsageError
from napari_ganseg.io import read
from napari_ganseg.io.labels import colour_for
from napari_ganseg.io.names import shown, stem
from napari_ganseg.volume import Annotation, LabelClass, LabelMap, Volume

IMAGES, LABELS, DATASET = "imagesTr", "labelsTr", "dataset.json"
CHANNEL = re.compile(r"^(?P<case>.+)_(?P<channel>\d{4})$")
IGNORE = "ignore"  # what nnU-Net calls voxels that nobody judged


def is_nnunet(folder: Path) -> bool:
    """Whether a folder holds cases in this layout."""
    return (folder / IMAGES).is_dir() and (folder / LABELS).is_dir()


def channels_by_case(folder: Path) -> dict[str, list[Path]]:
    """The files of every case's channels, in their order; a label file without images has none."""
    found: dict[str, list[Path]] = {stem(p): [] for p in (folder / LABELS).iterdir() if is_scan(p)}
    for path in sorted((folder / IMAGES).iterdir()):
        if is_scan(path) and (match := CHANNEL.match(stem(path))):
            found.setdefault(match["case"], []).append(path)
    return dict(sorted(found.items()))


def is_scan(path: Path) -> bool:
    """Whether a file is one that nnU-Net's users have here."""
    return path.name.lower().endswith((".nii.gz", ".nii")) and not path.name.startswith(".")


def read_channels(paths: Sequence[Path]) -> Volume:
    """One volume of one or several files on the same grid.

    Raises:
        UsageError: their grids differ. FileError: one cannot be read.
    """
    volumes = [read(path) for path in paths]
    first = volumes[0]
    for path, volume in zip(paths, volumes, strict=True):
        if not volume.same_grid_as(first):
            raise UsageError(f"{shown(path)} does not lie on the grid of {shown(paths[0])}")
    if len(volumes) == 1:
        return first
    return Volume(array=np.stack([v.array for v in volumes]), affine=first.affine, has_channels=True)


def label_file(folder: Path, case: str) -> Path:
    """The file of a case's labels; it need not exist."""
    paths = (folder / LABELS / f"{case}{suffix}" for suffix in (".nii.gz", ".nii"))
    there = list(paths)
    return next((path for path in there if path.exists()), there[0])


def names_in(folder: Path) -> dict[int, str]:
    """Class names by value, as `dataset.json` has them; none where there is no such file.

    Raises:
        UsageError: it cannot be understood, or has regions (several values a class).
    """
    path = folder / DATASET
    if not path.is_file():
        return {}
    try:
        labels = json.loads(path.read_bytes())["labels"]
        pairs = [(value, name) if str(value).isdigit() else (name, value) for name, value in labels.items()]
        return {int(value): str(name) for value, name in pairs}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"Cannot understand the labels in {shown(path)}; they are names with one value each."
        ) from error


def named(annotation: Annotation, names: Mapping[int, str]) -> Annotation:
    """An annotation with the data set's names; voxels of the class "ignore" become unknown."""
    labels, known = annotation.labels, annotation.known
    ignored = [value for value, name in names.items() if name.lower() == IGNORE]
    if ignored:
        known = known & ~np.isin(labels.array, ignored)
        labels = labels.derive(array=np.where(known, labels.array, 0))
    kept = {value: name for value, name in names.items() if value and value not in ignored}
    classes = tuple(LabelClass(value, name, colour_for(value)) for value, name in sorted(kept.items()))
    return Annotation(with_classes(labels, classes), known, annotation.missing)


def with_classes(labels: LabelMap, classes: tuple[LabelClass, ...]) -> LabelMap:
    """Labels under a data set's names, where it has any."""
    return labels.derive(classes=classes) if classes else labels
