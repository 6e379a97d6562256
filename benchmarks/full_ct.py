"""A model taught on coarse scans without background, on full-resolution scans with a couch, a head rest and noise.

    python -m benchmarks.full_ct --model headneck-ct --cases 3

Held-out head-and-neck cases are brought to 512 x 512 at about 1 mm in plane and lie on a couch, with the noise and
drift of another scanner, in its axis order (L P S). Exits 0 when the mean Dice falls by no more than 0.03 and no right
organ is taken for the left one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from benchmarks.figures import Figures, Measured
from benchmarks.goals import GOALS
from benchmarks.models import held_out_names, measure, own_data
from benchmarks.sides import side_faults
from napari_ganseg.inference import segment
from napari_ganseg.io import read_labels
from napari_ganseg.metrics import evaluate
from napari_ganseg.models import Model, find_model
from napari_ganseg.volume import LabelMap

SIZE, SPACING_MM, ALLOWED = 512, 0.98, 0.03  # voxels and millimetres in plane; fall of the mean Dice
ORGANS, SIDES = GOALS["headneck-ct"].counted, (3, 4)
AIR, FOAM, SHELL = -1000.0, -930.0, 120.0  # Hounsfield units
NOISE, DRIFT = 15.0, 12.0  # of another scanner, Hounsfield units


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both, print both, compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.full_ct", description="Full-resolution CT.")
    parser.add_argument("--model", default="headneck-ct")
    parser.add_argument("--cases", type=int, default=3)
    options = parser.parse_args(arguments)
    for kind in (DeprecationWarning, FutureWarning):
        warnings.filterwarnings("ignore", category=kind)
    model, data = find_model(options.model), own_data("headneck-ct")
    names = held_out_names("headneck-ct")[: options.cases]
    with tempfile.TemporaryDirectory() as folder:
        full = Figures(tuple(measured(data, name, Path(folder), model) for name in names), ORGANS)
    return compare(measure(data, names, model), full)


def measured(data: Path, name: str, folder: Path, model: Model) -> Measured:
    """Segment one case at full resolution; compare where the truth has its voxels."""
    make_full(data / "images" / name, folder / name)
    truth = read_labels(data / "labels" / name)
    labels = seen_from(segment(folder / name, model), truth)
    scores = evaluate(labels, truth).per_class
    dices = {v: s.dice for v, s in scores.items() if v in ORGANS and s.dice is not None}
    return Measured(name, dices, swaps=side_faults(labels, truth, SIDES))


def seen_from(labels: LabelMap, truth: LabelMap) -> LabelMap:
    """The labels at the centres of the truth's voxels: its staircase shall not count as an error."""
    places = np.moveaxis(np.indices(truth.shape), 0, -1)
    millimetres = places @ truth.affine[:3, :3].T + truth.affine[:3, 3]
    inverse = np.linalg.inv(labels.affine)
    nearest = np.rint(millimetres @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    inside = np.clip(nearest, 0, np.array(labels.shape) - 1)
    return truth.derive(array=labels.array[tuple(np.moveaxis(inside, -1, 0))], classes=labels.classes)


def compare(coarse: Figures, full: Figures) -> int:
    """Print case by case; 0 when the full scans do about as well."""
    for case, before, after in zip(coarse.cases, coarse.per_case, full.per_case, strict=True):
        print(f"{case.name}: {before:.3f} as it is, {after:.3f} at full resolution on a couch")
    for swap in full.swaps:
        print(f"SWAPPED {swap}")
    print(f"mean Dice {coarse.mean:.3f} as they are, {full.mean:.3f} at full resolution on a couch")
    return 0 if full.mean >= coarse.mean - ALLOWED and not full.swaps else 1


def make_full(source: Path, target: Path) -> None:
    """Write one scan at full resolution."""
    image = nib.as_closest_canonical(nib.load(source))
    zooms = image.header.get_zooms()
    scale, shape = np.array([SPACING_MM / zooms[0], SPACING_MM / zooms[1], 1.0]), (SIZE, SIZE, image.shape[2])
    offset = (np.array(image.shape) - 1) / 2 - scale * (np.array(shape) - 1) / 2
    array = np.asarray(image.dataobj, np.float32)
    array = ndimage.affine_transform(array, scale, offset, shape, order=3, mode="constant", cval=AIR)
    affine = image.affine @ np.block([[np.diag(scale), offset[:, np.newaxis]], [np.zeros(3), np.ones(1)]])
    turn = np.diag([-1.0, -1.0, 1.0, 1.0])
    turn[:2, 3] = SIZE - 1
    scan = scanned(array, np.random.default_rng(sum(source.name.encode())))[::-1, ::-1]
    made = nib.Nifti1Image(scan.astype(np.int16), affine @ turn)
    made.header.set_xyzt_units("mm")
    nib.save(made, target)


def scanned(array_xyz: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """What a scanner adds: couch and head rest behind the patient, noise everywhere, values that drift."""
    is_air = array_xyz < -900
    behind = np.flatnonzero((~is_air).any(axis=(0, 2)))[0]
    made = array_xyz.copy()
    x, y = np.ogrid[:SIZE, :SIZE]
    couch_top = behind - 12 + 0.0008 * (x - SIZE / 2) ** 2
    for place, value in ((np.abs(y - couch_top) < 2, SHELL), ((y < couch_top - 2) & (y > couch_top - 40), FOAM),
                         (np.abs(y - couch_top + 40) < 2, SHELL)):  # fmt: skip
        made[place[..., np.newaxis] & is_air & (np.abs(x - SIZE / 2) < 210)[..., np.newaxis]] = value
    rest = (np.abs(np.hypot(x - SIZE / 2, y - behind - 60) - 75) < 2) & (y < behind + 30)
    made[rest[..., np.newaxis] & is_air & (np.arange(made.shape[2]) > made.shape[2] * 0.6)] = SHELL
    return made * 1.02 + DRIFT + rng.normal(0, NOISE, made.shape).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main())
