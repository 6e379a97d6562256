"""Restyling: another scan's look on what this one shows, the same labels, the same units."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from builders import Z_SCORE, blob_case, make_card
from scipy.ndimage import gaussian_filter

from napari_ganseg.adaptation.appearance import Appearance, appearance, polynomial, seen
from napari_ganseg.adaptation.lessons import (
    COPIES,
    MOST_VOXELS,
    as_it_is,
    copies,
    imitating,
    lessons,
    readable,
    seen_case,
    with_look,
)
from napari_ganseg.adaptation.restyle import imitated, restyled, usual
from napari_ganseg.intensity import CTWindow, Intensity, UnitRange, ZScore
from napari_ganseg.models.card import Preprocessing
from napari_ganseg.volume import Volume

SHAPES = [(64, 60), (20, 24, 28)]
KINDS = [
    Preprocessing("ct_window", {"low": -1000.0, "high": 1000.0, "mean": 50.0, "std": 250.0}),
    Z_SCORE,
    Preprocessing("unit_range", {}),
]


def body(shape: tuple[int, ...] = (64, 60), seed: int = 0) -> Volume:
    """A textured box in the middle, with values as a network sees them."""
    rng = np.random.default_rng(seed)
    array = gaussian_filter(rng.normal(0, 1, shape), 1.0) + rng.normal(0, 0.05, shape)
    array[tuple(slice(n // 4, 3 * n // 4) for n in shape)] += 2
    return Volume(array=array.astype(np.float32))


def brighter(volume: Volume) -> Volume:
    return volume.derive(array=2 * volume.array + 3)


def noisy(volume: Volume) -> Volume:
    added = np.random.default_rng(9).normal(0, 0.6, volume.array.shape)
    return volume.derive(array=volume.array + added.astype(np.float32))


def blurred(volume: Volume) -> Volume:
    return volume.derive(array=gaussian_filter(volume.array, 1.5))


def shaded(volume: Volume) -> Volume:
    return volume.derive(array=volume.array + 2 * polynomial(volume.shape)[0])


def greys(look: Appearance) -> np.ndarray:
    return look.quantiles.ravel()


def softness(look: Appearance) -> np.ndarray:
    return np.array([look.softness])


def noise(look: Appearance) -> np.ndarray:
    return look.noise


def shading(look: Appearance) -> np.ndarray:
    return look.shading.ravel()


def distance(one: Volume, other: Volume, feature: Callable[[Appearance], np.ndarray]) -> float:
    return float(np.abs(feature(appearance(one)) - feature(appearance(other))).mean())


def dressed(volume: Volume, other: Volume, strength: float = 1.0, seed: int = 0) -> Volume:
    return restyled(volume, appearance(other), strength, np.random.default_rng(seed))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("change", [brighter, noisy, blurred, shaded])
def test_strength_zero_leaves_the_image(shape: tuple[int, ...], change: Callable[[Volume], Volume]) -> None:
    volume = body(shape)
    assert dressed(volume, change(body(shape, 1)), 0).array == pytest.approx(volume.array, abs=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_restyling_to_its_own_look_changes_little(shape: tuple[int, ...]) -> None:
    volume = body(shape)
    change = dressed(volume, volume).array - volume.array
    assert change.std() < 0.15 * volume.array.std()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("change", "feature"), [(brighter, greys), (noisy, noise), (blurred, softness), (shaded, shading)]
)
def test_a_look_moves_towards_the_others(
    shape: tuple[int, ...], change: Callable[[Volume], Volume], feature: Callable[[Appearance], np.ndarray]
) -> None:
    volume, other = body(shape), change(body(shape, 1))
    before = distance(volume, other, feature)
    half, whole = (distance(dressed(volume, other, strength), other, feature) for strength in (0.5, 1.0))
    assert whole < half < before
    assert whole < 0.4 * before


def test_what_is_shown_stays() -> None:
    volume = body()
    made = dressed(volume, noisy(blurred(brighter(body(seed=1)))))
    is_box = volume.array > np.median(volume.array) + 1
    assert np.corrcoef(volume.array.ravel(), made.array.ravel())[0, 1] > 0.8
    assert made.array[is_box].mean() > made.array[~is_box].mean() + 1


def test_the_same_random_numbers_give_the_same_image() -> None:
    volume, other = body(), noisy(body(seed=1))
    first, again, another = (dressed(volume, other, seed=seed).array for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, another)


def test_the_image_that_is_restyled_stays_as_it_was() -> None:
    volume = body()
    before = volume.array.copy()
    dressed(volume, shaded(body(seed=1)))
    imitation(volume, body(seed=1), brighter(body(seed=1)))
    assert np.array_equal(volume.array, before)


def test_channels_are_restyled_each_by_its_own() -> None:
    two = Volume(array=np.stack([body().array, body(seed=2).array]), has_channels=True)
    other = Volume(array=np.stack([body(seed=3).array, brighter(body(seed=4)).array]), has_channels=True)
    made = dressed(two, other)
    assert (made.array.shape, made.has_channels) == (two.array.shape, True)
    assert abs(made.array[0].mean() - other.array[0].mean()) < 0.3
    assert abs(made.array[1].mean() - other.array[1].mean()) < 0.3


@pytest.mark.parametrize("shape", [(40, 40), (3, 40, 40), (1, 20, 20), (12, 12, 12), (1, 1)])
def test_constant_images_stay_numbers(shape: tuple[int, ...]) -> None:
    flat, some = Volume(array=np.full(shape, 2, np.float32)), body(shape)
    for one, other in ((flat, some), (some, flat), (flat, flat)):
        assert np.isfinite(dressed(one, other).array).all()
        assert np.isfinite(imitation(one, one, other).array).all()
        assert np.isfinite(imitation(one, other, one).array).all()


def imitation(volume: Volume, own: Volume, other: Volume, *, is_shaded: bool = True) -> Volume:
    looks = (appearance(v, is_shaded=is_shaded) for v in (own, other))
    return imitated(volume, *looks, np.random.default_rng(0))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("change", "feature"), [(brighter, greys), (noisy, noise), (blurred, softness)])
def test_an_imitation_moves_towards_the_other_scanner(
    shape: tuple[int, ...], change: Callable[[Volume], Volume], feature: Callable[[Appearance], np.ndarray]
) -> None:
    volume, other = body(shape), change(body(shape))
    made = imitation(volume, volume, other)
    assert made.shape == volume.shape
    assert made.array.dtype == np.float32
    assert distance(made, other, feature) < 0.5 * distance(volume, other, feature)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_imitation_of_its_own_scanner_is_itself(shape: tuple[int, ...]) -> None:
    volume = body(shape)
    made, usually = imitation(volume, body(shape, 1), body(shape, 1)), volume.array.std()
    assert (made.array - volume.array).std() < 0.1 * usually


@pytest.mark.parametrize(("is_shaded", "least"), [(False, 1.5), (True, 1.0)])
def test_an_imitation_keeps_what_is_special_in_a_patient(*, is_shaded: bool, least: float) -> None:
    """A brighter patient stays brighter; only what is usual moves."""
    volume, own = body(), body(seed=1)
    bright = volume.derive(array=volume.array + 1)
    one, other = (imitation(v, own, brighter(own), is_shaded=is_shaded).array.mean() for v in (volume, bright))
    assert least < other - one < 2.5


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", [0, 1])
def test_an_imitation_shades_once(shape: tuple[int, ...], seed: int) -> None:
    """What shading does to grey values is not done again by moving them."""
    volume, own = body(shape), body(shape, seed)
    made, wanted = imitation(volume, own, shaded(own)), shaded(volume)
    for feature in (greys, shading):
        assert distance(made, wanted, feature) < 0.1 * distance(volume, wanted, feature)


def test_an_imitation_still_shows_what_it_showed() -> None:
    volume = body()
    made = imitation(volume, body(seed=1), blurred(brighter(body(seed=1))))
    assert np.corrcoef(volume.array.ravel(), made.array.ravel())[0, 1] > 0.7


def test_an_imitation_is_another_one_than_restyling() -> None:
    """What was trained on one is not judged by the same one."""
    volume, other = body(), noisy(brighter(body(seed=1)))
    assert not np.allclose(imitation(volume, body(seed=2), other).array, dressed(volume, other).array, atol=0.1)


def test_an_imitation_never_sharpens() -> None:
    volume = body()
    made = imitation(volume, blurred(body(seed=1)), body(seed=1))
    assert appearance(made).softness > appearance(volume).softness - 0.5


def test_what_is_usual_is_the_median() -> None:
    looks = [appearance(change(body(seed=i))) for i, change in enumerate((brighter, noisy, blurred))]
    made = usual(looks)
    assert made.noise == pytest.approx(np.median([look.noise for look in looks], axis=0))
    assert made.quantiles == pytest.approx(np.median([look.quantiles for look in looks], axis=0))
    assert usual(looks[:1]).polarity == looks[0].polarity


@pytest.mark.parametrize("intensity", [CTWindow(-100, 300, 40, 90), UnitRange(), UnitRange(10, 20)])
def test_a_network_sees_the_same_again(intensity: Intensity) -> None:
    volume = Volume(array=np.random.default_rng(0).normal(60, 200, (30, 30)).astype(np.float32))
    once = intensity.apply(volume)
    assert intensity.apply(readable(once, intensity)).array == pytest.approx(once.array, abs=1e-4)


def test_a_network_sees_nearly_the_same_again_after_a_z_score() -> None:
    once = ZScore().apply(Volume(array=np.random.default_rng(0).normal(60, 200, (60, 60)).astype(np.float32)))
    again = ZScore().apply(readable(once, ZScore())).array
    assert np.abs(again - once.array).mean() < 0.02


def test_a_ct_keeps_its_hounsfield_units() -> None:
    window = CTWindow(-1000, 1000, 50, 250)
    volume = Volume(array=np.array([[-2000, -1000, 0], [40, 1000, 3000]], np.int16))
    wanted = np.array([[-1000, -1000, 0], [40, 1000, 1000]])
    assert readable(window.apply(volume), window).array == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_the_labels_and_the_grid_never_change(kind: Preprocessing) -> None:
    card = make_card(2, preprocessing=kind)
    case, other = (seen_case(blob_case(shape=(40, 44), seed=seed), card) for seed in (0, 1))
    look = appearance(other.image)
    for made in (
        as_it_is(case, card),
        with_look(case, look, 1.0, np.random.default_rng(0), card),
        imitating(case, appearance(case.image), look, np.random.default_rng(0), card),
    ):
        assert made.annotation is case.annotation
        assert made.image.same_grid_as(case.image)
        assert np.isfinite(made.image.array).all()


def test_a_case_at_another_spacing_brings_everything_along() -> None:
    card, case = make_card(2, spacing=(2.0, 2.0)), blob_case(shape=(40, 44))
    case.annotation.known[:20] = False
    made = seen_case(case, card)
    assert made.image.shape == made.annotation.labels.shape == made.annotation.known.shape == (20, 22)
    assert not made.annotation.known[:10].any()
    assert made.annotation.known[10:].all()
    assert made.image.same_grid_as(made.annotation.labels)


def test_a_case_as_it_is_shows_the_network_what_it_saw() -> None:
    card, case = make_card(2, preprocessing=KINDS[0]), blob_case(shape=(40, 44))
    assert seen(as_it_is(seen_case(case, card), card).image, card).array == pytest.approx(
        seen(case.image, card).array, abs=1e-4
    )


def test_every_case_comes_as_it_is_and_in_three_looks() -> None:
    card = make_card(2, preprocessing=Z_SCORE)
    cases = [seen_case(blob_case(f"{name}.nii", (30, 30), i), card) for i, name in enumerate("ab")]
    looks = [appearance(noisy(body((30, 30), seed))) for seed in range(2)]
    made = lessons(cases, looks, card, 0)
    assert [case.name for case in made] == [f"a#{n}.nii#{k}" for k in (1, 2, 3, 4) for n in "ab"]
    assert len({case.image.array.tobytes() for case in made}) == len(made)


def test_the_seed_decides_the_lessons() -> None:
    card = make_card(2, preprocessing=Z_SCORE)
    cases = [seen_case(blob_case(shape=(30, 30)), card)]
    looks = [appearance(noisy(body((30, 30))))]
    first, again, other = ([c.image.array for c in lessons(cases, looks, card, seed)] for seed in (1, 1, 2))
    assert all(map(np.array_equal, first, again))
    assert not np.array_equal(first[1], other[1])


def test_where_there_are_many_large_scans_each_has_fewer_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [blob_case(shape=(30, 30))] * 4
    assert copies(cases) == COPIES <= MOST_VOXELS
    for room, count in ((2 * 3600, 2), (100, 1), (10 * 3600, COPIES)):
        monkeypatch.setattr("napari_ganseg.adaptation.lessons.MOST_VOXELS", room)
        assert copies(cases) == count
