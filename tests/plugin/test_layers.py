"""Volumes to layers and back: contrast, colours, names and checksums."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels, Layer

from napari_ganseg.io.labels import PALETTE
from napari_ganseg.plugin.layers import contrast, image_layers, is_edited, label_map_of, labels_layer, widen_contrast
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.volume import LabelClass, LabelMap, Volume, identity_affine

RNG = np.random.default_rng(0)


def shown(labels: LabelMap) -> Labels:
    data, fields, kind = labels_layer(labels, "labels")
    return Layer.create(data, fields, kind)


def label_map(values: object, dtype: object = np.int64, **fields: object) -> LabelMap:
    array = np.zeros((4, 5, 6), dtype)
    array.flat[: len(values)] = values
    return LabelMap(array=array, affine=identity_affine((3.0, 2.0, 1.5)), **fields)


@pytest.mark.parametrize(
    ("array", "limits"),
    [
        (np.array([[-1000, 40], [60, 900]]), (-160, 240)),  # CT
        (np.full((3, 3, 3), 7), (7, 8)),  # constant
        (np.zeros((1, 1, 1)), (0, 1)),
        (np.array([[0, 0, 5]]), (0, 5)),  # one voxel over background
        (np.arange(101.0)[np.newaxis], (1.99, 99.01)),
        (np.array([[-1e30, 1e30]]), (-160, 240)),
    ],
)
def test_contrast_suits_odd_arrays(array: np.ndarray, limits: tuple[float, float]) -> None:
    assert contrast(array) == pytest.approx(limits)


@pytest.mark.parametrize("shape", [(1, 1), (3000, 2), (2, 1, 700), (1, 400, 1)])
def test_contrast_of_any_shape_is_a_range_napari_takes(shape: tuple[int, ...]) -> None:
    low, high = contrast(RNG.normal(100, 20, shape).astype(np.float32))
    assert low < high


def test_contrast_slider_runs_over_all_values_and_opens_at_the_window() -> None:
    volume = Volume(array=np.linspace(-1000, 2000, 120).reshape(4, 5, 6).astype(np.float32))
    data, fields, kind = image_layers(volume, "ct")[0]
    layer = Layer.create(data, fields, kind)
    widen_contrast(layer)
    assert list(layer.contrast_limits) == [-160, 240]
    assert layer.contrast_limits_range == [-1000, 2000]


def test_channels_become_layers_on_one_grid() -> None:
    volume = Volume(array=RNG.normal(size=(3, 4, 5, 6)).astype(np.float32), has_channels=True)
    layers = image_layers(volume, "pet")
    assert [fields["name"] for _, fields, _ in layers] == ["pet [0]", "pet [1]", "pet [2]"]
    assert len({id(fields["metadata"]["napari-ganseg"]) for _, fields, _ in layers}) == 1
    np.testing.assert_array_equal(layers[1][0], volume.array[1])


def test_units_letters_and_millimetres_are_on_the_layer() -> None:
    volume = Volume(array=RNG.normal(size=(4, 5, 6)), affine=identity_affine((3.0, 2.0, 1.5)))
    data, fields, kind = image_layers(volume, "scan")[0]
    layer = Layer.create(data, fields, kind)
    assert tuple(layer.scale) == (3.0, 2.0, 1.5)
    assert [str(unit) for unit in layer.units] == ["millimeter"] * 3
    assert layer.axis_labels == ("S", "A", "R")


@pytest.mark.parametrize(
    "values", [[1, 2, 3], range(1, 301), [-5, -1, 2], [70_000, 3], [2**31 - 1, 1], [-(2**31), 5], [0]],
    ids=["few", "300 classes", "negative", "large", "largest", "smallest", "empty"],
)  # fmt: skip
def test_any_label_values_are_drawn_and_come_back_the_same(values: object) -> None:
    array = np.zeros((8, 8, 8), np.int64)
    array.flat[: len(values)] = values  # type: ignore[arg-type]
    labels = LabelMap(array=array)
    layer = shown(labels)
    layer.set_view_slice()
    placement = Placement.of(labels, "labels")
    np.testing.assert_array_equal(label_map_of(layer, placement).array, array)


def test_names_and_colours_survive_the_layer() -> None:
    classes = (LabelClass(3, "Left parotid", "#12ab34"), LabelClass(200, "Zunge, links", "#fedcba"))
    labels = label_map([3, 200], classes=classes)
    layer = shown(labels)
    layer.show_selected_label = True
    layer.selected_label = 200
    assert label_map_of(layer, Placement.of(labels, "x")).classes == classes
    assert layer.features.loc[layer.features["index"] == 3, "mL"].item() == pytest.approx(0.009)


def test_colours_napari_cannot_draw_survive_the_layer() -> None:
    labels = label_map([70_000], classes=(LabelClass(70_000, "Far", "#12ab34"),))
    assert label_map_of(shown(labels), Placement.of(labels, "x")).classes == labels.classes


def test_another_plugins_feature_table_does_no_harm() -> None:
    layer = Labels(np.ones((2, 3, 4), np.uint8), features={"index": ["a", None, 1.0], "name": ["x", "y", "z"]})
    assert [c.name for c in label_map_of(layer, Placement.of(label_map([1]), "x")).classes] == ["z"]


def test_labels_painted_next_have_colours_of_their_own() -> None:
    layer = shown(label_map([]))
    colours = {tuple(layer.colormap.map(value)) for value in range(1, len(PALETTE) + 1)}
    assert len(colours) == len(PALETTE)


def test_edit_is_noticed_and_undone_edit_is_none() -> None:
    layer = shown(label_map([1, 2]))
    assert not is_edited(layer)
    layer.data_setitem((np.array([3]), np.array([3]), np.array([3])), 1)
    assert is_edited(layer)
    layer.undo()
    assert not is_edited(layer)
    assert is_edited(Labels(np.zeros((2, 2), int)))


def test_status_bar_names_the_class_under_the_mouse() -> None:
    layer = shown(label_map([1], classes=(LabelClass(1, "Brainstem", "#ff0000"),)))
    assert "Brainstem" in str(layer.get_status((0, 0, 0), view_direction=None, dims_displayed=[1, 2], world=True))


def test_label_map_with_300_classes_is_quick_to_colour() -> None:
    assert len(shown(LabelMap(array=np.arange(343).reshape(7, 7, 7))).features) == 343


def test_volume_goes_through_a_layer_unchanged() -> None:
    volume = Volume(array=RNG.integers(-5, 900, (4, 5, 6)).astype(np.int16))
    data, fields, _ = image_layers(volume, "scan")[0]
    layer = Image(data, **fields)
    back = fields["metadata"]["napari-ganseg"].volume(layer.data)
    assert np.shares_memory(back.array, volume.array)
    np.testing.assert_array_equal(back.array, volume.array)
