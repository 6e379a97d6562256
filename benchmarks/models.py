"""How good a model is: Dice per class by name on cases it never saw.

    python -m benchmarks.models --model hippocampus-mri                 # held-out fold of its own data
    python -m benchmarks.models --model hippocampus-mri --data DIR      # every case of DIR/images and DIR/labels

Exits 0 when the mean reaches the bar that the project set for the model on its held-out fold; --data has no bar.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from napari_ganseg.errors import GansegError
from napari_ganseg.inference import segment
from napari_ganseg.io import EXTENSIONS
from napari_ganseg.metrics import Scores, evaluate
from napari_ganseg.models import Model, find_model
from napari_ganseg.training.config import fold_of

OWN_DATA = {"hippocampus-mri": "hippocampus_mri", "headneck-ct": "headneck_ct"}
BARS = {"hippocampus-mri": 0.86, "headneck-ct": 0.77}
HELD_OUT = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Print Dice per class and, last, `mean Dice 0.xxx over N cases`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.models", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, help="a folder with images/ and labels/; every case counts")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    names = case_names(options.data) if options.data else held_out_names(options.model)
    folder = options.data or own_data(options.model)
    scores = list(score_all(folder, names, options.model))
    if not scores:
        sys.exit(f"There is no case to measure in {folder}.")
    return report(options.model, scores, has_bar=options.data is None)


def own_data(model: str) -> Path:
    """The model's own data under GANSEG_DATA."""
    root = os.environ.get("GANSEG_DATA")
    if not root or model not in OWN_DATA:
        sys.exit("Give --data DIR, or set GANSEG_DATA to the folder of the project's data.")
    return Path(root) / OWN_DATA[model]


def held_out_names(model: str) -> list[str]:
    """Fold 0, which no training ever read."""
    return [name for name in case_names(own_data(model)) if fold_of(name) == HELD_OUT]


def case_names(folder: Path) -> list[str]:
    """File names of the images that have a label file."""
    names = sorted(p.name for p in (folder / "images").glob("*") if p.name.lower().endswith(EXTENSIONS))
    return [name for name in names if (folder / "labels" / name).exists()]


def score_all(folder: Path, names: Sequence[str], model: str | Model) -> Iterator[Scores]:
    """Segment and score case by case; a case that fails counts as failed, not as absent."""
    loaded = model if isinstance(model, Model) else find_model(model)
    for name in names:
        try:
            labels = segment(folder / "images" / name, loaded)
        except GansegError as error:
            sys.exit(f"{name}: {error}")
        yield evaluate(labels, folder / "labels" / name)


def report(model: str, scores: Sequence[Scores], *, has_bar: bool) -> int:
    """Print the table; 0 where the bar is reached or there is none."""
    card = find_model(model).card
    values = [c.value for c in card.classes]
    for c in card.classes:
        found = [s.per_class[c.value].dice for s in scores if c.value in s.per_class]
        dices = [d for d in found if d is not None]
        if dices:
            print(f"{c.name:<32} Dice {np.mean(dices):.3f}  worst {min(dices):.3f}  in {len(dices)} cases")
    per_case = [mean_of(s, values) for s in scores]
    means = [m for m in per_case if m is not None]
    mean = float(np.mean(means))
    is_good = not has_bar or mean >= BARS.get(model, 0.0)
    if has_bar:
        print(f"bar {BARS.get(model, 0.0):.3f}: {'reached' if is_good else 'MISSED'}")
    print(f"mean Dice {mean:.3f} over {len(means)} cases")
    return 0 if is_good else 1


def mean_of(scores: Scores, values: Sequence[int]) -> float | None:
    """Mean Dice of one case over the model's own classes that prediction or truth hold."""
    dices = [scores.per_class[v].dice for v in values if v in scores.per_class]
    present = [d for d in dices if d is not None]
    return float(np.mean(present)) if present else None


if __name__ == "__main__":
    raise SystemExit(main())
