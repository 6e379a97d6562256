"""Figures right to the last empty class: ours beside MONAI's and beside a brute-force count, and how long both take.

    python -m benchmarks.metrics            # needs GANSEG_DATA for the real labels, and about 4 GB
    python -m benchmarks.metrics --quick    # without the timing

50 random pairs (2D and 3D; straight, anisotropic, oblique, sheared), 20 real label maps (hippocampus and head and neck)
shifted, eroded or dilated, and every case of an empty class. MONAI knows spacings only, so that sheared grids are
compared with the brute-force figures alone. Exits 0 when all agree and, without --quick, ours take a third of MONAI's
time at the most: CPU seconds, one thread, each from the same two label maps. MONAI is called class by class, as all
six channels of 512x512x400 at once would take it past 15 GB.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
import tracemalloc
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.metrics import DiceMetric, HausdorffDistanceMetric, SurfaceDiceMetric, SurfaceDistanceMetric
from scipy import ndimage
from scipy.spatial.distance import cdist

from napari_ganseg.io import read_labels
from napari_ganseg.metrics import ClassScore, Scores, evaluate
from napari_ganseg.volume import Affine, LabelClass, LabelMap, identity_affine

Mask = npt.NDArray[np.bool_]
Pair = tuple[LabelMap, LabelMap]
Figures = dict[str, float]

SURFACES, OVERLAPS = 1e-3, 1e-6
TOLERANCE_MM = 1.1  # no distance of these grids is a tie with it
RANDOM, REAL_EACH, GOAL = 50, 10, 3.0
OBLIQUE_DEGREES = (15.0, -10.0, 8.0)
KINDS = ("straight", "anisotropic", "oblique", "sheared", "slice")
FOLDERS = ("hippocampus_mri", "headneck_ct")
LARGE, CLASSES = (400, 512, 512), 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every check; 0 when all hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave the timing out")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    results = [*checked_pairs(), *empty_cases()]
    for name, is_right in results:
        print(f"{'ok  ' if is_right else 'FAIL'} {name}")
    is_good = all(is_right for _, is_right in results)
    line = f"{sum(is_right for _, is_right in results)} of {len(results)} agree"
    if not options.quick:
        ours, theirs, peak_mb = timed()
        is_good &= theirs >= GOAL * ours
        size = "x".join(map(str, reversed(LARGE)))
        line += f"; {size}, {CLASSES} classes: {ours:.1f} s against MONAI's {theirs:.1f} s, {theirs / ours:.1f} times"
        line += f" faster (goal {GOAL:g}), ours in {peak_mb:.0f} MB beside the labels"
    print(line)
    return 0 if is_good else 1


# --- pairs -----------------------------------------------------------------------------------------------------------


def checked_pairs() -> Iterator[tuple[str, bool]]:
    """Every pair against MONAI and against brute force; last, how far they were apart at the most."""
    worst: Figures = {}
    for name, pair, is_sheared in [*random_pairs(), *real_pairs()]:
        scores = evaluate(*pair, tolerance_mm=TOLERANCE_MM)
        apart = [differences(s, by_brute_force(*pair, v)) for v, s in scores.per_class.items() if s.dice is not None]
        if not is_sheared:
            both = {v: s for v, s in scores.per_class.items() if s.dice is not None and not s.is_one_sided}
            apart += [differences(s, by_monai(*pair, v)) for v, s in both.items()]
        for figures in apart:
            worst = {k: max(worst.get(k, 0.0), figures.get(k, 0.0)) for k in worst | figures}
        yield name, bool(apart) and all(holds(figures) for figures in apart)
    print("largest difference: " + ", ".join(f"{k} {v:.1e}" for k, v in worst.items()))


def random_pairs() -> Iterator[tuple[str, Pair, bool]]:
    """Blobs of three classes and the same blobs disturbed; some reach the border, some lack a class on one side."""
    rng = np.random.default_rng(0)
    for number in range(RANDOM):
        kind = KINDS[number % len(KINDS)]
        shape = tuple(rng.integers(18, 34, 2 if kind == "slice" else 3))
        truth, noise = rng.normal(size=shape), rng.normal(size=shape)
        affine = affine_of(kind, rng)
        arrays = [blobs(field) for field in (truth + 0.3 * noise, truth)]
        if number % 7 == 0:
            arrays[0][arrays[0] == 3] = 0
        yield f"random {number:2d} {kind}", pair_of(arrays[0], arrays[1], affine), kind == "sheared"


def blobs(field: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Three classes from one random field."""
    smooth = ndimage.gaussian_filter(field, 2)
    return np.asarray(np.digitize(smooth / smooth.std(), (0.4, 0.9, 1.4)), dtype=np.uint8)


def affine_of(kind: str, rng: np.random.Generator) -> Affine:
    """An affine of the kind."""
    affine = identity_affine() if kind == "straight" else identity_affine(tuple(rng.uniform(0.6, 3.1, 3)))
    if kind == "oblique":
        affine[:3, :3] = turned(affine[:3, :3])
    if kind == "sheared":
        affine[:3, 0] += rng.uniform(-0.4, 0.4, 3)
    return affine


