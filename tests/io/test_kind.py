"""Images and label maps are told apart by their values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_ganseg import io
from napari_ganseg.errors import FileError
from napari_ganseg.io.door import opening
from napari_ganseg.io.load import load
from napari_ganseg.io.nifti import has_labels

SHAPE = (24, 26, 28)


def smooth(seed: int, sigma: float = 3) -> np.ndarray:
    """Smooth noise around 0 of deviation 1."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), sigma)
    return noise / noise.std()


def noisy_organ() -> np.ndarray:
    """An organ of about 100 with noise, nothing around it."""
    return np.where(smooth(0) > 0, 100 + 20 * np.random.default_rng(1).normal(size=SHAPE), 0)


def scan() -> np.ndarray:
    """Hounsfield units: air, soft tissue with noise, bone."""
    return np.where(smooth(0) > 0, 40 + 15 * np.random.default_rng(1).normal(size=SHAPE), -1000) + 900 * (
        smooth(2) > 1.5
    )


IMAGES = {
    "all zero": np.zeros(SHAPE, np.uint8),
    "constant": np.full(SHAPE, 7, np.uint8),
    "constant air": np.full(SHAPE, -1024, np.int16),
    "CT": scan().astype(np.int16),
    "CT stored unsigned": (scan() + 1024).astype(np.uint16),
    "CT in a soft tissue window": np.clip(scan() + 160, 0, 400).astype(np.int16),
    "CT clipped at 0": np.clip(scan(), 0, None).astype(np.int16),
    "MRI": noisy_organ().clip(0).astype(np.uint16),
    "MRI of 8 bits, skull stripped": noisy_organ().clip(0, 255).astype(np.uint8),
    "MRI of 6 bits": (noisy_organ().clip(0, 255) / 4).astype(np.uint8),
    "MRI in whole floats": noisy_organ().clip(0).round().astype(np.float32),
    "probabilities": (1 / (1 + np.exp(-4 * smooth(0)))).astype(np.float32),
    "distances": np.abs(smooth(0)).astype(np.float64),
    "noise of few integers": np.random.default_rng(0).integers(0, 8, SHAPE, np.uint8),
    "noise of many integers": np.random.default_rng(0).integers(0, 4000, SHAPE, np.int16),
    "labels with a NaN": np.where(np.indices(SHAPE)[0] == 0, np.nan, smooth(0) > 0),
    "negative labels": (smooth(0) > 0).astype(np.int16) - 1,
    "no background": (smooth(0) > 0).astype(np.uint8) + 1,
    "complex": (smooth(0) > 0).astype(np.complex64),
    "one voxel": np.ones((1, 1, 1), np.uint8),
}
LABELS = {
    "a mask": (smooth(0) > 0).astype(np.uint8),
    "a mask of 255": (smooth(0) > 0).astype(np.uint8) * 255,
    "a mask in floats": (smooth(0) > 0).astype(np.float32),
    "a mask in wide integers": (smooth(0) > 0).astype(np.int64),
    "a small structure": np.pad(np.ones((4, 4, 4), np.uint8), 10),
    "several classes": np.clip(smooth(0) * 2, 0, 5).astype(np.uint8),
    "values far apart": np.where(smooth(0) > 0, 2035, 0).astype(np.int32),
    "painted slices": np.where(np.indices(SHAPE)[2] % 9 < 3, smooth(0) > 0, 0).astype(np.uint8),
    "one slice": (smooth(0) > 0).astype(np.uint8)[:, :, :1],
}


@pytest.mark.parametrize("voxels", IMAGES.values(), ids=IMAGES)
def test_an_image_is_an_image(voxels: np.ndarray) -> None:
    assert not io.is_label_map(voxels)


@pytest.mark.parametrize("voxels", LABELS.values(), ids=LABELS)
def test_a_label_map_is_a_label_map_along_every_axis(voxels: np.ndarray) -> None:
    assert io.is_label_map(voxels)
    assert io.is_label_map(voxels.transpose(2, 0, 1))
    assert io.is_label_map(np.asfortranarray(voxels[::-1]))


def test_scaled_numbers_are_no_labels() -> None:
    assert not io.is_label_map(LABELS["a mask"], 0.5, 0)
    assert not io.is_label_map(LABELS["a mask"], 1, -1)


def test_a_film_and_its_frames_are_not_labels() -> None:
    assert not io.is_label_map(np.stack([LABELS["a mask"]] * 2, axis=-1))


@pytest.mark.parametrize("kind", ["CT", "a mask"])
def test_a_large_array_is_judged_by_its_middle(kind: str) -> None:
    small = (IMAGES | LABELS)[kind]
    assert io.is_label_map(np.tile(small, (6, 6, 6))) is (kind == "a mask")


def says_labels(path: Path) -> bool:
    """What the name of a real file says about it."""
    return "/labels/" in path.as_posix() or "_seg" in path.name or "_msk" in path.name


def test_no_real_file_is_taken_for_the_other_kind(data_dir) -> None:
    wrong, readable = [], 0
    for path in sorted(data_dir.rglob("*.nii*")):
        try:
            with opening(path):
                raw = load(path)
        except FileError:
            continue
        readable += 1
        by_values = raw.voxels.ndim == 3 and io.is_label_map(raw.voxels, *raw.header.scaling)
        wrong += [path] if {has_labels(raw), by_values} != {says_labels(path)} else []
    assert wrong == []
    assert readable > 500
