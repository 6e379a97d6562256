"""Does a model that never heard of a class learn it faster than a fresh network? Three complete cases, equal steps.

    python -m benchmarks.new_class                  # trains the parent first where it is not there (about 25 minutes)
    python -m benchmarks.new_class --steps 100 300

The parent is `headneck-ct` trained without its brainstem: in its data those voxels are background. Three complete cases
that it was not trained on (fold 1) then teach all classes, brainstem included, to the parent and to a fresh network of
the same kind, each at its own usual learning rate; Dice of the brainstem is measured on the held-out patients (fold 0).
Exits 0 when the parent's is higher after every number of steps.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.models import held_out_names, measure
from benchmarks.record import add_line, described
from napari_ganseg.io.names import stem
from napari_ganseg.models import Model, find_model
from napari_ganseg.models.file import SUFFIX
from napari_ganseg.training import Case, fit, plan
from napari_ganseg.training.cases import check_pair
from napari_ganseg.training.config import config_from_json, config_to_json, fold_of
from napari_ganseg.training.partial import missing_classes
from napari_ganseg.training.provenance import Place

VALUE, STEPS = 1, 1500  # of the brainstem; of the parent's training
FOLDER, RECIPE = Path("runs/new_class"), Path("benchmarks/recipes/headneck-ct.json")
PARENT = FOLDER / f"headneck-no-brainstem{SUFFIX}"
DATA = ("headneck_ct", "headneck_ct_partial")
SCRATCH_RATE = 1e-3
STARTS = ("from the parent, headneck-no-brainstem", "from scratch")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print Dice of the new class with and without the parent, after each number of steps."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.new_class", description="Learn a class from 3 cases.")
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 300])
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore")
    parent = find_model(parent_file().absolute())
    cases = taught(parent)
    print(f"learnt from {', '.join(case.name for case in cases)}")
    faster = [compare(cases, parent, steps) for steps in options.steps]
    print(f"from the parent better than from scratch after {sum(faster)} of {len(faster)} numbers of steps")
    return 0 if all(faster) else 1


def compare(cases: Sequence[Case], parent: Model, steps: int) -> bool:
    """Train both for so many steps, and print what they reached."""
    config = plan(cases, "headneck-ct", parent.card, steps)
    config = replace(config, patience=0, seed=20261120)
    command = f"python -m benchmarks.new_class --steps {steps}"
    places = [Place(data=f"{DATA[0]}: three complete cases of fold 1, {how}", command=command) for how in STARTS]
    further = fit(cases, config, places[0], start=parent).result
    fresh = fit(cases, replace(config, learning_rate=SCRATCH_RATE), places[1]).result
    mine, theirs = (brainstem(model) for model in (further, fresh))
    print(f"{steps} steps: brainstem {mine:.3f} from the parent, {theirs:.3f} from scratch (12 held-out patients)")
    for model, dice in ((further, mine), (fresh, theirs)):
        add_line(described(model.card) | {"benchmark": "new_class", "brainstem": round(dice, 4)})
    return mine > theirs


def brainstem(model: Model) -> float:
    """Mean Dice of the new class over the held-out patients."""
    folder = data() / DATA[0]
    names = [name for name in held_out_names("headneck-ct") if (folder / "images" / name).exists()]
    return float(np.mean(measure(folder, names, model).of_class(VALUE)))


def taught(parent: Model) -> list[Case]:
    """The first three complete cases of fold 1; organs of the parent's that were not contoured there stay unknown."""
    folder = data() / DATA[0]
    missing = missing_classes(folder, parent.card.classes)
    names = [p.name for p in sorted((folder / "images").iterdir()) if fold_of(p.name) == 1][:3]
    verdicts = [
        check_pair(folder / "images" / name, folder / "labels" / name, 1, missing.get(stem(name), frozenset()))
        for name in names
    ]
    return [verdict.case for verdict in verdicts if verdict.case is not None]


def data() -> Path:
    """The project's data."""
    if not os.environ.get("GANSEG_DATA"):
        sys.exit("Set GANSEG_DATA to the folder of the project's data.")
    return Path(os.environ["GANSEG_DATA"])


def parent_file() -> Path:
    """The parent without a brainstem, trained where it is not there."""
    if PARENT.exists():
        return PARENT
    for name in DATA:
        without_class(data() / name, FOLDER / "data" / name)
    config = config_from_json(RECIPE.read_bytes())
    kept = tuple(c for c in config.card.classes if c.value != VALUE)
    post = replace(config.card.postprocessing, largest_component=tuple(c.value for c in kept))
    card = replace(config.card, name=PARENT.name.removesuffix(SUFFIX), classes=kept, postprocessing=post)
    (FOLDER / "parent.json").write_bytes(config_to_json(replace(config, card=card, steps=STEPS, validate_every=500)))
    folders = [str(FOLDER / "data" / name) for name in DATA]
    command = ["train", *folders, "--config", str(FOLDER / "parent.json"), "--out", str(PARENT)]
    run = ["--run", str(FOLDER / "parent"), "--threads", "1"]
    subprocess.run([sys.executable, "-W", "ignore", "-m", "napari_ganseg", *command, *run], check=True)
    add_line(described(find_model(PARENT.absolute()).card) | {"benchmark": "new_class"})
    return PARENT


def without_class(source: Path, target: Path) -> None:
    """A copy of a data set in which the class is background; the images are linked."""
    (target / "labels").mkdir(parents=True, exist_ok=True)
    if not (target / "images").exists():
        (target / "images").symlink_to((source / "images").absolute())
    (target / "cases.csv").write_bytes((source / "cases.csv").read_bytes())
    for path in (source / "labels").glob("*.nii.gz"):
        image = nib.load(path)
        array = np.asanyarray(image.dataobj).copy()
        array[array == VALUE] = 0
        nib.save(nib.Nifti1Image(array, image.affine, image.header), target / "labels" / path.name)


if __name__ == "__main__":
    raise SystemExit(main())
