"""Memory that is used again."""

from __future__ import annotations

import torch

from napari_ganseg.inference.pool import Pool

CPU = torch.device("cpu")


def test_what_was_given_back_is_used_again() -> None:
    pool = Pool(torch.float32, CPU)
    first = pool.take((3, 4))
    pool.give_back(first)
    again = pool.take((2, 5))
    assert again.shape == (2, 5)
    assert again.data_ptr() == first.data_ptr()


def test_what_is_in_use_is_not() -> None:
    pool = Pool(torch.float32, CPU)
    taken = [pool.take((10,)) for _ in range(3)]
    assert len({t.data_ptr() for t in taken}) == 3
    pool.give_back(taken[1])
    assert pool.take((10,)).data_ptr() == taken[1].data_ptr()
    assert pool.take((10,)).data_ptr() not in {t.data_ptr() for t in taken}


def test_a_small_piece_is_not_cut_from_a_large_one_nor_a_large_one_from_a_small_one() -> None:
    pool = Pool(torch.float16, CPU)
    large, small = pool.take((100,)), pool.take((10,))
    pool.give_back(large)
    pool.give_back(small)
    assert pool.take((40,)).data_ptr() not in (large.data_ptr(), small.data_ptr())
    assert pool.take((90,)).data_ptr() == large.data_ptr()
    assert pool.take((10,)).data_ptr() == small.data_ptr()
