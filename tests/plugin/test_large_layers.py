"""Layers whose voxels lie elsewhere, in dask arrays for example, are segmented without bringing them into memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_ganseg.errors import FileError
from napari_ganseg.io.lazy import LazyArray
from napari_ganseg.plugin.placement import assumed, orientation_codes

dask = pytest.importorskip("dask.array")
ARRAY = np.random.default_rng(0).normal(0, 200, (14, 15, 16)).astype(np.float32)


def both(array: np.ndarray, codes: str = "SPL") -> tuple[Any, Any]:
    """A layer's array as a Volume, in memory and left where it is."""
    placement = assumed(array.shape, (1, 2, 3)[-array.ndim :], "array", codes)
    return placement.volume(array), placement.volume(dask.from_array(array, chunks=5), lazy=True)


@pytest.mark.parametrize("codes", orientation_codes())
def test_an_array_left_where_it_is_is_upright_all_the_same(codes: str) -> None:
    near, far = both(ARRAY, codes)
    assert isinstance(far.array, LazyArray)
    assert np.array_equal(far.array, near.array)
    assert np.array_equal(far.array[2:9:3, 4], near.array[2:9:3, 4])
    assert far.same_grid_as(near)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint32, np.float64, bool])
@pytest.mark.parametrize("shape", [(14, 15, 16), (15, 16)])
def test_voxels_have_the_type_they_would_have_in_memory(dtype: Any, shape: tuple[int, ...]) -> None:
    near, far = both(np.abs(ARRAY).reshape(-1)[: np.prod(shape)].reshape(shape).astype(dtype))
    assert far.array.dtype == near.array.dtype
    assert np.array_equal(far.array, near.array)


def test_what_is_not_finite_is_repaired_or_refused_as_in_memory() -> None:
    array = ARRAY.copy()
    array[3, 4, 5:9] = np.nan
    near, far = both(array)
    assert far.notes == near.notes
    assert np.array_equal(far.array, near.array)
    array[:7] = np.inf
    with pytest.raises(FileError, match="this is no scan"):
        both(array)[1]


@pytest.mark.parametrize("lazy", [False, True])
def test_what_else_can_be_made_an_array_is_taken_into_memory(lazy: bool) -> None:
    placement = assumed(ARRAY.shape, (1, 2, 3), "array")
    assert isinstance(placement.volume(ARRAY, lazy=lazy).array, np.ndarray)
    assert isinstance(placement.volume(ARRAY.tolist(), lazy=lazy).array, np.ndarray)
    assert isinstance(placement.volume(dask.from_array(ARRAY), lazy=False).array, np.ndarray)
