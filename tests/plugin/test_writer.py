"""Saving labels: on the grid of their scan, asked where that is not certain, never over a scan."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hands import AFFINE, OBLIQUE, SHAPE, MakeScan, opened
from napari.layers import Image, Labels
from test_registry import by_another_reader

import napari_ganseg as ganseg
from napari_ganseg.errors import FileError, GeometryError, UsageError
from napari_ganseg.plugin import commands
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.registry import placement_of
from napari_ganseg.plugin.results import show_result
from napari_ganseg.plugin.transform import transform_of
from napari_ganseg.plugin.writer import save_layer, write_labels
from napari_ganseg.volume import LabelClass


class Asked:
    """Answers with one of the grids, and remembers the questions."""

    def __init__(self, answer: int | None = None) -> None:
        self.answer, self.questions = answer, list[str]()
        self.places: Sequence[Placement] = ()

    def __call__(self, question: str, places: Sequence[Placement]) -> Placement | None:
        self.questions.append(question)
        self.places = places
        return None if self.answer is None else places[self.answer]


def painted(viewer: Any, *selected: Any) -> Labels:
    """What napari's own New Labels button makes with these layers selected, with a few voxels painted."""
    viewer.layers.selection = set(selected)
    viewer._new_labels()
    layer = viewer.layers[-1]
    layer.data[tuple(n // 2 for n in layer.data.shape)] = 3
    layer.data[tuple(n // 3 for n in layer.data.shape)] = 9
    return layer


def saved(viewer: Any, layer: Labels, path: Path, ask: Any = None) -> Any:
    """Save and load with nibabel, brought to RAS."""
    assert save_layer(layer, list(viewer.layers), path, ask or Asked()) == path
    return nib.load(path)


def in_ras(image: Any) -> np.ndarray:
    return np.asarray(nib.as_closest_canonical(image).dataobj)


def upright_xyz(layer: Labels) -> np.ndarray:
    return np.asarray(layer.data).T


@pytest.mark.parametrize("codes", ["RAS", "PIL", "SLA"])
def test_new_labels_on_the_selected_scan_get_its_grid(
    viewer: Any, make_scan: MakeScan, tmp_path: Path, codes: str
) -> None:
    source = make_scan(codes=codes, affine=OBLIQUE)
    (image,) = opened(viewer, source)
    layer = painted(viewer, image)
    ask = Asked()
    out = saved(viewer, layer, tmp_path / "out.nii.gz", ask)
    np.testing.assert_allclose(out.affine, nib.load(source).affine, atol=1e-5)
    np.testing.assert_array_equal(in_ras(out), upright_xyz(layer))
    assert ask.questions == []


@pytest.mark.parametrize("moved", ["image", "both", "before"])
def test_moving_a_scan_on_screen_moves_no_label(viewer: Any, make_scan: MakeScan, tmp_path: Path, moved: str) -> None:
    source = make_scan(codes="LPI")
    (image,) = opened(viewer, source)
    if moved == "before":
        image.translate = (30, 40, 50)
    commands.new_labels(viewer)
    layer = viewer.layers[-1]
    layer.data[1, 2, 3] = 4
    if moved in ("image", "both"):
        image.affine = [[1, 0, 0, 7], [0, 0.8, -0.6, 8], [0, 0.6, 0.8, 9], [0, 0, 0, 1]]
    if moved == "both":
        layer.affine = image.affine
    out = saved(viewer, layer, tmp_path / "out.nii")
    np.testing.assert_array_equal(in_ras(out), upright_xyz(layer))
    np.testing.assert_allclose(out.affine, nib.load(source).affine, atol=1e-5)


def test_result_on_a_moved_scan_is_saved_on_the_scans_own_grid(
    viewer: Any, make_scan: MakeScan, tmp_path: Path
) -> None:
    (image,) = opened(viewer, make_scan(codes="ASR"))
    image.translate = np.asarray(image.translate) + 25
    labels = placement_of(image).label_map((image.data > 500).astype(np.uint8))
    layer = show_result(viewer, labels, image, placement_of(image))
    np.testing.assert_array_equal(in_ras(saved(viewer, layer, tmp_path / "out.nii")), upright_xyz(layer))


def test_labels_moved_off_their_scan_are_asked_about_and_saved_as_they_lie(
    viewer: Any, make_scan: MakeScan, tmp_path: Path
) -> None:
    opened(viewer, make_scan())
    commands.new_labels(viewer)
    layer = viewer.layers[-1]
    layer.data[4, 5, 6] = 1
    layer.translate = np.asarray(layer.translate) + np.asarray(layer.scale) * (1, 2, 3)
    ask = Asked(0)
    out = saved(viewer, layer, tmp_path / "out.nii", ask)
    assert ask.questions == [
        '"scan labels" does not have the grid of any scan here. On which one\'s grid shall it be saved?'
    ]
    assert np.argwhere(in_ras(out)).tolist() == [[9, 7, 5]]
    notes = json.loads((tmp_path / "out.json").read_text())["notes"]
    assert notes == ["scan labels had another grid; it was brought onto that of scan as it lay on screen."]


def test_label_file_moved_on_screen_is_asked_about(viewer: Any, make_scan: MakeScan, tmp_path: Path) -> None:
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[2:9, 3:8, 1:7] = 1
    opened(viewer, make_scan())
    (layer,) = opened(viewer, make_scan("labels.nii", codes="PIR", array=drawn))
    layer.translate = np.asarray(layer.translate) + np.asarray(layer.scale)
    ask = Asked(0)
    out = saved(viewer, layer, tmp_path / "out.nii", ask)
    assert len(ask.questions) == 1
    np.testing.assert_array_equal(in_ras(out)[1:, 1:, 1:], drawn[:-1, :-1, :-1])


def test_two_selected_scans_make_a_sheet_that_is_asked_about_and_lands_right(
    viewer: Any, make_scan: MakeScan, tmp_path: Path
) -> None:
    shifted = AFFINE.copy()
    shifted[:3, 3] += (6 * 1.5, 0, -4 * 3)
    (first,) = opened(viewer, make_scan("a.nii", codes="PSR"))
    (second,) = opened(viewer, make_scan("b.nii", affine=shifted))
    layer = painted(viewer, first, second)
    assert layer.data.shape != first.data.shape
    ask = Asked(0)
    out = saved(viewer, layer, tmp_path / "out.nii", ask)
    assert [p.source for p in ask.places] == ["a", "b"]
    for value in (3, 9):
        (spot,) = np.argwhere(layer.data == value)
        world = layer.data_to_world(spot)[::-1]
        inside = np.rint((np.array(world) - AFFINE[:3, 3]) / (1.5, 2, 3)).astype(int)
        expected = [inside.tolist()] if (inside >= 0).all() and (inside < SHAPE).all() else []
        assert np.argwhere(in_ras(out) == value).tolist() == expected
    assert (in_ras(out) > 0).any()


def test_flat_sheet_of_no_selection_is_asked_about_and_refused(
    viewer: Any, make_scan: MakeScan, tmp_path: Path
) -> None:
    opened(viewer, make_scan())
    layer = painted(viewer)
    assert layer.data.shape == (512, 512)
    ask = Asked(0)
    with pytest.raises(GeometryError, match=r"is a flat sheet of 512 x 512 pixels, .*New labels for this scan"):
        save_layer(layer, list(viewer.layers), tmp_path / "out.nii", ask)
    assert len(ask.questions) == 1
    assert not (tmp_path / "out.nii").exists()


def test_cancelled_question_writes_nothing(viewer: Any, make_scan: MakeScan, tmp_path: Path) -> None:
    opened(viewer, make_scan())
    assert save_layer(painted(viewer), list(viewer.layers), tmp_path / "out.nii", Asked()) is None
    assert not (tmp_path / "out.nii").exists()


def test_no_scan_at_all_is_said(viewer: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no scan that .* could belong to"):
        save_layer(painted(viewer), list(viewer.layers), tmp_path / "out.nii", Asked(0))


def test_labels_far_from_the_chosen_scan_are_refused(viewer: Any, make_scan: MakeScan, tmp_path: Path) -> None:
    opened(viewer, make_scan())
    layer = viewer.add_labels(np.ones((4, 4, 4), np.uint8), translate=(900, 0, 0), units="mm", name="far")
    with pytest.raises(GeometryError, match='No label of "far" lies on "scan"'):
        save_layer(layer, list(viewer.layers), tmp_path / "out.nii", Asked(0))


def test_two_scans_on_one_grid_are_no_question_and_on_different_ones_are(
    viewer: Any, make_scan: MakeScan, tmp_path: Path, voxels: np.ndarray
) -> None:
    (t1,) = opened(viewer, make_scan("t1.nii"))
    opened(viewer, make_scan("t2.nii", array=voxels[::-1]))
    layer = painted(viewer, t1)
    ask = Asked(1)
    saved(viewer, layer, tmp_path / "one.nii", ask)
    assert ask.questions == []
    opened(viewer, make_scan("t3.nii", codes="LPS"))
    out = saved(viewer, layer, tmp_path / "two.nii", ask)
    assert '"t1 - Labels" fits several scans.' in ask.questions[0]
    assert nib.aff2axcodes(out.affine) == ("L", "P", "S")
    np.testing.assert_array_equal(in_ras(out), upright_xyz(layer))


@pytest.mark.parametrize("codes", ["RAS", "LSP", "AIL"])
def test_labels_on_a_scan_of_another_reader_get_the_files_grid(
    viewer: Any, make_scan: MakeScan, tmp_path: Path, codes: str
) -> None:
    source = make_scan(codes=codes, affine=OBLIQUE)
    image = viewer.add_layer(by_another_reader(source))
    layer = painted(viewer, image)
    out = saved(viewer, layer, tmp_path / "out.nii")
    np.testing.assert_array_equal(np.asarray(out.dataobj), layer.data)
    np.testing.assert_allclose(out.affine, nib.load(source).affine, atol=1e-5)


def test_labels_on_a_plain_array_are_no_question_and_say_what_was_assumed(viewer: Any, tmp_path: Path) -> None:
    image = viewer.add_image(np.random.default_rng(0).random((5, 6, 7)), scale=(3, 2, 1), name="array")
    ask = Asked()
    out = saved(viewer, painted(viewer, image), tmp_path / "out.nii", ask)
    assert ask.questions == []
    assert sorted(out.header.get_zooms()) == [1, 2, 3]
    assert "orientation assumed: the axes of array grow to S, P, L" in (tmp_path / "out.json").read_text()


def test_labels_opened_alone_are_saved_on_their_own_grid(viewer: Any, make_scan: MakeScan, tmp_path: Path) -> None:
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[2:9, 3:8, 1:7] = 1
    source = make_scan("labels.nii", codes="PIR", array=drawn)
    (layer,) = opened(viewer, source)
    assert isinstance(layer, Labels)
    layer.data[0, 0, 0] = 5
    out = saved(viewer, layer, source)
    np.testing.assert_array_equal(in_ras(out), upright_xyz(layer))
    np.testing.assert_allclose(out.affine, nib.load(source).affine, atol=1e-5)


@pytest.mark.parametrize("plane", [(0, 1, 2), (0, 2, 1), (1, 2, 0)])
def test_labels_on_a_flat_scan_get_its_grid(viewer: Any, tmp_path: Path, plane: tuple[int, ...]) -> None:
    affine = np.zeros((4, 4))
    affine[plane, (0, 1, 2)], affine[3, 3], affine[:3, 3] = (-2, 3, 4), 1, (10, 20, 30)
    nib.save(nib.Nifti1Image(np.arange(30, dtype=np.int16).reshape(6, 5) - 7, affine), tmp_path / "flat.nii")
    (image,) = opened(viewer, tmp_path / "flat.nii")
    layer = painted(viewer, image)
    layer.data[image.data == 4] = 5
    out = saved(viewer, layer, tmp_path / "out.nii")
    assert out.shape == (6, 5)
    assert np.argwhere(np.asarray(out.dataobj) == 5).tolist() == [[2, 1]]
    np.testing.assert_allclose(out.affine, nib.load(tmp_path / "flat.nii").affine, atol=1e-5)


# --- never over a scan ---------------------------------------------------------------------------------------------


def test_no_scan_in_the_viewer_is_overwritten(viewer: Any, make_scan: MakeScan, tmp_path: Path) -> None:
    (image,) = opened(viewer, make_scan())
    others = [
        make_scan("t2.nii"),
        make_scan("other.nii", codes="LPS"),
        make_scan("four.nii", array=np.zeros((3, 4, 5, 2))),
    ]
    opened(viewer, others[0])
    other = by_another_reader(others[1])
    viewer.add_layer(other)
    other.data = other.data + 1  # its file is not found in it any more
    four = by_another_reader(others[2])
    layer = painted(viewer, image)
    before = [path.read_bytes() for path in others]
    for path in others:
        with pytest.raises(FileError, match=r"it would overwrite the (input )?image"):
            save_layer(layer, [*viewer.layers, four], path, Asked(0))
    assert [path.read_bytes() for path in others] == before


def test_mri_taken_for_labels_and_shown_as_an_image_is_a_scan_from_then_on(
    viewer: Any, make_scan: MakeScan, tmp_path: Path
) -> None:
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[2:9, 3:8, 1:7] = 1
    source = make_scan("mri.nii", array=drawn)
    (layer,) = opened(viewer, source)
    viewer.layers.selection.active = layer
    commands.show_as_image(viewer)
    assert isinstance(viewer.layers[0], Image)
    with pytest.raises(FileError, match="it would overwrite the input image"):
        save_layer(painted(viewer, viewer.layers[0]), list(viewer.layers), source, Asked(0))


# --- what is saved -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "values"),
    [(np.int64, [0, 7]), (np.uint8, [0, 255]), (np.int16, [-3, 4]), (np.int32, range(301)), (np.uint64, [0, 70_000])],
)
def test_label_values_are_saved_exactly(
    viewer: Any, make_scan: MakeScan, tmp_path: Path, dtype: Any, values: Any
) -> None:
    (image,) = opened(viewer, make_scan())
    data = np.random.default_rng(0).choice(list(values), image.data.shape).astype(dtype)
    layer = Labels(data, **transform_of(image))
    out = saved(viewer, layer, tmp_path / "out.nii")
    assert out.dataobj.slope == 1
    np.testing.assert_array_equal(in_ras(out), data.T)


def test_values_beyond_32_bits_are_refused_by_name(viewer: Any, make_scan: MakeScan, tmp_path: Path) -> None:
    (image,) = opened(viewer, make_scan())
    data = np.zeros(image.data.shape, np.int64)
    data[0, 0, 0] = 2**33
    with pytest.raises(GeometryError, match="do not fit 32-bit integers; renumber them first"):
        save_layer(Labels(data, **transform_of(image)), list(viewer.layers), tmp_path / "out.nii", Asked())


def test_names_colours_and_provenance_survive_the_file(viewer: Any, make_scan: MakeScan, tmp_path: Path) -> None:
    (image,) = opened(viewer, make_scan())
    classes = (LabelClass(2, "Larynx", "#123456"), LabelClass(300, "Ösophagus <x>", "#abcdef"))
    data = np.zeros(image.data.shape, np.int32)
    data[1, 2, 3], data[2, 3, 4] = 2, 300
    labels = placement_of(image).label_map(data, classes=classes, provenance={"model": "tiny", "overlap": 0.5})
    layer = show_result(viewer, labels, image, placement_of(image))
    saved(viewer, layer, tmp_path / "out.nii.gz")
    back = ganseg.read_labels(tmp_path / "out.nii.gz")
    assert back.classes == classes
    assert back.provenance == {"model": "tiny", "overlap": 0.5}
    (again,) = opened(viewer, tmp_path / "out.nii.gz")
    assert list(again.features["name"]) == ["background", "Larynx", "Ösophagus <x>"]
    np.testing.assert_allclose(again.colormap.map(300), layer.colormap.map(300), atol=2e-3)


# --- File > Save ---------------------------------------------------------------------------------------------------


def by_file_save(layer: Labels, path: Path) -> list[str]:
    data, attributes, _ = layer.as_layer_data_tuple()
    return write_labels(str(path), data, attributes)


def test_file_save_restores_the_grid_of_new_labels(viewer: Any, make_scan: MakeScan, tmp_path: Path) -> None:
    source = make_scan(codes="IRP", affine=OBLIQUE)
    (image,) = opened(viewer, source)
    layer = painted(viewer, image)
    assert by_file_save(layer, tmp_path / "out.nii") == [str(tmp_path / "out.nii")]
    out = nib.load(tmp_path / "out.nii")
    np.testing.assert_array_equal(in_ras(out), upright_xyz(layer))
    np.testing.assert_allclose(out.affine, nib.load(source).affine, atol=1e-5)


def test_file_save_refuses_what_it_cannot_know(viewer: Any, make_scan: MakeScan, tmp_path: Path) -> None:
    (image,) = opened(viewer, make_scan())
    sheet = painted(viewer)
    moved = painted(viewer, image)
    moved.rotate = 10
    commands.new_labels(viewer)
    own = viewer.layers[-1]
    own.translate = np.asarray(own.translate) + 5
    array = Labels(np.ones((3, 4, 5), int))
    for layer in (sheet, moved, own, array):
        with pytest.raises(FileError, match=r"no scan of their shape and place is open.*Save labels\.\.\."):
            by_file_save(layer, tmp_path / "out.nii")
    assert not (tmp_path / "out.nii").exists()


def test_file_save_refuses_to_choose_between_grids_and_to_overwrite(
    viewer: Any, make_scan: MakeScan, tmp_path: Path
) -> None:
    first, second = make_scan("a.nii"), make_scan("b.nii", codes="LPS")
    (image,) = opened(viewer, first)
    layer = painted(viewer, image)
    with pytest.raises(FileError, match="it would overwrite the input image"):
        by_file_save(layer, first)
    opened(viewer, second)
    with pytest.raises(FileError, match="several scans could be theirs"):
        by_file_save(layer, tmp_path / "out.nii")
