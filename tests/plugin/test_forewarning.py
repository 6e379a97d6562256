"""The widget says before the click when a scan is not what the model knows."""

from __future__ import annotations

import numpy as np
import pytest
from builders import make_card
from napari.layers import Image

from napari_ganseg.models.card import FieldOfView
from napari_ganseg.plugin.forewarning import forewarning, thinned
from napari_ganseg.plugin.registry import placement_of

NOISE = np.random.default_rng(0).normal(size=(200, 90, 30)).astype(np.float32)
CROP = FieldOfView("a crop", (20.0, 20.0, 20.0), (50.0, 50.0, 50.0))


def test_a_scan_that_fits_raises_no_word() -> None:
    assert forewarning(Image(NOISE), make_card()) == ""


def test_a_whole_head_for_a_model_of_crops_is_said() -> None:
    said = forewarning(Image(NOISE, scale=(1.0, 2.0, 3.0)), make_card(field_of_view=CROP))
    assert said.startswith("The image covers 200 x 180 x 90 mm; tiny knows a crop.")


def test_a_ct_for_an_mr_model_is_said() -> None:
    array = np.full((40, 40, 40), -1000, dtype=np.int16)
    array[:, 10:30, 10:30] = 40
    assert "look like a CT" in forewarning(Image(array), make_card(modality="MR"))


def test_a_flat_picture_for_a_3d_model_and_colours_are_said() -> None:
    assert "is a 3D model" in forewarning(Image(NOISE[0]), make_card())
    assert "colour image" in forewarning(Image(np.zeros((8, 9, 3)), rgb=True), make_card())


@pytest.mark.parametrize("scale", [(1.0, 1.0, 1.0), (0.5, 2.0, 3.0)])
def test_a_thinned_scan_keeps_its_extent(scale: tuple[float, ...]) -> None:
    image = Image(NOISE, scale=scale)
    placement = placement_of(image)
    thin, whole = thinned(image, placement), placement.volume(NOISE)
    assert thin.array.size < whole.array.size
    np.testing.assert_allclose(np.multiply(thin.shape, thin.spacing_mm), np.multiply(whole.shape, whole.spacing_mm))
