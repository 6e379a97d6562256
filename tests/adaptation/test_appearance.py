"""How a scan looks: noise, sharpness, shading and grey values, measured apart from what it shows."""

from __future__ import annotations

import numpy as np
import pytest
from builders import HU, Z_SCORE, make_card
from scipy.ndimage import gaussian_filter

from napari_ganseg.adaptation.appearance import (
    BANDS,
    FLOOR,
    LARGEST,
    QUANTILES,
    Appearance,
    appearance,
    central,
    frequencies,
    noise,
    polarity,
    polynomial,
    power,
    quantiles,
    seen,
    shading,
)
from napari_ganseg.volume import Volume, identity_affine

SHAPES = [(96, 96), (32, 40, 36)]
TINY = [(3, 40, 40), (1, 40, 40), (40, 3), (1, 1), (2, 2, 2), (1, 64)]


def white(shape: tuple[int, ...], deviation: float = 1.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, deviation, shape).astype(np.float32)


def edges(shape: tuple[int, ...]) -> np.ndarray:
    """A bright box in the middle."""
    array = np.zeros(shape, np.float32)
    array[tuple(slice(n // 4, 3 * n // 4) for n in shape)] = 100
    return array


def is_finite(look: Appearance) -> bool:
    parts = (look.quantiles, look.power, look.noise, look.shading)
    return all(np.isfinite(part).all() for part in parts) and np.isfinite(look.softness)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("deviation", [0.01, 1.0, 30.0])
def test_noise_finds_the_deviation_of_white_noise(shape: tuple[int, ...], deviation: float) -> None:
    assert noise(white(shape, deviation)) == pytest.approx(deviation, rel=0.05)


@pytest.mark.parametrize("shape", SHAPES)
def test_noise_ignores_edges_and_offsets(shape: tuple[int, ...]) -> None:
    assert noise(edges(shape) + white(shape) - 1000) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("shape", SHAPES)
def test_noise_ignores_what_a_mask_set_to_one_value(shape: tuple[int, ...]) -> None:
    masked = white(shape)
    masked[: shape[0] * 3 // 4] = -5
    assert noise(masked) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("shape", SHAPES)
def test_noise_is_proportional(shape: tuple[int, ...]) -> None:
    array = white(shape) + edges(shape)
    assert noise(4 * array) == pytest.approx(4 * noise(array))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_smooth_image_has_no_noise(shape: tuple[int, ...]) -> None:
    assert noise(np.zeros(shape, np.float32)) == 0
    assert noise(gaussian_filter(white(shape), 3)) < 0.01


@pytest.mark.parametrize("shape", SHAPES)
def test_power_counts_what_is_not_noise(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """White noise of deviation 1 has ones before its noise is taken off, and next to nothing after."""
    assert np.abs(power(white(shape))[2:]).max() < 0.4
    monkeypatch.setattr("napari_ganseg.adaptation.appearance.noise", lambda array: 0.0)
    assert power(white(shape))[2:] == pytest.approx(np.ones(BANDS - 2), abs=0.4)


@pytest.mark.parametrize("shape", SHAPES)
def test_power_does_not_see_an_offset_and_never_vanishes(shape: tuple[int, ...]) -> None:
    array = gaussian_filter(white(shape), 1)
    assert power(array + 64) == pytest.approx(power(array), rel=1e-2, abs=1e-4)
    assert power(np.full(shape, 7, np.float32)) == pytest.approx(np.full(BANDS, FLOOR))


@pytest.mark.parametrize("shape", SHAPES)
def test_softness_rises_with_blur(shape: tuple[int, ...]) -> None:
    array = edges(shape) + 20 * gaussian_filter(white(shape), 0.7)
    soft = [appearance(Volume(array=gaussian_filter(array, s))).softness for s in (0, 0.5, 1, 2)]
    assert soft == sorted(soft)
    assert soft[-1] > soft[0] + 1


def test_softness_does_not_depend_on_contrast() -> None:
    array = edges((64, 64)) + white((64, 64))
    looks = [appearance(Volume(array=np.float32(scale) * array)).softness for scale in (1, 5)]
    assert looks[0] == pytest.approx(looks[1], abs=1e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_shading_finds_a_planted_polynomial(shape: tuple[int, ...]) -> None:
    terms = polynomial(shape)
    planted = np.random.default_rng(1).normal(0, 1, len(terms))
    array = sum(c * t for c, t in zip(planted, terms, strict=True)) + 100 + white(shape, 0.01)
    assert shading(array.astype(np.float32)) == pytest.approx(planted, abs=0.01)


@pytest.mark.parametrize(("shape", "count"), [((5,), 2), ((5, 6), 5), ((5, 6, 7), 9)])
def test_a_polynomial_has_every_product_of_at_most_two_coordinates(shape: tuple[int, ...], count: int) -> None:
    terms = polynomial(shape)
    assert len(terms) == count
    whole = [np.broadcast_to(term, shape) for term in terms]
    assert max(np.abs(term).max() for term in whole) == 1
    assert np.array_equal(whole[len(shape)], whole[0] ** 2)
    assert np.array_equal(whole[-1], whole[len(shape) - 1] ** 2)


def test_a_polynomial_of_a_large_scan_is_small() -> None:
    """Nine arrays of a CT's size would fill the memory."""
    assert sum(term.size for term in polynomial((500, 512, 512))) < 1_000_000


@pytest.mark.parametrize("shape", SHAPES)
def test_quantiles_rise_and_move_with_the_grey_values(shape: tuple[int, ...]) -> None:
    array = edges(shape) + white(shape)
    own = quantiles(array)
    assert own.shape == (QUANTILES,)
    assert (np.diff(own) >= 0).all()
    assert quantiles(2 * array + 10) == pytest.approx(2 * own + 10, abs=1e-3)


def test_noise_broadens_the_quantiles_little() -> None:
    array = edges((96, 96))
    assert quantiles(array + white((96, 96), 10)) == pytest.approx(quantiles(array), abs=15)


def test_every_channel_has_its_own_look() -> None:
    one, two = white((48, 48)), 5 * white((48, 48), seed=1) + 9
    look = appearance(Volume(array=np.stack([one, two]), has_channels=True))
    assert look.quantiles.shape == (2, QUANTILES)
    for i, channel in enumerate((one, two)):
        alone = appearance(Volume(array=channel))
        assert np.array_equal(look.quantiles[i], alone.quantiles[0])
        assert np.array_equal(look.shading[i], alone.shading[0])
        assert look.noise[i] == alone.noise[0]


def test_what_has_an_absolute_meaning_is_not_shaded() -> None:
    volume = Volume(array=white((32, 32)) + np.linspace(0, 50, 32, dtype=np.float32))
    assert appearance(volume).shading.any()
    assert not appearance(volume, is_shaded=False).shading.any()


@pytest.mark.parametrize("shape", [*SHAPES, *TINY])
def test_a_constant_image_has_a_look(shape: tuple[int, ...]) -> None:
    assert is_finite(appearance(Volume(array=np.full(shape, 3, np.float32))))


@pytest.mark.parametrize("shape", TINY)
def test_a_tiny_image_has_a_look(shape: tuple[int, ...]) -> None:
    assert is_finite(appearance(Volume(array=white(shape))))


def test_only_the_middle_of_a_large_image_is_looked_at() -> None:
    array = np.zeros((LARGEST + 40, 20), np.float32)
    array[20:-20] = 1
    assert central(array).shape == (LARGEST, 20)
    assert central(array).all()


@pytest.mark.parametrize("shape", [(8, 9), (6, 7, 8), (1, 5)])
def test_frequencies_are_those_of_the_transform(shape: tuple[int, ...]) -> None:
    found = frequencies(shape)
    assert found.shape == np.fft.rfftn(np.zeros(shape)).shape
    assert found.flat[0] == 0
    assert found.max() <= 0.5 * np.sqrt(len(shape)) + 1e-9


@pytest.mark.parametrize(("preprocessing", "low", "high"), [(HU, -10, 10), (Z_SCORE, -5, 5)])
def test_a_scan_is_seen_at_the_models_spacing_with_the_networks_values(
    preprocessing: object, low: float, high: float
) -> None:
    card = make_card(2, preprocessing=preprocessing, spacing=(2.0, 2.0))
    volume = Volume(array=white((40, 30), 5000), affine=identity_affine((1.0, 1.0, 1.0)))
    made = seen(volume, card)
    assert made.shape == (20, 15)
    assert low <= made.array.min() < made.array.max() <= high


def test_a_few_voxels_that_are_no_numbers_are_repaired() -> None:
    array = white((40, 40))
    array[0, 0], array[5, 5] = np.nan, np.inf
    assert is_finite(appearance(seen(Volume(array=array), make_card(2))))


@pytest.mark.parametrize("shape", SHAPES)
def test_polarity_says_whether_bright_or_dark_is_where_something_is(shape: tuple[int, ...]) -> None:
    array = np.zeros(shape, np.float32)
    array[tuple(slice(n // 3, 2 * n // 3) for n in shape)] = 100
    bright = gaussian_filter(array, 2) + white(shape, 0.1)
    assert polarity(bright) > 0.3
    assert polarity(-bright) == pytest.approx(-polarity(bright), abs=0.05)


def test_a_rising_curve_of_greys_keeps_the_polarity() -> None:
    array = gaussian_filter(edges((96, 96)), 2)
    assert np.sign(polarity(np.sqrt(array))) == np.sign(polarity(array))


@pytest.mark.parametrize("shape", TINY)
def test_a_constant_image_has_no_polarity(shape: tuple[int, ...]) -> None:
    assert polarity(np.full(shape, 4.2, np.float32)) == 0
