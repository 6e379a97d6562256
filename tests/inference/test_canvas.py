"""Canvas: labels and confidence are those of mean logits interpolated over the whole scan at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from builders import noise

from napari_ganseg import grid
from napari_ganseg.inference.blocks import Blocks
from napari_ganseg.inference.canvas import Canvas, mixed
from napari_ganseg.inference.frame import Axis, frame_of
from napari_ganseg.inference.target import Target
from napari_ganseg.inference.tiles import Place, Tiling, cover, importance

CPU = torch.device("cpu")
CASES = pytest.mark.parametrize(
    ("shape", "spacing", "overlap"),
    [
        ((30, 17), (1.0, 1.0), 0.5),
        ((30, 17), (2.3, 0.6), 0.5),
        ((5, 40), (0.2, 12.0), 0.5),
        ((19, 20, 12), (1.0, 1.0, 1.0), 0.3),
        ((19, 20, 12), (0.7, 1.0, 1.3), 0.5),
        ((19, 9, 30), (1.6, 1.6, 1.6), 0.0),
        ((24, 9, 9), (0.5, 2.0, 2.0), 0.8),
    ],
)
VALUES = (0, 7, 70_000)


def tiled(shape: Sequence[int], spacing: Sequence[float], overlap: float) -> tuple[list[Axis], Tiling]:
    axes = [axis.padded(8) for axis in frame_of(noise(tuple(shape)), spacing)]
    return axes, cover([len(axis.seen) for axis in axes], [8] * len(axes), overlap)


def said(tiling: Tiling, place: Place, classes: int) -> torch.Tensor:
    """Logits that vary slowly, so that winners form regions, and differ from tile to tile."""
    rng = np.random.default_rng([b.start for b in tiling.box(place)])
    coarse = rng.normal(size=(classes, *[4] * len(tiling.tile))).astype(np.float32)
    for axis in range(1, coarse.ndim):
        coarse = grid.interpolate(coarse, np.linspace(0, 3, 8), axis)
    return torch.from_numpy(coarse)


def dense(axes: Sequence[Axis], tiling: Tiling, classes: int) -> np.ndarray:
    """(classes, ...) mean logits on the scan's grid."""
    total = np.zeros((classes, *tiling.shape), np.float64)
    weight, window = np.zeros(tiling.shape), importance(tiling.tile)
    for place in tiling.places():
        total[(slice(None), *tiling.box(place))] += said(tiling, place, classes).numpy() * window
        weight[tiling.box(place)] += window
    means = total / weight
    for number, axis in enumerate(axes, start=1):
        means = grid.interpolate(means, axis.back, number)
    return means


def painted(axes: Sequence[Axis], tiling: Tiling, target: Target, values: Sequence[int] = VALUES) -> None:
    canvas = Canvas(axes, values, target)
    blocks = Blocks(tiling, int(canvas.is_resampled), CPU)
    for place in tiling.places():
        for block in blocks.add(place, said(tiling, place, len(values))):
            canvas.put(block)


def target_for(shape: tuple[int, ...], wanted: slice | None = None) -> Target:
    box = tuple(slice(0, n) for n in shape)
    return Target(np.zeros(shape, np.int32), np.ones(shape, np.float32), box, wanted or box[0])


def assert_argmax(labels: np.ndarray, means: np.ndarray, values: Sequence[int] = VALUES) -> None:
    """Labels are the best classes, but for ties that rounding decides."""
    differs = labels != np.array(values)[means.argmax(0)]
    two = np.sort(means, axis=0)[-2:]
    assert ((two[1] - two[0])[differs] < 1e-4).all()
    assert len(np.unique(labels)) > 1


@CASES
def test_labels_are_the_argmax_of_the_interpolated_means(
    shape: tuple[int, ...], spacing: tuple[float, ...], overlap: float
) -> None:
    axes, tiling = tiled(shape, spacing, overlap)
    target = target_for(shape)
    painted(axes, tiling, target)
    assert_argmax(target.labels, dense(axes, tiling, 3))


