"""Pictures come in as they are looked at, and labels go back onto the very pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_ganseg.errors import FileError
from napari_ganseg.io import read, read_labels, write
from napari_ganseg.volume import LabelClass, LabelMap

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)  # rows from the top, columns from the left


def saved(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def test_the_top_left_pixel_lies_in_front_and_on_the_right(tmp_path: Path) -> None:
    """As on a light box: array axes grow to the front and to the patient's right."""
    volume = read(saved(tmp_path / "a.png", GREY))
    np.testing.assert_array_equal(volume.array, GREY[::-1, ::-1])
    top_left = volume.to_mm((2, 3))
    assert (top_left[0], top_left[1]) == (0, 0)
    assert volume.to_mm((0, 0))[0] < 0 > volume.to_mm((0, 0))[1]
    assert "1 mm a pixel" in volume.notes[0]


@pytest.mark.parametrize("name", ["l.png", "l.tif"])
def test_labels_go_back_onto_the_same_pixels(tmp_path: Path, name: str) -> None:
    volume = read(saved(tmp_path / "a.png", GREY))
    labels = LabelMap(
        array=(volume.array > 6).astype(np.uint8), affine=volume.affine, stored=volume.stored,
        classes=(LabelClass(1, "bright", "#ff0000"),),
    )  # fmt: skip
    write(tmp_path / name, labels)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / name)), GREY > 6)
    again = read_labels(tmp_path / name)
    np.testing.assert_array_equal(again.array, labels.array)
    assert again.classes == labels.classes


def test_labels_of_a_picture_become_nifti_in_the_same_place(tmp_path: Path) -> None:
    volume = read(saved(tmp_path / "a.png", GREY))
    labels = LabelMap(array=(volume.array > 6).astype(np.uint8), affine=volume.affine, stored=volume.stored)
    again = read_labels(write(tmp_path / "l.nii.gz", labels))
    assert again.same_grid_as(labels)
    np.testing.assert_array_equal(again.array, labels.array)


def test_colours_are_channels_and_transparency_is_none(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (5, 6, 4)).astype(np.uint8)
    volume = read(saved(tmp_path / "a.png", colours))
    assert (volume.channels, volume.shape) == (3, (5, 6))
    np.testing.assert_array_equal(volume.array[1], colours[::-1, ::-1, 1])
    assert "transparency ignored." in volume.notes


def test_sixteen_bits_of_grey_are_kept(tmp_path: Path) -> None:
    assert read(saved(tmp_path / "a.png", GREY.astype(np.uint16) * 5000)).array.max() == 55000


def test_a_palette_holds_labels(tmp_path: Path) -> None:
    image = Image.fromarray(GREY % 3, mode=None).convert("P")
    image.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    image.putdata((GREY % 3).ravel().tolist())
    image.save(tmp_path / "l.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "l.png").array, (GREY % 3)[::-1, ::-1])


def test_colours_are_no_labels(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", np.zeros((3, 4, 3), dtype=np.uint8))
    with pytest.raises(FileError, match=r"Cannot open a\.png: it is a colour picture"):
        read_labels(path)


def test_a_cut_picture_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(FileError, match=r"Cannot open a\.png"):
        read(path)


def test_several_pages_are_asked_about_and_a_thumbnail_is_not(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "two.tif", np.zeros((2, 5, 6), dtype=np.uint8), photometric="minisblack")
    with pytest.raises(FileError, match="2 pages"):
        read(tmp_path / "two.tif")
    with tifffile.TiffWriter(tmp_path / "thumb.tif") as file:
        file.write(GREY)
        file.write(GREY[:2, :2])
    assert read(tmp_path / "thumb.tif").shape == (3, 4)


def test_a_picture_holds_no_volume(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"use \.nii\.gz"):
        write(tmp_path / "l.png", LabelMap(array=np.zeros((2, 3, 4), dtype=np.uint8)))


def test_labels_never_overwrite_their_picture(tmp_path: Path) -> None:
    volume = read(saved(tmp_path / "a.png", GREY))
    labels = LabelMap(array=np.zeros((3, 4), dtype=np.uint8), affine=volume.affine, stored=volume.stored)
    with pytest.raises(FileError, match="overwrite the input image"):
        write(tmp_path / "a.png", labels)
