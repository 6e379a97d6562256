"""What is not what the model knows is said in words, or refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import make_card, noise

from napari_ganseg.errors import FileError, UsageError
from napari_ganseg.inference.domain import check_fit, doubts, finite
from napari_ganseg.models.card import Card, FieldOfView
from napari_ganseg.volume import Volume, identity_affine

CT = replace(make_card(), name="neck-ct", modality="CT")
MR = replace(make_card(), name="brain-mri", modality="MR")


def scan(low: float, high: float, spacing: tuple[float, ...] = (1.0, 1.0, 1.0)) -> Volume:
    array = np.random.default_rng(0).uniform(low, high, (16, 16, 16)).astype(np.float32)
    return Volume(array=array, affine=identity_affine(spacing))


def body_ct() -> Volume:
    """A CT: half air, half soft tissue."""
    array = np.random.default_rng(0).normal(-1000, 20, (16, 16, 16))
    array[:, 4:12, 4:12] = np.random.default_rng(1).normal(40, 30, (16, 8, 8))
    return Volume(array=array.round().astype(np.int16))


def test_a_scan_the_model_knows_raises_no_doubt() -> None:
    assert doubts(body_ct(), CT) == ()
    assert doubts(scan(0, 3000), MR) == ()


@pytest.mark.parametrize("value", [0, -1024])
def test_a_constant_image_has_no_contrast(value: int) -> None:
    (words,) = doubts(Volume(array=np.full((9, 9, 9), value, np.int16)), CT)
    assert words == f"The image has no contrast (every voxel is {value}); nothing can be found in it."


@pytest.mark.parametrize(("low", "high"), [(0, 4095), (0, 800), (-50, 50)])
def test_a_ct_model_doubts_values_that_are_no_hounsfield_units(low: int, high: int) -> None:
    (words,) = doubts(scan(low, high), CT)
    assert words.startswith("neck-ct needs a CT in Hounsfield units; the smallest value here is ")
    assert "without its offset of -1024" in words


def test_an_mr_model_doubts_a_ct() -> None:
    (words,) = doubts(body_ct(), MR)
    assert words.startswith("brain-mri was trained on MRI; values down to -10")


def test_an_mri_with_negative_values_is_no_ct() -> None:
    phase = noise((16, 16, 16))
    assert phase.array.min() < -900
    assert doubts(phase, MR) == ()


def test_a_region_inside_the_body_is_judged_by_the_whole_scan() -> None:
    whole = body_ct()
    inside = whole.derive(array=whole.array[:, 5:11, 5:11])
    assert doubts(inside, CT) != ()
    assert doubts(inside, CT, whole) == ()


@pytest.fixture
def crop_card() -> Card:
    view = FieldOfView("a crop of about 16 mm around one hippocampus", (14.0,) * 3, (18.0,) * 3)
    return replace(MR, field_of_view=view)


@pytest.mark.parametrize(("spacing", "has_doubt"), [(1.0, False), (1.4, False), (1.6, True), (0.7, False), (0.6, True)])
def test_the_field_of_view_may_differ_by_a_third(crop_card: Card, spacing: float, has_doubt: bool) -> None:
    assert bool(doubts(scan(0, 100, (spacing,) * 3), crop_card)) == has_doubt


def test_too_much_and_too_little_are_said_with_what_to_do(crop_card: Card) -> None:
    (much,) = doubts(scan(0, 100, (5.0, 5.0, 5.0)), crop_card)
    (little,) = doubts(scan(0, 100, (1.0, 1.0, 0.25)), crop_card)
    assert much == ("The image covers 80 x 80 x 80 mm; brain-mri knows a crop of about 16 mm around one hippocampus. "
                    "Choose a region of that size around it.")  # fmt: skip
    assert little.startswith("The image covers only 16 x 16 x 4 mm; ")
    assert little.endswith("Choose a larger region.")


def test_a_2d_model_looks_at_the_extent_of_slices() -> None:
    card = replace(make_card(2), field_of_view=FieldOfView("a slice", (14.0,) * 2, (18.0,) * 2))
    assert doubts(scan(0, 100, (50.0, 1.0, 1.0)), card) == ()


@pytest.mark.parametrize("shape", [(40, 40), (1, 40, 40), (7, 40, 40), (40, 40, 2)])
def test_a_3d_model_refuses_what_is_flat(shape: tuple[int, ...]) -> None:
    size = " x ".join(map(str, shape))
    with pytest.raises(UsageError, match=rf"tiny is a 3D model and needs at least 8 .* is {size}\. Choose a 2D model"):
        check_fit(noise(shape), make_card())


def test_another_number_of_channels_is_refused_with_their_names() -> None:
    with pytest.raises(UsageError, match=r"tiny expects 2 channel\(s\) \(T1, T2\); this image has 1"):
        check_fit(noise((9, 9, 9)), make_card(channels=("T1", "T2")))
    with pytest.raises(UsageError, match="this image has 3"):
        check_fit(noise((3, 9, 9, 9), has_channels=True), make_card())


@pytest.mark.parametrize("volume", [noise((9, 9, 9)), noise((1, 9, 9, 9), has_channels=True), body_ct()])
def test_what_fits_is_let_through_as_it_is(volume: Volume) -> None:
    check_fit(volume, make_card())
    assert finite(volume) is volume


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_voxels_that_are_not_finite_become_the_smallest_and_it_is_said(bad: float) -> None:
    array = np.random.default_rng(0).normal(size=(9, 9, 9))
    array[4, 4, 4] = bad
    made = finite(Volume(array=array))
    assert made.array[4, 4, 4] == made.array.min() == np.delete(array.ravel(), 364).min().astype(np.float32)
    assert "1 voxel is NaN or infinite; replaced by" in made.notes[0]
    assert array[4, 4, 4] == bad or np.isnan(bad)


def test_an_image_of_nan_is_refused() -> None:
    with pytest.raises(FileError, match="this is no scan"):
        finite(Volume(array=np.full((9, 9, 9), np.nan, np.float32)))


def test_complex_voxels_are_refused() -> None:
    with pytest.raises(UsageError, match=r"this image holds complex64\. Give its magnitude"):
        finite(Volume(array=np.ones((9, 9, 9), np.complex64)))
