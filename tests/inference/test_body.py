"""Bodies: air is not asked about, everything else is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import HU, Z_SCORE, bands_model, make_card, noise

from napari_ganseg.inference import segment
from napari_ganseg.inference.body import Body
from napari_ganseg.models.card import Preprocessing
from napari_ganseg.volume import Volume

WINDOW = Preprocessing("ct_window", {"low": -200.0, "high": 300.0, "mean": 50.0, "std": 100.0})
CT, CT_SOFT = replace(make_card(), modality="CT"), replace(make_card(), modality="CT", preprocessing=WINDOW)
MR = replace(make_card(), modality="MR", preprocessing=Z_SCORE)


def is_body(card: object, values: np.ndarray, scan: np.ndarray | None = None) -> bool:
    """Whether a tile (channels, ...) of a scan holds anything."""
    scaling = card.preprocessing.intensity().scaling(lambda: values if scan is None else scan)  # type: ignore[attr-defined]
    return Body(card, scaling).is_in(scaling.of(values))  # type: ignore[arg-type]


@pytest.mark.parametrize("card", [CT, CT_SOFT])
@pytest.mark.parametrize(("hu", "expected"), [(-1024, False), (-960, False), (-150, True), (40, True), (3000, True)])
def test_air_is_no_body_and_tissue_is(card: object, hu: int, expected: bool) -> None:
    noisy = np.random.default_rng(0).normal(hu, 10, (1, 12, 12, 12))
    assert is_body(card, noisy) == expected


def test_lung_is_body_where_the_model_can_see_it() -> None:
    lung = np.random.default_rng(0).normal(-850, 40, (1, 12, 12, 12))
    assert is_body(CT, lung)
    assert not is_body(CT_SOFT, lung)


@pytest.mark.parametrize(("voxels", "expected"), [(1, False), (10, True)])
def test_a_ct_needs_more_than_a_speck(voxels: int, expected: bool) -> None:
    tile = np.full((1, 16, 16, 16), -1000.0)
    tile.flat[:voxels] = 50
    assert is_body(CT, tile) == expected


def test_in_an_mri_anything_above_the_darkest_counts() -> None:
    scan = np.abs(np.random.default_rng(0).normal(0, 250, (1, 20, 20, 20)))
    scan[:, :10] = 0
    tile = np.zeros((1, 8, 8, 8))
    assert not is_body(MR, tile, scan)
    tile[0, 4, 4, 4] = 3
    assert is_body(MR, tile, scan)


def test_one_channel_is_enough() -> None:
    card = replace(MR, channels=("a", "b"))
    scan = np.abs(np.random.default_rng(0).normal(0, 250, (2, 20, 20, 20)))
    scan[:, :10] = 0
    tile = np.zeros((2, 8, 8, 8))
    tile[1, 0, 0, 0] = 5
    assert is_body(card, tile, scan)
    assert not is_body(card, np.zeros((2, 8, 8, 8)), scan)


@pytest.mark.parametrize("kind", [HU, Z_SCORE, WINDOW])
def test_a_constant_image_is_never_a_body_below_its_own_darkest(kind: Preprocessing) -> None:
    assert not is_body(replace(MR, preprocessing=kind), np.full((1, 8, 8, 8), -1000.0))


def test_tiles_of_air_cost_nothing_and_change_nothing() -> None:
    array = np.full((80, 16, 16), -1000.0, np.float32)
    array[30:40] = noise((10, 16, 16)).array.clip(-900)
    scan = Volume(array=array)
    here, asked = bands_model(modality="CT"), bands_model()
    labels = segment(scan, here).array
    assert np.array_equal(labels, segment(scan, asked).array)
    assert labels.any()
    assert 0 < here.network.calls < asked.network.calls + 1 <= 10
    assert here.network.calls <= 5
