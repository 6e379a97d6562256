"""From voxels to labels: the arithmetic between the scan and the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from builders import bands_model, make_card, noise, random_model
from torch import Tensor, nn

from napari_ganseg import grid
from napari_ganseg.errors import ComputeError
from napari_ganseg.inference.labelling import Job, blended, on_device, probabilities, slice_at, winners
from napari_ganseg.inference.tiles import tiles
from napari_ganseg.models import Model
from napari_ganseg.run import Controls, Run
from napari_ganseg.volume import Volume

CPU = torch.device("cpu")


def scores_of(model: Model, image: Volume, tile: tuple[int, ...], overlap: float = 0.5) -> np.ndarray:
    job = Job(model, CPU, overlap, Controls())
    steps = blended(image, tile, tiles(image.shape, tile, overlap), job, model.network)
    return Run(lambda _: steps).result.array


@pytest.mark.parametrize("dims", [2, 3])
def test_one_tile_is_no_tiling(dims: int) -> None:
    model, image = random_model(dims), noise((24,) * dims)
    direct = probabilities(model.network, image.array[np.newaxis], CPU)
    assert np.allclose(scores_of(model, image, (24,) * dims), direct, atol=1e-5)


@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_many_tiles_of_a_network_that_looks_at_single_voxels_are_no_tiling(overlap: float) -> None:
    model, image = bands_model(3, 2), noise((33, 47, 19)).derive(array=noise((33, 47, 19)).array / 100)
    direct = probabilities(model.network, image.array[np.newaxis], CPU)
    assert np.allclose(scores_of(model, image, (16, 16, 16), overlap), direct, atol=1e-5)


def test_scores_are_probabilities() -> None:
    scores = scores_of(random_model(2, 4), noise((32, 48)), (16, 16))
    assert scores.shape == (5, 32, 48)
    assert np.allclose(scores.sum(0), 1, atol=1e-5)


def test_every_channel_reaches_the_network() -> None:
    model = random_model(2, channels=("a", "b"))
    image = noise((2, 16, 16), has_channels=True)
    swapped = image.derive(array=image.array[::-1].copy())
    assert not np.allclose(scores_of(model, image, (16, 16)), scores_of(model, swapped, (16, 16)))


class Fails(nn.Module):
    """A network whose answer is NaN."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.full((1, 2, *x.shape[2:]), torch.nan)


def test_a_network_that_computes_nan_is_no_background() -> None:
    with pytest.raises(ComputeError, match="The network computed NaN"):
        scores_of(Model(make_card(2), Fails(), ""), noise((16, 16)), (16, 16))


def test_the_highest_score_wins_and_a_tie_is_background() -> None:
    scores = Volume(array=np.array([[[0.5, 0.2, 0.3]], [[0.5, 0.7, 0.3]], [[0.0, 0.1, 0.4]]]), has_channels=True)
    assert winners(scores, lambda v: v, (0, 9, 70_000)).tolist() == [[0, 9, 70_000]]


def test_the_winner_is_chosen_after_interpolation_not_before() -> None:
    """Between 0.9 and 0.3 of class 1 lie 0.7, 0.6 ... : the border falls where the scores cross."""
    scores = np.array([[[0.1, 0.9]], [[0.9, 0.1]]], np.float32)
    fine, undo = grid.resample(Volume(array=np.zeros((1, 16), np.float32)), (1.0, 8.0))
    assert fine.shape == (1, 2)
    labels = winners(fine.derive(array=scores, has_channels=True), undo, (0, 1))
    assert labels.tolist() == [[1] * 8 + [0] * 8]


def test_the_score_of_only_one_class_at_a_time_lies_on_the_full_grid() -> None:
    scores = Volume(array=np.random.default_rng(0).random((50, 4, 4), dtype=np.float32), has_channels=True)
    seen = []

    def undo(volume: Volume) -> Volume:
        seen.append(volume.array.shape)
        return volume

    labels = winners(scores, undo, range(50))
    assert np.array_equal(labels, scores.array.argmax(0))
    assert seen == [(4, 4)] * 50


def test_scores_are_not_changed_by_choosing() -> None:
    scores = noise((3, 8, 8), has_channels=True)
    before = scores.array.copy()
    winners(scores, lambda v: v, (0, 1, 2))
    assert np.array_equal(scores.array, before)


@pytest.mark.parametrize("channels", [False, True])
def test_a_slice_lies_where_it_lay_in_the_volume(channels: bool) -> None:
    volume = noise((2, 5, 6, 7) if channels else (5, 6, 7), has_channels=channels)
    one = slice_at(volume, 3)
    assert one.spatial_ndim == 2
    assert np.array_equal(one.array, volume.array[..., 3, :, :])
    assert np.allclose(one.to_mm((4, 5)), volume.to_mm((3, 4, 5)))


def test_a_network_stays_the_librarys_own_where_it_already_is() -> None:
    network = nn.Linear(2, 2)
    assert on_device(network, CPU) is network
    moved = on_device(network, torch.device("meta"))
    assert moved is not network
    assert network.weight.device == CPU
