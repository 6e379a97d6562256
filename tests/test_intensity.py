"""Intensities: the same numbers for the same tissue, whatever the file stored."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ganseg.intensity import INTENSITIES, CTWindow, UnitRange, ZScore
from napari_ganseg.volume import Volume


def volume(values: object, **fields: object) -> Volume:
    return Volume(array=np.asarray(values), **fields)  # type: ignore[arg-type]


@pytest.fixture
def mri() -> Volume:
    return volume(np.random.default_rng(0).gamma(2, 50, (8, 9, 10)).astype(np.float32))


def test_a_ct_window_clips_then_scales() -> None:
    window = CTWindow(low=-200, high=300, mean=50, std=100)
    made = window.apply(volume([[-1000, -200, 50, 300, 3000]]))
    assert made.array.tolist() == [[-2.5, -2.5, 0, 2.5, 2.5]]
    assert made.array.dtype == np.float32


def test_a_ct_window_does_not_look_at_the_rest_of_the_scan() -> None:
    window = CTWindow(-200, 300, 50, 100)
    whole = volume(np.arange(-500, 500, dtype=np.int16).reshape(10, 10, 10))
    part = whole.derive(array=whole.array[3:5])
    assert np.array_equal(window.apply(whole).array[3:5], window.apply(part).array)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_a_z_score_does_not_know_the_scanners_units(mri: Volume, scale: float) -> None:
    changed = mri.derive(array=(mri.array * np.float32(scale)))
    assert np.allclose(ZScore().apply(changed).array, ZScore().apply(mri).array, atol=1e-4)


def test_a_z_score_has_zero_mean_and_unit_deviation(mri: Volume) -> None:
    made = ZScore().apply(mri).array
    assert abs(float(made.mean())) < 1e-5
    assert float(made.std()) == pytest.approx(1, abs=1e-5)


def test_one_hot_voxel_does_not_squash_a_z_score(mri: Volume) -> None:
    array = mri.array.copy()
    array[0, 0, 0] = 1e7
    made = ZScore().apply(mri.derive(array=array)).array
    assert np.median(np.abs(made - ZScore().apply(mri).array)) < 0.05


def test_a_z_score_is_per_channel(mri: Volume) -> None:
    both = volume(np.stack([mri.array, 1000 - 3 * mri.array]), has_channels=True)
    made = ZScore().apply(both).array
    assert np.allclose(made[0], ZScore().apply(mri).array)
    assert np.allclose(made[0], -made[1], atol=1e-3)


@pytest.mark.parametrize("value", [0, -1024, 3e6])
def test_a_constant_image_becomes_zeros(value: float) -> None:
    made = ZScore().apply(volume(np.full((4, 5, 6), value, np.float32))).array
    assert not made.any()


def test_colours_map_to_minus_one_and_one() -> None:
    made = UnitRange().apply(volume(np.array([[0, 255]], np.uint8))).array
    assert made.tolist() == [[-1, 1]]


@pytest.mark.parametrize("kind", [CTWindow(-200, 300, 50, 100), ZScore(), UnitRange()])
@pytest.mark.parametrize("dtype", [np.int16, np.uint8, ">i2", np.float64])
def test_every_kind_takes_every_type_and_leaves_the_volume_as_it_was(kind: object, dtype: object) -> None:
    array = np.arange(60).reshape(3, 4, 5).astype(dtype)  # type: ignore[call-overload]
    before = array.copy()
    made = kind.apply(volume(array))  # type: ignore[attr-defined]
    assert made.array.dtype == np.float32
    assert np.isfinite(made.array).all()
    assert np.array_equal(array, before)


@pytest.mark.parametrize(
    ("kind", "args"),
    [("ct_window", (300, -200, 0, 1)), ("ct_window", (-200, 300, 0, 0)), ("z_score", (60, 40)), ("z_score", (-1, 50)),
     ("unit_range", (5, 5))],
)  # fmt: skip
def test_numbers_that_make_no_sense_are_refused_when_built(kind: str, args: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"low < high|percentiles"):
        INTENSITIES[kind](*args)
