"""From voxels to labels: what the stream computes is what a dense computation would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import HU, Z_SCORE, bands_model, make_card, noise, random_model
from monai.inferers import sliding_window_inference
from torch import Tensor, nn

from napari_ganseg import grid
from napari_ganseg.errors import ComputeError, UsageError
from napari_ganseg.inference import segment
from napari_ganseg.inference.engine import segment_with_confidence
from napari_ganseg.inference.frame import frame_of
from napari_ganseg.inference.labelling import Job, label, on_device, planes_for, scores, slice_at
from napari_ganseg.inference.target import Target
from napari_ganseg.models import Model
from napari_ganseg.models.card import Postprocessing
from napari_ganseg.run import Controls
from napari_ganseg.volume import Volume

CPU = torch.device("cpu")


def job_for(model: Model) -> Job:
    return Job(model, CPU, Controls(), 0.5, "float32")


# --- against others ---------------------------------------------------------------------------------------------------


def monais(scan: Volume, model: Model, overlap: float) -> np.ndarray:
    """Labels that MONAI's sliding window gives."""
    image = torch.from_numpy(model.card.preprocessing.intensity().apply(scan).array)[None, None]
    with torch.inference_mode():
        logits = sliding_window_inference(image, model.card.patch, 1, model.network, overlap, "gaussian")
    assert isinstance(logits, Tensor)
    return logits[0].argmax(0).numpy()


