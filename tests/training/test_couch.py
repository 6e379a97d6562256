"""A couch is drawn into the air behind a body, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_ganseg.training.couch import RandCouchd

AIR, BONE = -2.0, 4.0


def body(back: int = 16) -> Tensor:
    image = torch.full((1, 12, 40, 40), AIR)
    image[:, :, back : back + 16, 8:32] = 0.0
    return image


def with_couch(image: Tensor, seed: int = 0) -> Tensor:
    couch = RandCouchd("image", air=AIR, bone=BONE, prob=1.0)
    couch.set_random_state(seed=seed)
    return couch({"image": image})["image"]


@pytest.mark.parametrize("seed", range(8))
def test_a_couch_lies_behind_the_body_and_leaves_it_as_it_was(seed: int) -> None:
    image = body()
    drawn = with_couch(image, seed)
    changed = (drawn != image)[0]
    assert torch.equal(drawn[image > AIR], image[image > AIR])
    assert changed.any()
    assert not changed[:, 16 + 12 :].any()


def test_a_couch_is_the_same_in_every_slice() -> None:
    drawn = with_couch(body())
    assert torch.equal(drawn[0, 0], drawn[0, -1])


def test_an_image_without_a_body_gets_no_couch() -> None:
    air = torch.full((1, 12, 40, 40), AIR)
    assert torch.equal(with_couch(air), air)


def test_a_body_that_fills_the_crop_gets_no_couch() -> None:
    filled = torch.zeros((1, 12, 40, 40))
    assert torch.equal(with_couch(filled), filled)


def test_without_luck_there_is_no_couch() -> None:
    couch = RandCouchd("image", air=AIR, bone=BONE, prob=0.0)
    assert torch.equal(couch({"image": body()})["image"], body())
