"""Read images and label maps: dimensions, frames, channels, and which of both a file is."""

from __future__ import annotations

import re

import nibabel as nib
import numpy as np
import pytest

from napari_ganseg import io
from napari_ganseg.errors import FileError
from napari_ganseg.volume import LabelClass, LabelMap, Volume

ASK = ("it holds 5 images along NIfTI axis 4; say which one (frame=0 in Python, --frame 0 in the shell), or that they "
       "are channels (channels=True, --channels).")  # fmt: skip


@pytest.fixture
def film(ct) -> np.ndarray:
    """Five frames."""
    return np.stack([ct + t for t in range(5)], axis=-1)


@pytest.mark.parametrize("lead", [(), (1,), (1, 1), (1, 1, 1, 1)])
def test_later_axes_of_size_one_are_dropped(make, ct, lead: tuple[int, ...]) -> None:
    volume = io.read(make("x.nii", ct.reshape((*ct.shape, *lead))))
    assert np.array_equal(volume.array.T, ct)
    assert not volume.has_channels


def test_a_film_is_asked_about_never_guessed(make, film) -> None:
    path = make("x.nii", film)
    for reader in (io.read, io.read_any):
        with pytest.raises(FileError, match=f"^Cannot open x.nii: {re.escape(ASK)}$"):
            reader(path)


def test_a_frame_is_the_volume_at_that_time(make, film) -> None:
    volume = io.read(make("x.nii", film), frame=3)
    assert np.array_equal(volume.array.T, film[..., 3])
    assert volume.notes == ("frame 3 of 5 along NIfTI axis 4.",)


@pytest.mark.parametrize("frame", [-1, 5])
def test_a_frame_that_is_not_there_is_refused(make, film, frame: int) -> None:
    with pytest.raises(FileError, match=f"it has 5 frames, counted from 0; there is no frame {frame}\\.$"):
        io.read(make("x.nii", film), frame=frame)


def test_a_single_image_has_frame_0_alone(make, ct) -> None:
    assert np.array_equal(io.read(make(), frame=0).array.T, ct)
    with pytest.raises(FileError, match=r"it has 1 frame, counted from 0; there is no frame 2\.$"):
        io.read(make(), frame=2)


def test_a_fourth_axis_may_be_channels(make, film) -> None:
    volume = io.read(make("x.nii", film), channels=True)
    assert (volume.channels, volume.shape) == (5, (10, 9, 8))
    assert np.array_equal(volume.array[4].T, film[..., 4])
    assert volume.notes == ("NIfTI axis 4 (5 entries) read as channels.",)


def test_a_fifth_axis_is_channels(make, film) -> None:
    volume = io.read(make("x.nii", film[..., np.newaxis, :]))
    assert volume.channels == 5
    assert volume.notes == ("NIfTI axis 5 (5 entries) read as channels.",)


@pytest.mark.parametrize("shape", [(8, 9), (8, 9, 1), (1, 1, 1), (3, 9, 10), (1, 9, 10)])
def test_slices_and_small_volumes_are_read(make, shape: tuple[int, ...]) -> None:
    volume = io.read(make("x.nii", np.arange(np.prod(shape), dtype=np.int16).reshape(shape)))
    assert volume.array.ndim == len(shape)
    assert volume.shape == shape[::-1]


def test_the_standard_files_of_nibabel_are_read_as_nibabel_reads_them(data_dir) -> None:
    path = data_dir / "odd_inputs" / "nibabel" / "anatomical.nii"
    canonical = nib.as_closest_canonical(nib.load(path))
    volume = io.read(path)
    assert np.array_equal(volume.array.T, canonical.get_fdata(dtype=np.float32))
    assert np.allclose(volume.affine[:, [2, 1, 0, 3]], canonical.affine)


def test_values_tell_labels_from_images(make, regions) -> None:
    assert isinstance(io.read_any(make("seg.nii", regions)), LabelMap)
    assert isinstance(io.read_any(make("ct.nii")), Volume)


def test_the_intent_code_tells_labels_from_images(make, ct) -> None:
    labels = io.read_any(make("seg.nii", (ct + 300).astype(np.uint16), intent_code=1002))
    assert isinstance(labels, LabelMap)
    assert np.array_equal(labels.array.T, ct + 300)


def with_extension(path, content: str):
    """The file with a Caret extension."""
    image = nib.load(path)
    image.header.extensions.append(nib.nifti1.Nifti1Extension(30, content.encode()))
    nib.save(image, path.with_name("with_" + path.name))
    return path.with_name("with_" + path.name)


def test_a_label_table_tells_labels_from_images(make, ct) -> None:
    table = '<CaretExtension><LabelTable><Label Key="4"><![CDATA[A & B]]></Label></LabelTable></CaretExtension>'
    labels = io.read_any(with_extension(make("seg.nii", np.abs(ct)), table))
    assert isinstance(labels, LabelMap)
    assert labels.classes == (LabelClass(4, "A & B", io.labels.colour_for(4)),)


def test_an_extension_that_workbench_gives_any_image_makes_no_labels(make) -> None:
    text = "<CaretExtension><VolumeInformation><VolumeType>Anatomy</VolumeType></VolumeInformation></CaretExtension>"
    assert isinstance(io.read_any(with_extension(make("t1.nii"), text)), Volume)


def test_an_image_beside_the_sidecar_of_its_labels_stays_an_image(make, tmp_path, regions) -> None:
    labels = io.read_labels(make("source.nii", regions))
    io.write(tmp_path / "case.nii.gz", labels)
    assert isinstance(io.read_any(make("case.nii")), Volume)


def test_a_film_of_labels_is_no_label_map(make, regions) -> None:
    path = make("x.nii", np.stack([regions, regions], axis=-1))
    with pytest.raises(FileError, match=r"it has the shape 8 x 9 x 10 x 2; a label map has 2 or 3 axes\.$"):
        io.read_labels(path)
    assert io.read_any(path, frame=1).shape == (10, 9, 8)


def test_labels_know_what_is_doubtful_about_their_place(make, regions) -> None:
    labels = io.read_labels(make("seg.nii", regions, sform_code=0))
    assert labels.notes == ("orientation unknown: left and right may be swapped.",)


def test_every_real_file_is_read_or_refused_in_words(data_dir) -> None:
    refused = []
    for path in sorted(data_dir.rglob("*.nii*")):
        try:
            io.read_any(path)
        except FileError as error:
            refused.append(str(error))
    assert all(re.search("images along NIfTI axis 4|complex numbers|colour images", r) for r in refused)
    assert len(refused) < 10
