"""File names and sizes in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_ganseg import io
from napari_ganseg.io.names import amount, shown, sidecar_path, stem


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/a/b/scan.nii.gz", "scan.nii.gz"),
        ("Größe 肝.nii", "Größe 肝.nii"),
        ("a\nb\tc", r"a\nb\tc"),
        ("a\u202eb", r"a\u202eb"),
        ("a\udcffb", r"a\udcffb"),
        ("%s{x}", "%s{x}"),
        ("/", "/"),
        (".", "."),
    ],
)
def test_a_name_in_a_message_can_be_printed(path: str, text: str) -> None:
    assert shown(path) == shown(Path(path)) == text


@pytest.mark.parametrize("suffix", [*io.EXTENSIONS, ".NII.GZ", ".Nii", ".png"])
def test_a_sidecar_has_the_name_without_the_suffix(suffix: str) -> None:
    assert stem(f"/a/case.1{suffix}") == "case.1"
    assert sidecar_path(f"/a/case.1{suffix}") == Path("/a/case.1.json")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (2.5e6, "2.5 MB"),
        (8.04e9, "8.0 GB"),
        (70.37e12, "70.4 TB"),
    ],
)
def test_sizes_are_for_people(size: float, text: str) -> None:
    assert amount(size) == text
