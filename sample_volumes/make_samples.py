"""Write the two synthetic sample scans and their true labels: a hippocampus MRI and a head-and-neck CT.

    python sample_volumes/make_samples.py            # rewrites the files beside this script

No patient data go in. The shapes and numbers in `phantom_mri` and `phantom_ct_body` were set by hand to the typical
sizes, places and grey values of such scans: the truth is drawn first (ellipsoids, tubes along curves, stacks of
ellipses, all bent by one smooth random deformation), and the image is made from it (tissue value, partial volume,
texture, blur, noise, and a bias field for the MRI). One seed always gives the same arrays; another seed gives
another "patient". The labels are written by napari-ganseg, onto the image's own grid, with their names.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from phantom_ct import make_ct
from phantom_mri import make_mri

import napari_ganseg as ganseg
from napari_ganseg.io.labels import colour_for
from napari_ganseg.volume import LabelClass

NAMES = {
    "sample_mri": ("Anterior hippocampus", "Posterior hippocampus"),
    "sample_ct": ("Brainstem", "Spinal cord", "Right parotid", "Left parotid", "Oesophagus", "Larynx", "Mandible"),
}


def main() -> None:
    """Make both samples."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="another seed, another synthetic patient")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for the files")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, make in (("sample_mri", make_mri), ("sample_ct", make_ct)):
        image, labels, affine = make(options.seed)
        save(options.out / f"{name}.nii.gz", image, affine)
        save_labels(options.out, name, labels)


def save_labels(folder: Path, name: str, labels: NDArray[np.uint8]) -> None:
    """Write the truth (x, y, z as the image is stored) on the image's grid, with names."""
    image = ganseg.read(folder / f"{name}.nii.gz")
    classes = tuple(LabelClass(value, n, colour_for(value)) for value, n in enumerate(NAMES[name], start=1))
    truth = ganseg.LabelMap(
        array=image.stored.to_array(labels), affine=image.affine, stored=image.stored, classes=classes,
        provenance={"made_by": "sample_volumes/make_samples.py"},
    )  # fmt: skip
    ganseg.write(folder / f"{name}_labels.nii.gz", truth)


def save(path: Path, array: NDArray[np.int16], affine: NDArray[np.float64]) -> None:
    """Write a NIfTI in millimetres whose qform and sform agree, with the same bytes every time."""
    image = nib.Nifti1Image(array, affine, dtype=array.dtype)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    image.header.set_xyzt_units("mm")
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main()