def turned(columns: Affine) -> Affine:
    """Columns of an affine rotated about R, A and S."""
    for axis, degrees in enumerate(OBLIQUE_DEGREES):
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        rotation = np.eye(3)
        one, other = [a for a in range(3) if a != axis]
        rotation[[one, one, other, other], [one, other, one, other]] = c, -s, s, c
        columns = rotation @ columns
    return columns


def real_pairs() -> Iterator[tuple[str, Pair, bool]]:
    """Real labels, moved or made larger or smaller."""
    root = os.environ.get("GANSEG_DATA")
    if not root:
        sys.exit("Set GANSEG_DATA to the folder of the project's data.")
    for folder in FOLDERS:
        paths = sorted((Path(root) / folder / "labels").glob("*.nii.gz"))[:REAL_EACH]
        if len(paths) < REAL_EACH:
            sys.exit(f"{folder} needs {REAL_EACH} label maps; found {len(paths)}.")
        for number, path in enumerate(paths):
            truth = read_labels(path)
            yield f"real {path.name}", (disturbed(truth, number), truth), False


def disturbed(truth: LabelMap, number: int) -> LabelMap:
    """A prediction made of the truth: shifted, eroded or dilated."""
    array = truth.array
    if number % 3 == 0:
        array = np.roll(array, (1, -2, 1), (0, 1, 2))
    elif number % 3 == 1:
        array = np.where(ndimage.grey_erosion(array, 2) == array, array, 0)
    else:
        array = np.where(array == 0, ndimage.grey_dilation(array, 3), array)
    return truth.derive(array=array.astype(truth.array.dtype))


def pair_of(predicted: npt.NDArray[Any], true: npt.NDArray[Any], affine: Affine | None = None) -> Pair:
    """Two label maps on one grid."""
    affine = identity_affine() if affine is None else affine
    return LabelMap(array=predicted, affine=affine), LabelMap(array=true, affine=affine)


def differences(score: ClassScore, expected: Figures) -> Figures:
    """How far each figure is from what was expected."""
    return {name: abs(getattr(score, name) - value) for name, value in expected.items()}


def holds(figures: Figures) -> bool:
    """All differences are small; one that is no number is not."""
    return all(value <= (OVERLAPS if name in ("dice", "volume_ml") else SURFACES) for name, value in figures.items())


# --- MONAI's figures -------------------------------------------------------------------------------------------------


def by_monai(predicted: LabelMap, true: LabelMap, value: int) -> Figures:
    """The same figures of one class from MONAI."""
    one, other = (torch.from_numpy((m.array == value).astype(np.float32))[None, None] for m in (predicted, true))
    spacing = true.spacing_mm
    return {
        "dice": float(DiceMetric(ignore_empty=False)(one, other)),
        "hd95_mm": float(HausdorffDistanceMetric(include_background=True, percentile=95)(one, other, spacing=spacing)),
        "assd_mm": float(SurfaceDistanceMetric(include_background=True, symmetric=True)(one, other, spacing=spacing)),
        "nsd": float(SurfaceDiceMetric([TOLERANCE_MM], include_background=True)(one, other, spacing=spacing)),
        "volume_ml": float(one.sum(dtype=torch.float64)) * math.prod(spacing_3d(true)) / 1000,
    }


def spacing_3d(labels: LabelMap) -> list[float]:
    """Edges of a voxel; a slice is as thick as its affine says."""
    return [float(np.linalg.norm(labels.affine[:3, axis])) for axis in range(3)]


# --- brute force -----------------------------------------------------------------------------------------------------


def by_brute_force(predicted: LabelMap, true: LabelMap, value: int) -> Figures:
    """The same by definition: voxel by voxel, every surface voxel against every other, millimetres by the affine."""
    sides = [set(map(tuple, np.argwhere(m.array == value).tolist())) for m in (predicted, true)]
    dice = 2 * len(sides[0] & sides[1]) / (len(sides[0]) + len(sides[1]))
    edges = true.affine[:3, :3].T
    volume = len(sides[0]) * abs(float(edges[0] @ np.cross(edges[1], edges[2]))) / 1000
    if not all(sides):
        far = diagonal(true)
        return {"dice": 0.0, "hd95_mm": far, "hd_mm": far, "assd_mm": far, "nsd": 0.0, "volume_ml": volume}
    there, back = apart_mm(*(true.to_mm(edge_voxels(side)) for side in sides))
    both = sorted([*there, *back])
    return {
        "dice": dice,
        "hd95_mm": max(percentile95(there), percentile95(back)),
        "hd_mm": both[-1],
        "assd_mm": math.fsum(both) / len(both),
        "nsd": sum(d <= TOLERANCE_MM for d in both) / len(both),
        "volume_ml": volume,
    }


