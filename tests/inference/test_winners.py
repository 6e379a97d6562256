"""The best class of every voxel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_ganseg.errors import ComputeError
from napari_ganseg.inference.winners import winners


@pytest.mark.parametrize("classes", [1, 2, 7, 254, 255, 256, 257, 300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_winners_are_the_argmax(classes: int, dtype: torch.dtype) -> None:
    scores = torch.randn(classes, 9, 20, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert np.array_equal(winners(scores), scores.float().numpy().argmax(0))


@pytest.mark.parametrize("classes", [3, 300])
def test_a_tie_goes_to_the_first(classes: int) -> None:
    scores = torch.randint(0, 3, (classes, 40, 40), generator=torch.Generator().manual_seed(0)).float()
    assert np.array_equal(winners(scores), scores.numpy().argmax(0))
    assert not winners(torch.zeros(classes, 4)).any()


def test_winners_leave_the_scores_and_take_views() -> None:
    scores = torch.randn(4, 8, 10)
    before = scores.clone()
    assert np.array_equal(winners(scores[:, 1:5, ::3]), scores[:, 1:5, ::3].argmax(0).numpy())
    assert torch.equal(scores, before)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_score_that_is_no_number_is_no_background(bad: float, number: int) -> None:
    scores = torch.zeros(3, 4, 4)
    scores[number, 2, 2] = bad
    with pytest.raises(ComputeError, match="The network computed NaN"):
        winners(scores)
