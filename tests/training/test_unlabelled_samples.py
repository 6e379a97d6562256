"""From images without labels to two views of one crop: prepared as inference does, each step its own by its seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import Z_SCORE, blob_case, blob_cases, make_card, noise

from napari_ganseg.errors import UsageError
from napari_ganseg.training.config import Augmentation
from napari_ganseg.training.samples import batch, prepare
from napari_ganseg.training.unlabelled_samples import prepare_image, unlabelled_batch

STILL = Augmentation(affine=0.0, noise=0.0, smooth=0.0, contrast=0.0)
ALL = Augmentation(affine=1.0, flip_axes=(0, 1), noise=1.0, smooth=1.0, contrast=1.0, bias=1.0, low_resolution=1.0)
CARD = make_card(preprocessing=Z_SCORE)


@pytest.mark.parametrize("shape", [(20, 22, 24), (10, 30, 16)])
def test_an_image_is_prepared_as_that_of_a_case(shape: tuple[int, ...]) -> None:
    case, card = blob_case(shape=shape), replace(CARD, spacing=(2.0, 1.0, 1.0))
    assert np.array_equal(prepare_image(case.image, card), prepare(case, card).image)


def test_channels_stay_first() -> None:
    image = noise((2, 20, 20), has_channels=True)
    assert prepare_image(image, make_card(2, channels=("a", "b"))).shape == (2, 20, 20)


def test_voxels_that_are_no_number_are_repaired() -> None:
    array = np.random.default_rng(0).normal(0, 1, (20, 20, 20)).astype(np.float32)
    array[0, 0, 0] = np.nan
    image = blob_case().image.derive(array=array)
    assert np.isfinite(prepare_image(image, CARD)).all()


def test_an_image_of_other_dimensions_or_channels_is_refused() -> None:
    with pytest.raises(UsageError, match=r"is 2D with 1 channel\(s\); tiny takes 3D with 1"):
        prepare_image(noise((20, 20)), CARD)
    with pytest.raises(UsageError, match=r"is 2D with 2 channel\(s\); tiny takes 2D with 1"):
        prepare_image(noise((2, 20, 20), has_channels=True), make_card(2))


@pytest.mark.parametrize("dims", [2, 3])
def test_both_views_have_the_size_of_the_patch(dims: int) -> None:
    card = make_card(dims, preprocessing=Z_SCORE)
    images = [prepare_image(case.image, card) for case in blob_cases(dims)]
    for view in unlabelled_batch(images, card, ALL, 0, 0, 3):
        assert view.shape == (3, 1, *(16,) * dims)
        assert (type(view), view.dtype) == (torch.Tensor, torch.float32)
        assert bool(view.isfinite().all())


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    images = [prepare_image(case.image, CARD) for case in blob_cases()]
    first = unlabelled_batch(images, CARD, ALL, 5, 3, 2)
    unlabelled_batch(images, CARD, ALL, 9, 9, 1)
    again = unlabelled_batch(images, CARD, ALL, 5, 3, 2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    for seed, step in ((5, 4), (6, 3)):
        assert not torch.equal(unlabelled_batch(images, CARD, ALL, seed, step, 2).weak, first.weak)


def test_the_labelled_samples_stay_what_they_are() -> None:
    prepared = [prepare(case, CARD) for case in blob_cases()]
    before = [batch(prepared, CARD, ALL, 5, step, 2).image for step in range(3)]
    after = []
    for step in range(3):
        unlabelled_batch([p.image for p in prepared], CARD, ALL, 5, step, 2)
        after.append(batch(prepared, CARD, ALL, 5, step, 2).image)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_sampling_leaves_everyones_random_numbers_alone() -> None:
    before = (torch.get_rng_state(), np.random.get_state()[1].copy())  # noqa: NPY002
    unlabelled_batch([prepare_image(blob_case().image, CARD)], CARD, ALL, 0, 0, 2)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_the_strong_view_is_the_weak_one_with_other_intensities() -> None:
    images = [prepare_image(blob_case().image, CARD)]
    turned = replace(STILL, affine=1.0, flip_axes=(0,))
    weak, strong = unlabelled_batch(images, CARD, turned, 1, 2, 2)
    assert torch.equal(weak, strong)
    louder = unlabelled_batch(images, CARD, replace(turned, noise=1.0), 1, 2, 2)
    assert torch.equal(louder.weak, weak)
    assert not torch.equal(louder.strong, weak)
    assert (louder.strong - weak).abs().max() < 1


def test_without_augmentation_a_view_is_a_crop_from_anywhere() -> None:
    image = prepare_image(blob_case().image, CARD)
    windows = np.lib.stride_tricks.sliding_window_view(image[0], (16, 16, 16))
    places = set()
    for step in range(8):
        weak = unlabelled_batch([image], CARD, STILL, 0, step, 1).weak[0, 0].numpy()
        places |= {tuple(p) for p in np.argwhere((windows == weak).all(axis=(3, 4, 5)))}
    assert len(places) >= 6


def test_where_sides_are_classes_half_of_the_images_are_mirrored() -> None:
    card = make_card(2, classes=2, preprocessing=Z_SCORE)
    image = np.broadcast_to(np.arange(16, dtype=np.float32), (1, 16, 16)).copy()
    views = [unlabelled_batch([image], card, replace(STILL, sides=((1, 2),)), 0, s, 1).weak for s in range(20)]
    assert 4 < sum(bool(v[0, 0, 0, 0] > v[0, 0, 0, -1]) for v in views) < 16


def test_every_pass_visits_every_image_once() -> None:
    images = [np.full((1, 16, 16, 16), value, np.float32) for value in range(5)]
    seen = [float(unlabelled_batch(images, CARD, STILL, 0, step, 1).weak.mean()) for step in range(10)]
    assert sorted(seen[:5]) == sorted(seen[5:]) == list(range(5))
