"""nnU-Net's layout: imagesTr and imagesTs hold CASE_0000.nii.gz, CASE_0001.nii.gz, one file per channel."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from napari_ganseg.batch.case import ScanCase, make_case
from napari_ganseg.io.names import stem

IMAGES = ("imagesTr", "imagesTs")
CHANNEL = re.compile(r"(.+)_(\d{4})", re.DOTALL)


def is_nnunet(folder: Path) -> bool:
    """Whether a folder is a dataset of nnU-Net's, or its folder of images."""
    return folder.resolve().name in IMAGES or is_dataset(folder)


def is_dataset(folder: Path) -> bool:
    """Whether a folder has folders of images."""
    return any((folder / name).is_dir() for name in IMAGES)


def nnunet_cases(folder: Path, out: Path, files: Iterable[Path]) -> list[ScanCase]:
    """Cases of a dataset (labels go to labelsTr, labelsTs) or of one folder of images (labels go straight to `out`)."""
    channels: dict[Path, list[Path]] = defaultdict(list)
    places = IMAGES if is_dataset(folder) else (".",)
    for file in files:
        if file.parent.as_posix() in places:
            channels[place_of(file)].append(file)
    return [make_case(tuple(folder / f for f in sorted(c)), out, place, gap(c)) for place, c in channels.items()]


def place_of(file: Path) -> Path:
    """Where the labels of a file go, without suffix."""
    match = CHANNEL.fullmatch(stem(file))
    return Path(file.parent.name.replace("images", "labels"), match[1] if match else stem(file))


def gap(files: Iterable[Path]) -> str:
    """What is wrong with a case's channels: they count from 0000, none missing."""
    numbers = sorted(int(match[2]) for file in files if (match := CHANNEL.fullmatch(stem(file))))
    missing = sorted(set(range(numbers[-1])) - set(numbers)) if numbers else []
    return f"Its channel {missing[0]:04d} is missing (there is {numbers[-1]:04d}); add the file." if missing else ""