def edge_voxels(voxels: set[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Those of which a neighbour across a face is not in the set."""
    dims = len(next(iter(voxels)))
    steps = [tuple(sign * (axis == a) for a in range(dims)) for axis in range(dims) for sign in (-1, 1)]
    return [v for v in voxels if any(tuple(map(sum, zip(v, step, strict=True))) not in voxels for step in steps)]


def apart_mm(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Distance of every point to the nearest on the other side, both ways."""
    table = cdist(one, other)
    return table.min(axis=1).tolist(), table.min(axis=0).tolist()


def percentile95(distances: Sequence[float]) -> float:
    """The 95th percentile, linear between the two neighbours in order."""
    place = 0.95 * (len(distances) - 1)
    low, high = math.floor(place), math.ceil(place)
    ordered = sorted(distances)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def diagonal(labels: LabelMap) -> float:
    """The longest distance between two corners of the image, outermost voxels included."""
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in labels.shape])).reshape(len(labels.shape), -1).T
    return float(cdist(labels.to_mm(corners), labels.to_mm(corners)).max())


# --- empty classes ---------------------------------------------------------------------------------------------------


def empty_cases() -> Iterator[tuple[str, bool]]:
    """Every way in which a class can be empty, in a volume and in a slice."""
    for shape in ((6, 7, 8), (7, 8)):
        empty, held = np.zeros(shape, np.uint8), np.ones(shape, np.uint8)
        far = diagonal(LabelMap(array=empty, affine=identity_affine((3.0, 1.0, 2.0))))
        zero = (0.0, 0.0, 0.0, far, far, far)
        cases = {
            "prediction empty": (empty, held, zero),
            "truth empty": (held, empty, zero),
            "both empty": (empty, empty, (None,) * 6),
            "neither empty": (held, held, (1.0, 1.0, 1.0, 0.0, 0.0, 0.0)),
        }
        for name, (predicted, true, expected) in cases.items():
            yield f"{name} in {len(shape)}D", figures_of(named(predicted, true).per_class[1]) == expected
        pair = np.concatenate([held, empty]), np.concatenate([held, 2 * held])
        yield f"an empty prediction counts in the mean in {len(shape)}D", named(*pair).mean_dice == 0.5
        yield f"what nobody holds does not in {len(shape)}D", named(held, held).mean_dice == 1


def named(predicted: npt.NDArray[np.uint8], true: npt.NDArray[np.uint8]) -> Scores:
    """Scores of two arrays with two named classes on an anisotropic grid."""
    classes = (LabelClass(1, "one", "#ffffff"), LabelClass(2, "two", "#ffffff"))
    pair = (m.derive(classes=classes) for m in pair_of(predicted, true, identity_affine((3.0, 1.0, 2.0))))
    return evaluate(*pair, tolerance_mm=TOLERANCE_MM)


def figures_of(score: ClassScore) -> tuple[float | None, ...]:
    """Shares, then distances."""
    return score.dice, score.jaccard, score.nsd, score.hd95_mm, score.hd_mm, score.assd_mm


# --- time ------------------------------------------------------------------------------------------------------------


def timed() -> tuple[float, float, float]:
    """CPU seconds of ours (lesions and HD included) and of MONAI's; and ours' most memory in MB."""
    predicted, true = large_pair()
    start = time.process_time()
    scores = evaluate(predicted, true, tolerance_mm=TOLERANCE_MM)
    ours = time.process_time() - start
    print(scores)
    print(f"ours {ours:.1f} s", flush=True)
    start = time.process_time()
    for value in range(1, CLASSES + 1):
        by_monai(predicted, true, value)
    return ours, time.process_time() - start, most_memory_mb(predicted, true)


def most_memory_mb(predicted: LabelMap, true: LabelMap) -> float:
    """Most memory that ours holds at once beside the two label maps, measured in a run of its own."""
    tracemalloc.start()
    evaluate(predicted, true, tolerance_mm=TOLERANCE_MM)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def large_pair() -> Pair:
    """Five ellipsoids of organ size in an abdomen of CT, the prediction a few voxels off."""
    organs = [((200, 250, 160), (110, 100, 110)), ((200, 250, 400), (60, 60, 70)), ((100, 390, 256), (50, 50, 60)),
              ((320, 100, 256), (40, 60, 50)), ((60, 120, 100), (30, 30, 30))]  # fmt: skip
    array = np.zeros(LARGE, np.uint8)
    z, y, x = np.ogrid[: LARGE[0], : LARGE[1], : LARGE[2]]
    for value, (centre, radius) in enumerate(organs, start=1):
        far = sum(((a - c) / r) ** 2 for a, c, r in zip((z, y, x), centre, radius, strict=True))
        array[far < 1] = value
    return pair_of(np.roll(array, (2, -3, 1), (0, 1, 2)), array, identity_affine((1.0, 0.8, 0.8)))


if __name__ == "__main__":
    raise SystemExit(main())
