"""From cases to tensors: exactly as inference prepares them, each step its own by its seed."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import Z_SCORE, blob_case, blob_cases, make_card, tiny_config

from napari_ganseg import grid
from napari_ganseg.models.card import CardClass
from napari_ganseg.training import Case
from napari_ganseg.training.config import Adversary, Augmentation
from napari_ganseg.training.losses import UNKNOWN
from napari_ganseg.training.samples import batch, prepare, which
from napari_ganseg.volume import Annotation, LabelMap

NONE = Augmentation(affine=0.0, noise=0.0, smooth=0.0, contrast=0.0)
ALL = Augmentation(
    affine=1.0, flip_axes=(0, 1), noise=1.0, smooth=1.0, contrast=1.0, bias=1.0, low_resolution=1.0
)  # fmt: skip
CARD = make_card(preprocessing=Z_SCORE)


def known_only(case: Case, box: tuple[slice, ...], missing: frozenset[int] = frozenset()) -> Case:
    known = np.zeros(case.image.shape, bool)
    known[box] = True
    return replace(case, annotation=Annotation(case.annotation.labels, known, missing))


def test_a_case_is_prepared_as_inference_prepares_it() -> None:
    case, card = (
        blob_case(shape=(20, 22, 24)),
        make_card(preprocessing=Z_SCORE, spacing=(2.0, 1.0, 1.0), patch=(8,) * 3),
    )
    made = prepare(case, card)
    scaled, _ = grid.resample(case.image, card.spacing)
    assert np.array_equal(made.image[0], Z_SCORE.intensity().apply(scaled).array)
    assert made.image.shape == made.target.shape == (1, 10, 22, 24)
    assert set(np.unique(made.target)) == {0, 1}


def test_targets_number_the_classes_in_the_cards_order() -> None:
    classes = (CardClass(9, "nine", "#000000"), CardClass(1, "one", "#000000"))
    made = prepare(blob_case(), replace(CARD, classes=classes))
    assert set(np.unique(made.target)) == {0, 2}


def test_unknown_voxels_are_marked() -> None:
    case = known_only(blob_case(), (slice(0, 8),))
    target = prepare(case, CARD).target[0]
    assert (target[8:] == UNKNOWN).all()
    assert not (target[:8] == UNKNOWN).any()


def test_what_is_padded_is_unknown() -> None:
    made = prepare(blob_case(shape=(10, 22, 24)), CARD)
    assert made.target.shape == (1, 16, 22, 24)
    assert (made.target[0, :3] == UNKNOWN).all()
    assert (made.target[0, 13:] == UNKNOWN).all()
    assert not (made.target[0, 3:13] == UNKNOWN).any()


def test_a_class_that_nobody_contoured_is_marked_missing_and_another_models_class_is_not() -> None:
    whole = (slice(None),)
    prepared = prepare(known_only(blob_case(), whole, frozenset({1})), CARD)
    assert prepared.missing.tolist() == [False, True]
    assert not prepare(known_only(blob_case(), whole, frozenset({7})), CARD).missing.any()
    assert batch([prepared], CARD, NONE, 0, 0, 2).missing.tolist() == [[False, True]] * 2


@pytest.mark.parametrize("dims", [2, 3])
def test_a_batch_has_the_size_of_the_patch(dims: int) -> None:
    config = tiny_config(dims)
    prepared = [prepare(case, config.card) for case in blob_cases(dims)]
    image, target, _ = batch(prepared, config.card, ALL, 0, 0, 3)
    assert image.shape == target.shape == (3, 1, *(16,) * dims)
    assert (image.dtype, target.dtype) == (torch.float32, torch.uint8)
    assert type(image) is type(target) is torch.Tensor  # MONAI's MetaTensor costs a tenth of a forward pass
    assert set(target.unique().tolist()) <= {0, 1, UNKNOWN}
    assert bool(image.isfinite().all())


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    prepared = [prepare(case, CARD) for case in blob_cases()]
    again = [prepare(case, CARD) for case in blob_cases()]
    first, second = batch(prepared, CARD, ALL, 5, 3, 2), batch(again, CARD, ALL, 5, 3, 2)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    for seed, step in ((5, 4), (6, 3)):
        assert not torch.equal(batch(prepared, CARD, ALL, seed, step, 2)[0], first[0])


def test_the_samples_of_a_batch_differ() -> None:
    prepared = [prepare(blob_case(), CARD)]
    image, _, _ = batch(prepared, CARD, ALL, 0, 0, 2)
    assert not torch.equal(image[0], image[1])


def test_without_augmentation_a_sample_is_a_crop() -> None:
    prepared = prepare(blob_case(), CARD)
    image, target, _ = batch([prepared], CARD, NONE, 0, 0, 1)
    windows = np.lib.stride_tricks.sliding_window_view(prepared.image[0], (16, 16, 16))
    places = np.argwhere((windows == image[0, 0].numpy()).all(axis=(3, 4, 5)))
    assert len(places) == 1
    box = tuple(slice(p, p + 16) for p in places[0])
    assert np.array_equal(prepared.target[0][box], target[0, 0].numpy())


def test_image_and_target_move_together() -> None:
    """Where the target says box, the image is brighter, however both were turned."""
    prepared = [prepare(blob_case(), CARD)]
    turned = replace(NONE, affine=1.0, rotate=45.0, flip_axes=(0, 1, 2))
    for step in range(5):
        image, target, _ = batch(prepared, CARD, turned, 0, step, 1)
        assert image[target == 1].mean() > image[target == 0].mean() + 1


def planes_known(target: torch.Tensor) -> list[set[bool]]:
    """Of each plane of a (batch, 1, z, y, x) target, whether its voxels are known: one answer or both."""
    return [set((plane != UNKNOWN).unique().tolist()) for item in target[:, 0] for plane in item]


@pytest.mark.parametrize("in_plane", [True, False])
def test_turned_in_plane_an_annotated_plane_stays_a_whole_one(in_plane: bool) -> None:
    case = blob_case(shape=(16, 32, 32))
    known = np.zeros(case.image.shape, bool)
    known[[3, 7, 11]] = True
    case = replace(case, annotation=replace(case.annotation, known=known))
    turned = replace(NONE, affine=1.0, rotate=45.0, scale=0.3, flip_axes=(0, 2), in_plane=in_plane)
    made = batch([prepare(case, CARD)], CARD, turned, 0, 0, 6)
    still = batch([prepare(case, CARD)], CARD, NONE, 0, 0, 6)
    assert not torch.equal(made.image[:, :, 3], still.image[:, :, 3])
    answers = planes_known(made.target)
    assert (all(len(found) == 1 for found in answers) and answers.count({True}) == 3 * 6) == in_plane


def test_a_training_whose_adversary_judges_planes_never_tilts_them() -> None:
    config = tiny_config(adversary=Adversary(planes=True))
    assert config.variation == replace(config.augmentation, in_plane=True)
    assert tiny_config().variation == tiny_config().augmentation


def test_crops_are_centred_on_every_class_equally_often() -> None:
    case = blob_case(shape=(64, 64))
    labels = np.zeros((64, 64), np.uint8)
    labels[60, 60] = 1
    case = replace(case, annotation=replace(case.annotation, labels=case.annotation.labels.derive(array=labels)))
    card = make_card(2, preprocessing=Z_SCORE)
    prepared = [prepare(case, card)]
    held = [bool((batch(prepared, card, NONE, 0, step, 1)[1] == 1).any()) for step in range(40)]
    assert 10 < sum(held) < 32


def test_every_pass_visits_every_case_once_in_another_order() -> None:
    passes = [[which(7, 3, 7 * turn + k) for k in range(7)] for turn in range(5)]
    assert all(sorted(order) == list(range(7)) for order in passes)
    assert len({tuple(order) for order in passes}) > 1


def test_sampling_leaves_everyones_random_numbers_alone() -> None:
    prepared = [prepare(blob_case(), CARD)]
    before = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate())  # noqa: NPY002
    batch(prepared, CARD, ALL, 0, 0, 2)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]


def sided_case() -> Case:
    """Class 1 on the right (high end of the last axis), class 2 on the left, 3 in the middle."""
    array = np.zeros((16, 16, 16), np.uint8)
    array[4:12, 4:12, 10:14], array[4:12, 4:12, 2:6], array[4:12, 4:12, 7:9] = 1, 2, 3
    image = replace(blob_case(shape=(16, 16, 16)).image, array=(array * 50).astype(np.float32))
    labels = LabelMap(array=array, affine=image.affine)
    return Case("sided", image, Annotation(labels, np.ones(array.shape, bool), frozenset({1})))


SIDED = make_card(classes=3, preprocessing=Z_SCORE, patch=(16,) * 3)


def test_mirroring_exchanges_the_sides_and_what_is_missing() -> None:
    augmentation = replace(NONE, sides=((1, 2),))
    prepared = [prepare(sided_case(), SIDED)]
    seen = set()
    for step in range(12):
        made = batch(prepared, SIDED, augmentation, 3, step, 1)
        right = (made.target[0, 0] == 1).nonzero()[:, 2].float().mean()
        left = (made.target[0, 0] == 2).nonzero()[:, 2].float().mean()
        assert right > left  # the right is right, mirrored or not
        is_bright = bool(made.image[0, 0, 8, 8, 3] > made.image[0, 0, 8, 8, 12])  # the old left shone more
        assert made.missing[0].tolist() == ([False, True, False, False] if is_bright else [False, False, True, False])
        seen.add(is_bright)
    assert seen == {True, False}


def test_the_middle_and_unknown_voxels_stay_what_they_are() -> None:
    case = known_only(sided_case(), (slice(0, 10),))
    plain = batch([prepare(case, SIDED)], SIDED, NONE, 3, 0, 4)
    mirrored = batch([prepare(case, SIDED)], SIDED, replace(NONE, sides=((1, 2),)), 3, 0, 4)
    for index in (0, 3, UNKNOWN):
        assert ((plain.target == index).sum((1, 2, 3, 4)) == (mirrored.target == index).sum((1, 2, 3, 4))).all()
