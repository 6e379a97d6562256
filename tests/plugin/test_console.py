"""From napari's console: one call segments the layers."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hands import MakeScan, opened
from napari.layers import Labels
from napari.utils._proxies import PublicOnlyProxy

import napari_ganseg as ganseg
from napari_ganseg.errors import FileError, UsageError
from napari_ganseg.plugin.console import label_map
from napari_ganseg.run import Controls, Progress, Run


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


def endless(controls: Controls) -> Generator[Progress, None, None]:
    """Work that goes on until it is cancelled."""
    for done in range(100_000):
        controls.check()
        yield Progress(done, 0, "thinking")
        time.sleep(0.01)


def failing(controls: Controls) -> Generator[Progress, None, None]:
    """Work that meets a fault at once."""
    yield Progress(0, 1, "trying")
    raise FileError("Cannot open a.nii: it is empty.")


def test_handle_says_how_far_it_is_cancels_and_has_no_result_then(viewer: Any, qtbot: Any) -> None:
    handle = ganseg.in_background(viewer, Run(endless), "Thinking")
    qtbot.waitUntil(lambda: repr(handle) == "<Thinking: running, thinking>", timeout=20_000)
    with pytest.raises(UsageError, match=r"This viewer is busy \(Thinking\)"):
        ganseg.in_background(viewer, Run(endless))
    handle.cancel()
    qtbot.waitUntil(lambda: not handle.is_running, timeout=20_000)
    assert repr(handle) == "<Thinking: cancelled>"
    with pytest.raises(UsageError, match=r"Thinking has no result: cancelled\."):
        _ = handle.result


def test_fault_in_the_background_is_one_message(viewer: Any, qtbot: Any, complaints: Callable[[], list[str]]) -> None:
    handle = ganseg.in_background(viewer, Run(failing))
    qtbot.waitUntil(lambda: not handle.is_running, timeout=20_000)
    assert complaints() == ["Cannot open a.nii: it is empty."]
    assert repr(handle) == "<Console: failed (Cannot open a.nii: it is empty)>"


def test_layers_segmented_in_the_background_are_the_same(
    viewer: Any, qtbot: Any, make_scan: MakeScan, models: Path
) -> None:
    opened(viewer, make_scan("a.nii"))
    handle = ganseg.segment_layers(viewer, model="tiny", device="cpu", background=True)
    qtbot.waitUntil(lambda: not handle.is_running, timeout=120_000)
    (made,) = handle.result
    expected = ganseg.segment(make_scan("a.nii"), model="tiny", device="cpu")
    np.testing.assert_array_equal(made.data, expected.array)
    np.testing.assert_array_equal(label_map(viewer, made.name).array, expected.array)


def test_errors_of_ours_are_one_line_in_ipython(viewer: Any) -> None:
    with pytest.raises(UsageError) as caught:
        ganseg.in_background(viewer, "scans")  # type: ignore[arg-type]
    assert caught.value._render_traceback_() == [
        "UsageError: in_background wants a Run, as segment_folder(...) gives it, not a str."
    ]
