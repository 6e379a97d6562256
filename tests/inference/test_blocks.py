"""Blocks: together they are the whole, their means are those of a dense blend, and none waits longer than it must."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_ganseg.inference.blocks import Block, Blocks
from napari_ganseg.inference.memory import front
from napari_ganseg.inference.tiles import Place, Tiling, cover, importance

CPU = torch.device("cpu")
HALOS = pytest.mark.parametrize("halo", [0, 1])
CASES = pytest.mark.parametrize(("seed", "dims"), [(seed, dims) for seed in range(6) for dims in (2, 3)])


def random_tiling(seed: int, dims: int) -> Tiling:
    """Any shape, tile and overlap; up to many tiles deep."""
    rng = np.random.default_rng([seed, dims])
    tile = rng.integers(2, 10, dims)
    shape = tile + rng.integers(0, 20 if dims == 2 else 12, dims)
    return cover(shape.tolist(), tile.tolist(), float(rng.choice([0.0, 0.3, 0.5, 0.7, 0.8])))


def logits_at(place: Place, tile: tuple[int, ...], classes: int = 3) -> Tensor:
    """What a network says about a tile; each says something else about the voxels that they share."""
    generator = torch.Generator().manual_seed(hash(place) % 2**31)
    return torch.randn((classes, *tile), generator=generator)


def swept(tiling: Tiling, halo: int, said: Callable[[Place], Tensor | None]) -> Iterator[Block]:
    """All blocks."""
    blocks = Blocks(tiling, halo, CPU)
    for place in tiling.places():
        yield from blocks.add(place, said(place))


def box_of(block: Block) -> tuple[slice, ...]:
    """The voxels that a block answers for."""
    return tuple(slice(s.start, s.stop) for s in block.sections)


def dense(tiling: Tiling, said: Callable[[Place], Tensor | None], classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """The weighted mean over the whole array and the weights, all at once."""
    total, weight, window = np.zeros((classes, *tiling.shape)), np.zeros(tiling.shape), importance(tiling.tile)
    for place in tiling.places():
        logits = said(place)
        if logits is not None:
            total[(slice(None), *tiling.box(place))] += logits.float().numpy() * window
            weight[tiling.box(place)] += window
    return total / np.maximum(weight, 1e-30), weight


@HALOS
@CASES
def test_every_voxel_belongs_to_exactly_one_block(seed: int, dims: int, halo: int) -> None:
    tiling = random_tiling(seed, dims)
    owners = np.zeros(tiling.shape, int)
    for block in swept(tiling, halo, lambda place: None):
        owners[box_of(block)] += 1
    assert (owners == 1).all()


@HALOS
@CASES
def test_means_are_those_of_a_dense_blend_up_to_the_reach(seed: int, dims: int, halo: int) -> None:
    tiling = random_tiling(seed, dims)
    expected, _ = dense(tiling, lambda place: logits_at(place, tiling.tile))
    for block in swept(tiling, halo, lambda place: logits_at(place, tiling.tile)):
        reach = tuple(slice(s.start, s.reach) for s in block.sections)
        assert all(s.reach == min(s.stop + halo, n) for s, n in zip(block.sections, tiling.shape, strict=True))
        assert np.allclose(block.means().numpy(), expected[(slice(None), *reach)], atol=1e-4)


@HALOS
@CASES
def test_skipped_tiles_count_for_nothing(seed: int, dims: int, halo: int) -> None:
    tiling = random_tiling(seed, dims)
    is_kept = dict.fromkeys(tiling.places(), False) | {p: bool((sum(p) + seed) % 3) for p in tiling.places()}

    def said(place: Place) -> Tensor | None:
        return logits_at(place, tiling.tile) if is_kept[place] else None

    expected, weight = dense(tiling, said)
    for block in swept(tiling, halo, said):
        box = box_of(block)
        if block.scores is None:
            assert not weight[box].any()
        else:
            inner = tuple(slice(0, s.stop - s.start) for s in block.sections)
            assert np.allclose(block.means()[(slice(None), *inner)].numpy(), expected[(slice(None), *box)], atol=1e-4)


@HALOS
@CASES
def test_what_waits_is_no_more_than_the_front(seed: int, dims: int, halo: int) -> None:
    tiling = random_tiling(seed, dims)
    most = front(tiling, halo)
    blocks = Blocks(tiling, halo, CPU)
    for place in tiling.places():
        for _ in blocks.add(place, logits_at(place, tiling.tile)):
            pass
        assert sum(weight.numel() for _, weight in blocks._sums.values()) <= most
    assert not blocks._sums
    assert not blocks._left


@HALOS
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_the_front_is_little_more_than_what_neighbours_share(overlap: float, halo: int) -> None:
    tiling = cover((96, 80, 80), (32, 32, 32), overlap)
    shared = max(a + 32 - b for a, b in pairwise(tiling.starts[0]))
    rows = sum(32**axis * 32 * 80 ** (2 - axis) for axis in (1, 2))
    assert front(tiling, halo) <= (shared + 2 * halo) * 90**2 + (1.3 + 1.5 * halo) * rows


def test_what_waits_does_not_grow_with_the_sweep() -> None:
    short, long = (cover((n, 32, 32), (16, 16, 16), 0.5) for n in (48, 480))
    assert front(short) == front(long)
    assert front(long) < 0.1 * np.prod(long.shape)


@HALOS
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
@pytest.mark.parametrize(("first", "last"), [(0, 1), (7, 8), (12, 13), (20, 30), (39, 39)])
def test_blocks_of_fewer_tiles_are_those_of_all_where_planes_are_wanted(
    first: int, last: int, overlap: float, halo: int
) -> None:
    tiling = cover((40, 12), (16, 8), overlap)
    expected, _ = dense(tiling, lambda place: logits_at(tuple(tiling.box(place)[i].start for i in (0, 1)), (16, 8)))
    part, seen = tiling.within(first, last), np.zeros(tiling.shape, int)
    for block in swept(part, halo, lambda p: logits_at(tuple(part.box(p)[i].start for i in (0, 1)), (16, 8))):
        box, means = box_of(block), block.means().numpy()
        assert means.shape[1:] == tuple(s.reach - s.start for s in block.sections)
        seen[box] += 1
        rows = [y for y in range(block.sections[0].start, block.sections[0].reach) if first <= y <= last]
        columns = slice(block.sections[1].start, block.sections[1].reach)
        for y in rows:
            assert np.allclose(means[:, y - block.sections[0].start], expected[:, y, columns], atol=1e-4)
    assert (seen[first : last + 1] == 1).all()
    assert seen.max() == 1


def test_blocks_are_let_go_in_the_order_of_the_sweep() -> None:
    tiling = cover((40, 16), (16, 16), 0.5)
    starts = [block.sections[0].start for block in swept(tiling, 0, lambda place: None)]
    assert starts == sorted(starts)


def test_a_block_that_only_one_tile_touches_is_a_view_of_what_it_said() -> None:
    logits = torch.randn(3, 8, 8)
    (block,) = swept(cover((8, 8), (8, 8), 0.5), 0, lambda place: logits)
    assert block.weight is None
    assert block.scores is not None
    assert block.scores.data_ptr() == logits.data_ptr()


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16])
def test_sums_are_kept_in_half_precision_where_the_logits_have_no_more(kind: torch.dtype) -> None:
    tiling, kept = cover((24, 8), (8, 8), 0.5), torch.float32 if kind == torch.float32 else torch.float16
    exact = [b.means() for b in swept(tiling, 0, lambda place: logits_at(place, (8, 8)).to(kind).float())]
    blocks = list(swept(tiling, 0, lambda place: logits_at(place, (8, 8)).to(kind)))
    for block, expected in zip(blocks, exact, strict=True):
        assert block.means().dtype == torch.float32
        assert torch.allclose(block.means(), expected, atol=0.005)
        assert block.weight is None or block.scores is None or block.scores.dtype == kept
