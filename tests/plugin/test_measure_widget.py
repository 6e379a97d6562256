"""The Measure widget: true millimetres in its tables, errors in their place, and a CSV of both."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hands import OBLIQUE, SHAPE, MakeScan, opened
from napari.layers import Labels
from test_manifest import execute

import napari_ganseg as ganseg
from napari_ganseg.errors import GansegError
from napari_ganseg.metrics import difference, evaluate
from napari_ganseg.plugin import commands, measure_widget
from napari_ganseg.plugin.measure_widget import NO_TRUTH, MeasureWidget
from napari_ganseg.plugin.measuring import snapshot
from napari_ganseg.plugin.transform import covers
from napari_ganseg.plugin.worker import job_of

Complaints = Callable[[], list[str]]


class Bench:
    """A viewer with an oblique scan and two Labels layers on it: the lower one the truth."""

    def __init__(self, viewer: Any, qtbot: Any, scan: Path) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        (self.image,) = opened(viewer, scan)
        self.truth, self.prediction = self.paint("truth", slice(2, 8)), self.paint("prediction", slice(3, 8))

    def paint(self, name: str, rows: slice) -> Labels:
        """New labels on the scan, two classes in them."""
        self.viewer.layers.selection = {self.image}
        commands.new_labels(self.viewer)
        layer: Labels = self.viewer.layers[-1]
        layer.name = name
        layer.data[2:5, rows, 3:9] = 1
        layer.data[7, 1, 1] = 2
        return layer

    def open(self, *selected: Labels) -> MeasureWidget:
        """Select layers, choose the command in the menu, wait for its table."""
        self.viewer.layers.selection = set(selected)
        execute("measure")
        self.wait()
        (name,) = [name for name in self.viewer.window.dock_widgets if "Measure" in name]
        found = self.viewer.window.dock_widgets[name]
        widget = getattr(found, "_magic_widget", found)
        assert isinstance(widget, MeasureWidget)
        return widget

    def wait(self) -> None:
        """Until nothing runs."""
        self.qtbot.waitUntil(lambda: job_of(self.viewer) is None, timeout=60_000)
        self.qtbot.wait(20)


@pytest.fixture
def bench(make_napari_viewer: Any, qtbot: Any, make_scan: MakeScan) -> Bench:
    return Bench(make_napari_viewer(), qtbot, make_scan(codes="PIR", affine=OBLIQUE))


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))


def test_one_selected_layer_is_measured_in_true_millimetres(bench: Bench) -> None:
    bench.prediction.scale = (1, 1, 1)  # what is on screen is not what is measured
    bench.prediction.scale = bench.image.scale
    widget = bench.open(bench.prediction)
    rows = widget.table.texts()
    places = np.argwhere(bench.prediction.data == 1)
    expected = ganseg.read(bench.image.source.path or bench.image.metadata["napari-ganseg"].stored.path)
    centroid = expected.to_mm(places.mean(axis=0))
    assert rows[0][:3] == ["label 1", str(len(places)), f"{len(places) * abs(np.linalg.det(OBLIQUE)) / 1000:.3f}"]
    assert rows[0][3:] == [f"{mm:.1f}" for mm in centroid]
    assert widget.heading.text() == "prediction"
    assert widget.button.text == "Measure"


def test_two_selected_layers_are_compared_and_errors_lie_on_them(bench: Bench) -> None:
    widget = bench.open(bench.truth, bench.prediction)
    assert (widget.layer.value, widget.truth.value) == (bench.prediction, bench.truth)
    taken = [snapshot(layer, bench.viewer.layers).labels for layer in (bench.prediction, bench.truth)]
    scores = evaluate(*taken, tolerance_mm=1)
    assert [row[1] for row in widget.table.texts()] == [f"{s.dice:.3f}" for s in scores.per_class.values()]
    assert widget.remarks.text().startswith("Means: Dice 0.9")
    errors = bench.viewer.layers[-1]
    assert errors.name == "errors of prediction"
    assert covers(errors, bench.image)
    np.testing.assert_array_equal(errors.data, difference(*taken).array)
    assert bench.viewer.layers.selection == {bench.truth, bench.prediction}


def test_swap_exchanges_labels_and_truth_and_replaces_the_errors(bench: Bench) -> None:
    widget = bench.open(bench.truth, bench.prediction)
    widget.swap.native.click()
    widget.button.native.click()
    bench.wait()
    assert widget.heading.text() == "truth against the truth prediction"
    assert [layer.name for layer in bench.viewer.layers if "errors" in layer.name] == ["errors of truth"]
    assert set(np.unique(bench.viewer.layers[-1].data)) == {0, 2}
    bench.viewer.layers.selection = {bench.truth}
    assert (widget.layer.value, widget.truth.value) == (bench.truth, NO_TRUTH)
    assert widget.button.text == "Measure"


def test_both_tables_are_exported(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table"
    monkeypatch.setattr(measure_widget.QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    widget = bench.open(bench.prediction)
    widget.export_button.native.click()
    first = rows_of(path.with_suffix(".csv"))
    assert [(row["case"], row["name"], row["voxels"]) for row in first][1] == ("prediction", "label 2", "1")
    bench.viewer.layers.selection = {bench.truth, bench.prediction}
    widget.button.native.click()
    bench.wait()
    widget.export_button.native.click()
    second = rows_of(path.with_suffix(".csv"))
    assert float(second[1]["dice"]) == 1.0


def test_labels_on_no_scan_are_measured_with_what_is_assumed(viewer: Any) -> None:
    layer = viewer.add_labels(np.ones((3, 4, 5), np.uint8), scale=(3, 2, 1), name="loose")
    taken = snapshot(layer, viewer.layers)
    assert taken.labels.voxel_ml == pytest.approx(0.006)
    assert any("orientation assumed" in note for note in taken.labels.notes)


def test_labels_on_two_scans_of_different_places_are_refused(viewer: Any, make_scan: MakeScan) -> None:
    opened(viewer, make_scan("a.nii"))
    (other,) = opened(viewer, make_scan("b.nii", affine=OBLIQUE))
    other.scale, other.translate = viewer.layers[0].scale, viewer.layers[0].translate
    layer = viewer.add_labels(np.ones(SHAPE[::-1], np.uint8), scale=other.scale, translate=other.translate)
    with pytest.raises(GansegError, match=r"lies on .* whose true places differ\. Remove all but its own scan\."):
        snapshot(layer, viewer.layers)


def test_comparison_of_two_grids_is_one_message(bench: Bench, complaints: Complaints) -> None:
    bench.viewer.add_labels(np.ones((3, 4, 5), np.uint8), name="small", units="mm")
    bench.open(bench.prediction, bench.viewer.layers[-1])
    assert len(complaints()) == 1
    assert complaints()[0].startswith("Prediction and truth differ in grid: ")