def test_three_hundred_classes_are_interpolated_too() -> None:
    axes, tiling = tiled((20, 18), (1.5, 0.8), 0.5)
    target, values = target_for((20, 18)), tuple(range(0, 600, 2))
    painted(axes, tiling, target, values)
    assert_argmax(target.labels, dense(axes, tiling, 300), values)


@CASES
def test_confidence_is_the_probability_of_the_winner(
    shape: tuple[int, ...], spacing: tuple[float, ...], overlap: float
) -> None:
    axes, tiling = tiled(shape, spacing, overlap)
    target = target_for(shape)
    painted(axes, tiling, target)
    assert target.confidence is not None
    assert (target.confidence > 1 / 3 - 1e-5).all()
    assert (target.confidence <= 1).all()
    if not any(axis.is_resampled for axis in axes):
        expected = torch.from_numpy(dense(axes, tiling, 3)).softmax(0).amax(0).numpy()
        assert np.allclose(target.confidence, expected, atol=1e-5)


@CASES
def test_only_wanted_planes_are_painted_and_they_are_those_of_the_whole(
    shape: tuple[int, ...], spacing: tuple[float, ...], overlap: float
) -> None:
    axes, tiling = tiled(shape, spacing, overlap)
    whole = target_for(shape)
    painted(axes, tiling, whole)
    wanted = slice(1, shape[0] - 2)
    some = target_for(shape, wanted)
    painted(axes, tiling, some)
    assert np.array_equal(some.labels[wanted], whole.labels[wanted])
    assert not some.labels[: wanted.start].any()
    assert not some.labels[wanted.stop :].any()
    assert some.confidence is not None
    assert (some.confidence[wanted.stop :] == 1).all()


def test_labels_go_to_their_place_in_larger_arrays() -> None:
    axes, tiling = tiled((12, 9), (1.5, 1.0), 0.5)
    alone = target_for((12, 9))
    painted(axes, tiling, alone)
    large = Target(np.zeros((4, 20, 20), np.int32), None, (slice(5, 17), slice(2, 11)), slice(0, 12), (3,))
    painted(axes, tiling, large)
    assert np.array_equal(large.labels[3, 5:17, 2:11], alone.labels)
    large.labels[3, 5:17, 2:11] = 0
    assert not large.labels.any()


def test_blocks_without_scores_leave_background_and_certainty() -> None:
    axes, tiling = tiled((30, 17), (1.3, 1.0), 0.5)
    target = target_for((30, 17))
    canvas, blocks = Canvas(axes, VALUES, target), Blocks(tiling, 1, CPU)
    for place in tiling.places():
        for block in blocks.add(place, None):
            canvas.put(block)
    assert not target.labels.any()
    assert target.confidence is not None
    assert (target.confidence == 1).all()


def test_the_winner_is_chosen_after_interpolation_not_before() -> None:
    """Between 0.9 and 0.1 of class 1 the border falls where the scores cross: in the middle of sixteen voxels."""
    axes = frame_of(noise((1, 16)), (1.0, 8.0))
    target = target_for((1, 16))
    canvas, blocks = Canvas(axes, (0, 1), target), Blocks(cover((1, 2), (1, 2), 0.5), 1, CPU)
    for block in blocks.add((0, 0), torch.tensor([[[0.1, 0.9]], [[0.9, 0.1]]])):
        canvas.put(block)
    assert target.labels.tolist() == [[1] * 8 + [0] * 8]


@pytest.mark.parametrize("shape", [(9,), (7, 8), (5, 6, 4), (1, 5)])
def test_mixed_is_where_a_voxel_and_its_upper_neighbours_differ(shape: tuple[int, ...]) -> None:
    found = np.random.default_rng(0).integers(0, 2, shape)
    for index in np.ndindex(shape):
        around = found[tuple(slice(i, i + 2) for i in index)]
        assert mixed(found)[index] == (around.min() != around.max())
