"""The BIDS layout: sub-X/[ses-Y/]anat or ct; labels are written as a derivative dataset, the source is left alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path

from napari_ganseg.batch.case import ScanCase, make_case
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.io.names import stem

DESCRIPTION = "dataset_description.json"
KINDS = ("anat", "ct")
LABELS = ("dseg", "probseg", "mask")
FOLDERS = tuple(f"{sub}/{kind}" for sub in ("sub-*", "sub-*/ses-*") for kind in KINDS)


def is_bids(folder: Path) -> bool:
    """Whether a folder is a BIDS dataset: it says so, or its subjects' folders do."""
    return (folder / DESCRIPTION).is_file() or any(True for f in FOLDERS for _ in folder.glob(f))


def bids_cases(folder: Path, out: Path, files: Iterable[Path]) -> list[ScanCase]:
    """Cases of a BIDS dataset.

    sub-1/anat/sub-1_T1w.nii.gz -> sub-1/anat/sub-1_desc-T1w_dseg.nii.gz: the suffix becomes `desc`, so that a
    subject's T1w and T2w do not meet.
    """
    return [make_case((folder / file,), out, file.parent / derived(stem(file))) for file in files if is_image(file)]


def is_image(file: Path) -> bool:
    """Whether a path inside the dataset is a subject's image and no mask."""
    depth_fits = file.parts[0].startswith("sub-") and len(file.parts) in (3, 4)
    in_place = any(fnmatchcase(file.parent.as_posix(), pattern) for pattern in FOLDERS)
    return depth_fits and in_place and stem(file).rpartition("_")[2] not in LABELS


def derived(name: str) -> str:
    """A derivative's name from its source's."""
    entities, _, suffix = name.rpartition("_")
    return f"{entities}_desc-{suffix}_dseg" if entities else f"{name}_dseg"


def describe(out: Path) -> None:
    """Say in the output folder that it is a BIDS derivative, unless it says something already."""
    if (out / DESCRIPTION).exists():
        return
    made_by = {"Name": "napari-ganseg", "Version": version("napari-ganseg")}
    content = {
        "Name": "Segmentations", "BIDSVersion": "1.9.0", "DatasetType": "derivative", "GeneratedBy": [made_by],
    }  # fmt: skip
    write_bytes(out / DESCRIPTION, (json.dumps(content, indent=1) + "\n").encode())
