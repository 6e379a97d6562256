"""Opening files in napari: the right kind of layer, or a sentence and a viewer that goes on working."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hands import AFFINE, SHAPE, MakeScan, opened
from napari.layers import Image, Labels

from napari_ganseg.errors import FileError
from napari_ganseg.plugin import frames
from napari_ganseg.plugin.reader import get_reader, open_files
from napari_ganseg.plugin.sample_data import sample_ct, sample_mri

DRAWN = np.zeros(SHAPE, np.uint8)
DRAWN[2:9, 3:8, 1:7] = 1
DRAWN[4, 5, 2:5] = 2


def test_image_opens_as_image_and_label_map_as_labels(viewer: Any, make_scan: MakeScan) -> None:
    (image,), (labels,) = opened(viewer, make_scan()), opened(viewer, make_scan("seg.nii", array=DRAWN))
    assert isinstance(image, Image)
    assert isinstance(labels, Labels)
    assert image.name == "scan"
    np.testing.assert_array_equal(labels.data, DRAWN.T)


def test_short_fourth_axis_opens_as_layers_on_one_grid(viewer: Any, make_scan: MakeScan, voxels: np.ndarray) -> None:
    layers = opened(viewer, make_scan(array=np.stack([voxels, voxels * 2, voxels * 3], axis=-1)))
    assert [layer.name for layer in layers] == ["scan [0]", "scan [1]", "scan [2]"]
    np.testing.assert_array_equal(layers[2].data, 3 * voxels.T)
    assert layers[0].metadata["notes"] == ["NIfTI axis 4 (3 entries) read as channels."]


def test_long_fourth_axis_is_asked_about(
    viewer: Any, make_scan: MakeScan, voxels: np.ndarray, monkeypatch: pytest.MonkeyPatch, qapp: Any
) -> None:
    path = make_scan(array=np.stack([voxels + i for i in range(12)], axis=-1))
    monkeypatch.setattr(frames.QApplication, "topLevelWidgets", lambda: [object()])
    monkeypatch.setattr(frames.QInputDialog, "getInt", lambda *_: (7, True))
    (layer,) = opened(viewer, path)
    assert layer.name == "scan [7]"
    np.testing.assert_array_equal(layer.data, (voxels + 7).T)
    monkeypatch.setattr(frames.QInputDialog, "getInt", lambda *_: (0, False))
    with pytest.raises(FileError, match="scan was not opened: no frame was chosen"):
        opened(viewer, path)


def test_long_fourth_axis_without_anybody_to_ask_says_how_to_choose(
    make_scan: MakeScan, voxels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames.QApplication, "topLevelWidgets", lambda: [])
    path = make_scan(array=np.stack([voxels] * 12, axis=-1))
    with pytest.raises(FileError, match=r"holds 12 images along its fourth axis.*napari_ganseg.read\(path, frame=0\)"):
        open_files(str(path))


def test_pair_opens_from_its_header(viewer: Any, tmp_path: Path, voxels: np.ndarray) -> None:
    nib.save(nib.Nifti1Pair(voxels, AFFINE), tmp_path / "pair.hdr")
    assert get_reader(str(tmp_path / "pair.hdr")) is not None
    (layer,) = opened(viewer, tmp_path / "pair.hdr")
    np.testing.assert_array_equal(layer.data, voxels.T)


def test_dicom_folder_gets_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "IM-0001.dcm").write_bytes(bytes(128) + b"DICM" + bytes(200))
    reader = get_reader(str(tmp_path))
    assert reader is not None
    with pytest.raises(FileError, match="dcm2niix"):
        reader(str(tmp_path))


def test_other_folders_and_files_are_left_to_others(tmp_path: Path) -> None:
    assert get_reader(str(tmp_path)) is None
    assert get_reader("photo.png") is None
    assert get_reader(["a.nii", "b.png"]) is None
    assert get_reader(["a.nii", "b.NII.GZ"]) is open_files


def test_several_files_open_at_once(make_scan: MakeScan) -> None:
    paths = [str(make_scan("a.nii")), str(make_scan("b.nii", array=DRAWN))]
    assert [kind for _, _, kind in open_files(paths)] == ["image", "labels"]


def test_damaged_file_adds_no_layer_and_the_viewer_stays_usable(make_napari_viewer: Any, make_scan: MakeScan) -> None:
    viewer = make_napari_viewer()
    path = make_scan("damaged.nii.gz")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FileError, match=r"Cannot open damaged\.nii\.gz"):
        viewer.open(str(path), plugin="napari-ganseg")
    assert len(viewer.layers) == 0
    viewer.open(str(make_scan("whole.nii.gz")), plugin="napari-ganseg")
    assert [layer.name for layer in viewer.layers] == ["whole"]
    assert viewer.layers[0].source.path is not None


def test_doubts_about_the_file_are_on_the_layer(viewer: Any, tmp_path: Path, voxels: np.ndarray) -> None:
    nib.save(nib.Nifti1Image(voxels, AFFINE), tmp_path / "scan.nii")  # no unit of length
    (layer,) = opened(viewer, tmp_path / "scan.nii")
    assert layer.metadata["notes"] == ["the unit of length is missing; millimetres assumed."]


@pytest.mark.parametrize("sample", [sample_ct, sample_mri])
def test_samples_open_as_images(sample: Callable[[], Any]) -> None:
    ((data, fields, kind),) = sample()
    assert kind == "image"
    assert data.ndim == 3
    assert fields["units"] == ("mm",) * 3
