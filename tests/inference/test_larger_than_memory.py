"""A scan that is not in memory is segmented as if it were, and never asked for more than a slab."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import Z_SCORE, bands_model, noise, random_model, write_scan

import napari_ganseg as ganseg
from napari_ganseg.errors import FileError
from napari_ganseg.inference import segment
from napari_ganseg.io import read
from napari_ganseg.models import Model
from napari_ganseg.volume import Volume

SHAPE = (80, 18, 17)


class Distant:
    """An array elsewhere that remembers how much it was asked for at once, and cannot be had whole."""

    def __init__(self, array: np.ndarray) -> None:
        self._array, self.most = array, 0
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, index: Any) -> np.ndarray:
        part = self._array[index]
        self.most = max(self.most, part.size)
        return part.copy()

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise AssertionError("all of the scan was asked for")


@pytest.fixture(autouse=True)
def eight_planes_are_a_lot(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small scan is looked at in slabs as a large one is."""
    monkeypatch.setattr("napari_ganseg.io.lazy.AT_ONCE", 8 * 4 * prod(SHAPE[1:]))


def distant(scan: Volume) -> Volume:
    return scan.derive(array=Distant(scan.array))


MODELS: dict[str, Callable[[], Model]] = {
    "3D": random_model,
    "3D, coarser": partial(random_model, spacing=(2.0, 1.5, 1.25)),
    "3D, finer": partial(random_model, spacing=(0.75, 1.0, 1.0)),
    "3D, z-score": partial(random_model, preprocessing=Z_SCORE),
    "2D": partial(random_model, 2),
    "2D, resampled": partial(random_model, 2, spacing=(1.5, 0.8)),
}


@pytest.mark.parametrize("name", list(MODELS))
def test_a_distant_scan_gets_the_labels_of_one_in_memory_from_slabs(name: str) -> None:
    scan, model = noise(SHAPE), MODELS[name]()
    there = distant(scan)
    assert np.array_equal(segment(there, model).array, segment(scan, model).array)
    if "z-score" not in name:  # whose percentiles are found in all of a scan, or in planes of a large one
        assert there.array.most < 0.5 * prod(SHAPE)


def test_a_large_distant_scan_is_scaled_by_some_of_its_planes(monkeypatch) -> None:
    monkeypatch.setattr("napari_ganseg.inference.sight.AT_ONCE", prod(SHAPE) // 4)
    scan, model = noise(SHAPE), MODELS["3D, z-score"]()
    there = distant(scan)
    assert np.array_equal(segment(there, model).array, segment(scan, model).array)
    assert there.array.most < 0.5 * prod(SHAPE)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("chunks", [16, (80, 5, 5)])
def test_a_dask_array_is_segmented_into_a_memmap(tmp_path: Path, dims: int, chunks: Any) -> None:
    dask = pytest.importorskip("dask.array")
    scan, model = noise(SHAPE), random_model(dims)
    out = np.memmap(tmp_path / "labels", np.uint8, "w+", shape=SHAPE)
    labels = segment(scan.derive(array=dask.from_array(scan.array, chunks=chunks)), model, out)
    assert np.array_equal(out, segment(scan, model).array)
    assert np.shares_memory(labels.array, out)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_a_memmap_of_any_integers_stays_where_the_labels_are(tmp_path: Path, dtype: Any) -> None:
    scan, out = noise((20, 18, 17)), np.memmap(tmp_path / "labels", dtype, "w+", shape=(20, 18, 17))
    labels = segment(scan, bands_model(), out)
    assert np.shares_memory(labels.array, out)
    assert np.array_equal(out, scan.array > 100)


def test_results_may_go_into_any_array_that_takes_numbers() -> None:
    class Somewhere(Distant):
        def __setitem__(self, index: Any, values: Any) -> None:
            self._array[index] = values

    scan, out = noise(SHAPE), Somewhere(np.zeros(SHAPE, np.uint8))
    labels = segment(distant(scan), bands_model(), out)
    assert labels.array is out
    assert np.array_equal(out[...], scan.array > 100)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("settings", [{"region": [slice(8, 72), slice(1, 17), slice(0, 17)]}, {"slice_index": 50},
                                      {"region": [slice(20, 60), slice(1, 17), slice(1, 17)], "slice_index": 30}],
                         ids=["region", "slice", "slice of a region"])  # fmt: skip
def test_a_part_of_a_distant_scan_gets_the_labels_of_a_part_in_memory(dims: int, settings: dict[str, Any]) -> None:
    scan, model = noise(SHAPE), random_model(dims)
    there = distant(scan)
    assert np.array_equal(segment(there, model, **settings).array, segment(scan, model, **settings).array)
    assert there.array.most < 0.5 * prod(SHAPE)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
@pytest.mark.parametrize("dims", [2, 3])
def test_what_is_not_finite_in_a_distant_scan_is_repaired_as_in_memory(value: float, dims: int) -> None:
    scan, model = noise(SHAPE, 3), random_model(dims)
    scan.array[40, 5:9, 5:9] = value
    near, far = segment(scan, model), segment(distant(scan), model)
    assert near.notes == far.notes
    assert "replaced by" in far.notes[0]
    assert np.array_equal(far.array, near.array)


def test_a_distant_scan_that_is_mostly_not_finite_is_refused() -> None:
    scan = noise(SHAPE)
    scan.array[:40] = np.nan
    with pytest.raises(FileError, match=r"NaN or infinite \(50 %\); this is no scan"):
        segment(distant(scan), random_model())


def test_a_distant_ct_is_told_from_an_mri_by_some_of_its_planes(monkeypatch) -> None:
    monkeypatch.setattr("napari_ganseg.inference.domain.ENOUGH", prod(SHAPE) // 8)
    scan = Volume(array=np.where(np.arange(SHAPE[2]) < 9, np.int16(-1000), np.int16(40)) + np.zeros(SHAPE, np.int16))
    there, model = distant(scan), bands_model(modality="MR")
    notes = segment(there, model).notes
    assert notes == segment(scan, model).notes
    assert "look like a CT" in notes[0]
    assert there.array.most < 0.5 * prod(SHAPE)


def test_an_empty_distant_scan_holds_nothing() -> None:
    scan = Volume(array=np.full(SHAPE, 7, np.int16))
    assert not segment(distant(scan), random_model()).array.any()


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
@pytest.mark.parametrize("name", ["3D", "3D, coarser", "2D"])
def test_a_scan_left_in_its_file_gets_the_labels_of_one_read_whole(tmp_path: Path, axes: Any, name: str) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1.0, 1, 1])[list(axes)]
    path, model = write_scan(tmp_path / "scan.nii", (40, 24, 20), affine), MODELS[name]()
    whole, left = segment(read(path), model), segment(read(path, lazy=True), model)
    assert np.array_equal(left.array, whole.array)
    assert left.same_grid_as(whole)
    assert left.stored == whole.stored
    assert ganseg.write(tmp_path / "seg.nii", left).exists()


def test_a_large_file_is_left_where_it_is_when_its_name_is_given(tmp_path: Path, monkeypatch) -> None:
    path, model = write_scan(tmp_path / "scan.nii"), bands_model()
    expected = segment(path, model)
    monkeypatch.setattr("napari_ganseg.io.pieces.LARGE", 0.0)
    monkeypatch.setattr("napari_ganseg.io.reading.load", None)
    assert np.array_equal(segment(path, model).array, expected.array)