@pytest.mark.parametrize("kind", [HU, Z_SCORE])
def test_labels_are_those_of_monais_sliding_window(kind: Any) -> None:
    scan, model = noise((64, 48, 48)), random_model(3, 3, patch=(32, 32, 32), preprocessing=kind)
    expected, found = monais(scan, model, 0.5), segment(scan, model, precision="float32").array
    for value in range(4):
        a, b = expected == value, found == value
        assert a.any()
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) >= 0.999


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.4, 0.8, 1.0), (2.5, 2.5, 2.5)])
def test_one_tile_is_the_network_on_the_whole_scan(spacing: tuple[float, ...]) -> None:
    scan = noise((16, 20, 18))
    model = random_model(3, 2, spacing=spacing, patch=(32, 32, 32))
    scaled, _ = grid.resample(scan, spacing)
    prepared = model.card.preprocessing.intensity().apply(scaled)
    padded, undo = grid.pad(prepared, [max(8, -(-n // 4) * 4) for n in prepared.shape], None)
    logits = scores(model.network, [padded.array[np.newaxis]], job_for(model))[0].numpy()
    means = undo(padded.derive(array=logits, has_channels=True)).array
    for axis, places in enumerate(frame_of(scan, spacing), start=1):
        means = grid.interpolate(means, places.back, axis)
    assert (segment(scan, model, precision="float32").array == means.argmax(0)).mean() > 0.9999


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.8])
def test_tiles_of_a_network_that_looks_at_single_voxels_leave_no_trace(overlap: float) -> None:
    scan = noise((33, 47, 19))
    expected = np.digitize(scan.array, [100, 200])
    assert np.array_equal(segment(scan, bands_model(3, 2), overlap=overlap).array, expected)


# --- slices -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("planes", "spacing"), [(60, 2.5), (24, 0.7), (40, 1.0), (9, 0.3)])
def test_every_slice_is_that_slice_of_the_whole_though_few_tiles_are_computed(planes: int, spacing: float) -> None:
    scan, model = noise((planes, 9, 9)), random_model(spacing=(spacing, 1.0, 1.0), preprocessing=Z_SCORE)
    whole = segment(scan, model).array
    assert whole.any()
    for z in (*range(0, planes, 3), planes - 1):
        one = segment(scan, model, slice_index=z).array
        assert np.array_equal(one[z], whole[z])
        assert not np.delete(one, z, axis=0).any()


def test_slices_of_a_resampled_region_too() -> None:
    scan, model, box = (
        noise((40, 20, 20)),
        random_model(spacing=(1.7, 1.0, 0.8)),
        (slice(3, 37), slice(2, 19), slice(9)),
    )
    whole = segment(scan, model, region=box).array
    for z in (3, 4, 19, 20, 35, 36):
        assert np.array_equal(segment(scan, model, region=box, slice_index=z).array[z], whole[z])


@pytest.mark.parametrize("ratio", [1.0, 0.7, 2.5, 30.0])
def test_the_planes_for_a_slice_lie_around_it(ratio: float) -> None:
    (axis, _) = (a.padded(8) for a in frame_of(noise((40, 9)), (ratio, 1.0)))
    for z in range(40):
        first, last = planes_for(axis, slice(z, z + 1))
        assert first <= axis.back[z] <= last < len(axis.seen)
        assert last - first <= 1


@pytest.mark.parametrize("channels", [False, True])
def test_a_slice_lies_where_it_lay_in_the_volume(channels: bool) -> None:
    volume = noise((2, 5, 6, 7) if channels else (5, 6, 7), has_channels=channels)
    one = slice_at(volume, 3)
    assert one.spatial_ndim == 2
    assert np.array_equal(one.array, volume.array[..., 3, :, :])
    assert np.allclose(one.to_mm((4, 5)), volume.to_mm((3, 4, 5)))


# --- shapes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", [(0.1, 1.0, 1.0), (30.0, 30.0, 30.0), (30.0, 1.0, 0.3)])
def test_absurd_spacings_are_labelled_on_the_scans_grid(spacing: tuple[float, ...]) -> None:
    scan = noise((9, 30, 12))
    assert segment(scan, random_model(spacing=spacing)).same_grid_as(scan)


@pytest.mark.parametrize("shape", [(1, 30, 20), (5, 1, 3), (30, 1), (1, 1), (3, 2, 40)])
def test_thin_images_take_a_2d_model(shape: tuple[int, ...]) -> None:
    scan = noise(shape)
    assert np.array_equal(segment(scan, bands_model(2)).array, scan.array > 100)


def test_a_2d_model_on_channels_in_a_region_at_one_slice() -> None:
    scan = noise((2, 6, 21, 22), has_channels=True)
    box = (slice(2, 5), slice(3, 20), slice(1, 9))
    labels = segment(scan, bands_model(2, channels=("a", "b")), region=box, slice_index=4).array
    expected = np.zeros(scan.shape, bool)
    expected[4, 3:20, 1:9] = scan.array[0, 4, 3:20, 1:9] > 100
    assert np.array_equal(labels, expected)


# --- where labels go --------------------------------------------------------------------------------------------------


class Elsewhere:
    """An array that is not numpy's: it takes and gives boxes."""

    def __init__(self, shape: tuple[int, ...], dtype: Any = np.uint8) -> None:
        self.inner = np.zeros(shape, dtype)
        self.shape, self.dtype, self.ndim = self.inner.shape, self.inner.dtype, self.inner.ndim

    def __setitem__(self, index: Any, values: Any) -> None:
        self.inner[index] = values

    def __getitem__(self, index: Any) -> Any:
        return self.inner[index]


@pytest.mark.parametrize("spacing", [1.0, 1.4])
@pytest.mark.parametrize("region", [None, (slice(3, 30), slice(2, 19), slice(0, 9))])
def test_labels_go_into_a_file_on_disk(tmp_path: Path, region: Any, spacing: float) -> None:
    scan, model = noise((40, 20, 20)), random_model(spacing=(spacing, 1.0, 1.0))
    out = np.memmap(tmp_path / "labels", np.uint8, "w+", shape=scan.shape)
    labels = segment(scan, model, out=out, region=region)
    assert labels.array is out
    assert np.array_equal(out, segment(scan, model, region=region).array)


@pytest.mark.parametrize("dims", [2, 3])
def test_labels_go_into_any_array(dims: int) -> None:
    scan, model = noise((20, 20, 20)), random_model(dims)
    out = Elsewhere(scan.shape, np.int32)
    labels: Any = segment(scan, model, out=out)
    assert labels.array is out
    assert np.array_equal(out.inner, segment(scan, model).array)


def test_the_largest_piece_is_what_stays_in_there_too() -> None:
    scan, model = noise((20, 20, 20)), random_model(postprocessing=Postprocessing((1, 2)))
    out = np.zeros(scan.shape, np.uint8)
    labels = segment(scan, model, out=out)
    assert np.array_equal(out, labels.array)
    assert np.array_equal(out, segment(scan, model).array)


@pytest.mark.parametrize(
    "out",
    [np.zeros((20, 20, 19), np.uint8), np.zeros((20, 20)), *[np.zeros((20,) * 3, t) for t in ("f4", "i1", "?", "c8")]],
)
def test_an_array_that_cannot_hold_the_labels_is_refused_before_computing(out: np.ndarray) -> None:
    model = bands_model()
    with pytest.raises(UsageError, match=r"`out` needs the scan's shape \(20, 20, 20\) and whole numbers like uint8"):
        segment(noise((20, 20, 20)), model, out=out)
    assert model.network.calls == 0


# --- confidence -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", [1.0, 1.6, 0.6])
@pytest.mark.parametrize("dims", [2, 3])
def test_confidence_lies_on_the_scans_grid_and_changes_no_label(dims: int, spacing: float) -> None:
    scan = noise((20, 18, 24))
    model = random_model(dims, 2, spacing=(spacing,) * dims)
    labels, confidence = segment_with_confidence(scan, model)
    assert confidence.same_grid_as(scan)
    assert confidence.array.dtype == np.float32
    assert (confidence.array >= 1 / 3 - 1e-5).all()
    assert (confidence.array <= 1).all()
    assert np.array_equal(labels.array, segment(scan, model).array)


# --- networks ---------------------------------------------------------------------------------------------------------


class Fails(nn.Module):
    """A network whose answer is NaN at one voxel."""

    def forward(self, x: Tensor) -> Tensor:
        logits = torch.zeros((1, 2, *x.shape[2:]))
        logits[0, 1, 0, 0] = torch.nan
        return logits


def test_a_network_that_computes_nan_is_no_background() -> None:
    with pytest.raises(ComputeError, match="The network computed NaN"):
        segment(noise((16, 16)), Model(make_card(2), Fails(), ""))


def test_every_channel_reaches_the_network() -> None:
    model, image = random_model(2, channels=("a", "b")), noise((2, 16, 16), has_channels=True)
    swapped = image.derive(array=image.array[::-1].copy())
    assert not np.array_equal(segment(image, model).array, segment(swapped, model).array)


def test_a_network_stays_the_librarys_own_where_it_already_is() -> None:
    network = nn.Linear(2, 2)
    assert on_device(network, CPU) is network
    moved = on_device(network, torch.device("meta"))
    assert moved is not network
    assert network.weight.device == CPU


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_tiles_that_go_through_together_are_labelled_as_one_by_one(batch: int) -> None:
    array = noise((40, 20, 50)).array.copy()
    array[:, :, 20:] = -1000  # tiles of air between the others
    scan, model = Volume(array=array), random_model(3, 2, patch=(16, 16, 16), modality="CT")
    job = replace(job_for(model), batch=batch)
    found = np.zeros(scan.shape, np.uint8)
    box = tuple(slice(0, n) for n in scan.shape)
    progress = list(label(scan, job, Target(found, None, box, slice(0, 40))))
    assert np.array_equal(found, segment(scan, model, precision="float32").array)
    assert progress[-1].done == progress[-1].total == len(progress)
