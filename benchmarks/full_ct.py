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

from benchmarks.figures import Figures
from benchmarks.models import held_out_names, measure, own_data
from napari_ganseg.models import find_model

SIZE, SPACING_MM, ALLOWED = 512, 0.98, 0.03  # voxels and millimetres in plane; fall of the mean Dice
AIR, FOAM, SHELL = -1000.0, -930.0, 120.0  # Hounsfield units
NOISE, DRIFT = 15.0, 12.0  # of another scanner, Hounsfield units


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both, print both, compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.full_ct", description="Full-resolution CT.")
    parser.add_argument("--model", default="headneck-ct")
    parser.add_argument("--cases", type=int, default=3)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the scans there")
    options = parser.parse_args(arguments)
    for kind in (DeprecationWarning, FutureWarning):
        warnings.filterwarnings("ignore", category=kind)
    model, data = find_model(options.model), own_data("headneck-ct")
    names = held_out_names("headneck-ct")[: options.cases]
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        for name in names:
            make_full(data, name, folder)
        coarse, full = measure(data, names, model), measure(folder, names, model)
    return compare(coarse, full)


def compare(coarse: Figures, full: Figures) -> int:
    """Print case by case; 0 when the full scans do about as well."""
    for case, before, after in zip(coarse.cases, coarse.per_case, full.per_case, strict=True):
        print(f"{case.name}: {before:.3f} as it is, {after:.3f} at full resolution on a couch")
    for swap in full.swaps:
        print(f"SWAPPED {swap}")
    print(f"mean Dice {coarse.mean:.3f} as they are, {full.mean:.3f} at full resolution on a couch")
    return 0 if full.mean >= coarse.mean - ALLOWED and not full.swaps else 1


def make_full(data: Path, name: str, folder: Path) -> None:
    """Write one case and its labels at full resolution."""
    rng = np.random.default_rng(sum(name.encode()))
    for place, order in (("labels", 0), ("images", 1)):
        (folder / place).mkdir(parents=True, exist_ok=True)
        image = nib.as_closest_canonical(nib.load(data / place / name))
        array = enlarged(np.asarray(image.dataobj, np.float32), image.header.get_zooms(), order)
        if place == "images":
            array = scanned(array, rng)
        spacing = (SPACING_MM, SPACING_MM, float(image.header.get_zooms()[2]))
        kind = np.int16 if place == "images" else np.uint8
        made = nib.Nifti1Image(array[::-1, ::-1].astype(kind), np.diag([-spacing[0], -spacing[1], spacing[2], 1.0]))
        made.header.set_xyzt_units("mm")
        nib.save(made, folder / place / name)


def enlarged(array_xyz: npt.NDArray[np.float32], zooms: Sequence[float], order: int) -> npt.NDArray[np.float32]:
    """512 x 512 in plane, what lies outside filled with air, or with no label."""
    scale = np.array([SPACING_MM / zooms[0], SPACING_MM / zooms[1], 1.0])
    middle = (np.array(array_xyz.shape) - 1) / 2
    shape = (SIZE, SIZE, array_xyz.shape[2])
    offset = middle - scale * (np.array(shape) - 1) / 2
    outside = AIR if order else 0.0
    return ndimage.affine_transform(array_xyz, scale, offset, shape, order=order, mode="constant", cval=outside)


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
