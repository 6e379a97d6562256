"""How sure a model is of what it sees, without labels: does it find the same in views that show the same?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_ganseg.inference.domain import finite
from napari_ganseg.inference.engine import steps
from napari_ganseg.inference.settings import Settings
from napari_ganseg.metrics import evaluate
from napari_ganseg.models import Model
from napari_ganseg.run import Controls, Run
from napari_ganseg.volume import Array, LabelMap, Volume

NOISE, SOFT, MOVED = 0.1, 0.6, 3  # deviations of the image's own, voxels, voxels
View = Callable[[Volume], Volume]


def found(volume: Volume, model: Model, device: str, controls: Controls) -> LabelMap:
    """What a model finds in a scan; ends early where the user cancels."""
    return Run(lambda _: steps(volume, model, Settings(device=device), controls)).result


def overlap(one: LabelMap, other: LabelMap) -> float:
    """Mean Dice over the classes that either holds; 1 where both are empty."""
    dice = evaluate(one, other).mean_dice
    return 1.0 if dice is None else dice


def consistency(volume: Volume, labels: LabelMap, model: Model, device: str, controls: Controls) -> float:
    """Mean Dice between what is found in a scan and in three views of it: noisier, softer, moved by three voxels."""
    volume = finite(volume)
    scores = [overlap(found(view(volume), model, device, controls), labels) for view in (noisier, softer)]
    moved = found(rolled(volume, MOVED), model, device, controls)
    scores.append(overlap(labels_rolled(moved, -MOVED), labels))
    return float(np.mean(scores))


def noisier(volume: Volume) -> Volume:
    """With a tenth of its own deviation added as noise, always the same."""
    values = volume.array.astype(np.float32)
    low, high = np.percentile(values, (1, 99))
    deviation = NOISE * float(np.clip(values, low, high).std())
    return volume.derive(array=values + np.random.default_rng(0).normal(0, deviation, values.shape).astype(np.float32))


def softer(volume: Volume) -> Volume:
    """Slightly blurred."""
    lead = (0,) * (volume.array.ndim - volume.spatial_ndim)
    sigma = (*lead, *(SOFT,) * volume.spatial_ndim)
    return volume.derive(array=gaussian_filter(volume.array.astype(np.float32), sigma, mode="nearest"))


def rolled(volume: Volume, by: int) -> Volume:
    """Moved along every axis; what enters repeats the edge."""
    return volume.derive(array=moved(volume.array, by, volume.spatial_ndim))


def labels_rolled(labels: LabelMap, by: int) -> LabelMap:
    """Moved back."""
    return labels.derive(array=moved(labels.array, by, labels.spatial_ndim))


def moved(array: Array, by: int, axes: int) -> Array:
    """Every index shifted along the last axes."""
    for axis in range(array.ndim - axes, array.ndim):
        places = np.clip(np.arange(array.shape[axis]) - by, 0, array.shape[axis] - 1)
        array = np.take(array, places, axis=axis)
    return array


def volumes(maps: Sequence[LabelMap], values: Sequence[int]) -> Array:
    """(scans, classes) in millilitres."""
    return np.array([[labels.voxel_ml * np.count_nonzero(labels.array == v) for v in values] for labels in maps])
