"""File > Open Sample: a synthetic CT and MRI with no patient in them."""

from __future__ import annotations

from pathlib import Path

from napari_ganseg.errors import FileError
from napari_ganseg.plugin.layers import LayerData
from napari_ganseg.plugin.reader import open_files

IN_WHEEL = Path(__file__).parents[1] / "sample_volumes"
IN_REPOSITORY = Path(__file__).parents[3] / "sample_volumes"


def sample_path(name: str) -> Path:
    """File of a sample volume.

    Raises:
        FileError: it was not installed.
    """
    for folder in (IN_WHEEL, IN_REPOSITORY):
        if (folder / name).is_file():
            return folder / name
    raise FileError(f"The sample {name} is missing; install napari-ganseg again.")


def sample_ct() -> list[LayerData]:
    """A head-and-neck CT phantom."""
    return open_files(str(sample_path("sample_ct.nii.gz")))


def sample_mri() -> list[LayerData]:
    """An MRI phantom of a hippocampus."""
    return open_files(str(sample_path("sample_mri.nii.gz")))
