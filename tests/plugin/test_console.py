"""From napari's console: one call segments the layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hands import MakeScan, opened
from napari.layers import Labels
from napari.utils._proxies import PublicOnlyProxy

import napari_ganseg as ganseg
from napari_ganseg.errors import UsageError


def test_selected_images_are_segmented_each_into_a_layer(viewer: Any, make_scan: MakeScan, models: Path) -> None:
    opened(viewer, make_scan("a.nii"))
    (second,) = opened(viewer, make_scan("b.nii", codes="PIR"))
    viewer.layers.selection = {second}
    (made,) = ganseg.segment_layers(viewer, model="tiny", device="cpu")
    assert isinstance(made, Labels)
    assert made in viewer.layers
    expected = ganseg.segment(make_scan("b.nii", codes="PIR"), model="tiny", device="cpu")
    np.testing.assert_array_equal(made.data, expected.array)


def test_without_a_selection_all_images_are(viewer: Any, make_scan: MakeScan, models: Path) -> None:
    opened(viewer, make_scan("a.nii"))
    viewer.add_image(np.random.default_rng(0).random((9, 10, 11)), name="array")
    viewer.layers.selection.clear()
    made = ganseg.segment_layers(PublicOnlyProxy(viewer), model="tiny")
    assert [layer.name for layer in made] == ["a tiny", "array tiny"]
    assert "orientation assumed" in made[1].metadata["napari-ganseg-made"]["notes"][1]


def test_nothing_to_segment_is_said(viewer: Any) -> None:
    with pytest.raises(UsageError, match=r"There is no image layer; open a scan first\."):
        ganseg.segment_layers(viewer)
