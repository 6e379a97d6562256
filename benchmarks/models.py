"""How good a model is: Dice per class by name on cases it never saw.

    python -m benchmarks.models                                                      # every model that ships
    python -m benchmarks.models --model hippocampus-mri                              # held-out fold of its own data
    python -m benchmarks.models --model runs/plain/headneck-ct.ganseg.safetensors    # the same of a model file
    python -m benchmarks.models --model hippocampus-mri --data DIR      # every case of DIR/images and DIR/labels
    python -m benchmarks.models --model headneck-ct --against runs/plain/headneck-ct.ganseg.safetensors    # paired

Exits 0 when the mean reaches the bar that the project set for the model on its held-out fold (--data has no bar), is no
lower than what is on record of the plain network of equal steps, and no right organ was taken for the left one. A class
that nobody contoured in a case does not count there.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.figures import Figures, Measured
from benchmarks.goals import GOALS, Goal
from benchmarks.record import plain_twin
from benchmarks.sides import side_faults
from napari_ganseg.errors import GansegError
from napari_ganseg.inference import segment
from napari_ganseg.io import read_labels
from napari_ganseg.io.names import stem
from napari_ganseg.metrics import evaluate
from napari_ganseg.models import Model, find_model
from napari_ganseg.models.file import SUFFIX
from napari_ganseg.models.library import SHIPPED
from napari_ganseg.training.cases import is_case
from napari_ganseg.training.partial import missing_classes


def main(arguments: Sequence[str] | None = None) -> int:
    """Print Dice per class and, last, `NAME: mean Dice 0.xxx over N cases` with what else was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.models", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--model", help="a name, or a model file; by default every shipped one")
    parser.add_argument("--data", type=Path, help="a folder with images/ and labels/; every case counts")
    parser.add_argument("--against", help="another model; fails where that one is better on the same cases")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    if options.model is None and (options.data or options.against):
        parser.error("--data and --against need --model")
    names = [options.model] if options.model else [path.name.removesuffix(SUFFIX) for path in shipped()]
    try:
        return max([measure_one(name, options.data, options.against) for name in names])
    except GansegError as error:
        sys.exit(str(error))


def measure_one(name: str, data: Path | None, against: str | None) -> int:
    """Print a model's figures, its name last; 0 where all holds."""
    model = find_model(name)
    figures = measured(model, data)
    codes = [compare(figures, measured(find_model(against), data))] if against else []
    codes += [] if data else [compare_recorded(model, figures)]
    return max(*codes, report(model, figures, has_bar=data is None), 0)


def shipped() -> list[Path]:
    """The files of the models that come with the plugin."""
    return sorted(SHIPPED.glob(f"*{SUFFIX}"))


def measured(model: Model, data: Path | None) -> Figures:
    """A model on every case of a folder, or on its held-out fold."""
    return measure(data, case_names(data), model) if data else held_out(model)


def compare(figures: Figures, other: Figures) -> int:
    """Print the paired difference; 0 where the other model is no better."""
    mean, low, high = figures.against(other)
    print(f"against {other.mean:.4f}: paired difference {mean:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}")
    return 0 if mean >= 0 else 1


def compare_recorded(model: Model, figures: Figures) -> int:
    """Print the held-out Dice on record of the plain network of equal steps; 0 where none is, or none better."""
    plain = plain_twin(model.card)
    if plain is None:
        return 0
    print(f"the plain network of equal steps, on record: {plain:.4f}, here {figures.mean:.4f}")
    return 0 if round(figures.mean, 4) >= plain else 1


def held_out(model: Model) -> Figures:
    """Measure a model on the cases that no training of it ever read."""
    folder = own_data(model.card.name)
    return measure(folder, held_out_names(model.card.name), model)


def own_data(model: str) -> Path:
    """The model's own data under GANSEG_DATA."""
    root = os.environ.get("GANSEG_DATA")
    if not root or model not in GOALS:
        sys.exit("Give --data DIR, or set GANSEG_DATA to the folder of the project's data.")
    return Path(root) / GOALS[model].folder


def held_out_names(model: str) -> list[str]:
    """Cases of fold 0: by their own name, or by their patient's."""
    return [name for name in case_names(own_data(model)) if GOALS[model].is_held_out(name)]


def case_names(folder: Path) -> list[str]:
    """File names of the images that have a label file."""
    names = sorted(path.name for path in (folder / "images").glob("*") if is_case(path.name))
    return [name for name in names if (folder / "labels" / name).exists()]


def measure(folder: Path, names: Sequence[str], model: Model) -> Figures:
    """Segment and compare case by case; one that fails ends it, so that none is absent from the mean."""
    if not names:
        sys.exit(f"There is no case to measure in {folder}.")
    goal = GOALS.get(model.card.name)
    counted = (goal.counted if goal else ()) or tuple(c.value for c in model.card.classes)
    return Figures(tuple(cases(folder, names, model, goal.sides if goal else None)), counted)


def cases(folder: Path, names: Sequence[str], model: Model, sides: tuple[int, int] | None) -> Iterator[Measured]:
    """Each case, without the classes that `cases.csv` calls not contoured."""
    missing = missing_classes(folder, model.card.classes)
    for name in names:
        try:
            labels, truth = segment(folder / "images" / name, model), read_labels(folder / "labels" / name)
            scores = evaluate(labels, truth).per_class
        except GansegError as error:
            sys.exit(f"{name}: {error}")
        values = {c.value for c in model.card.classes} - missing.get(stem(name), frozenset())
        dices = {v: s.dice for v, s in scores.items() if v in values and s.dice is not None}
        unfound = tuple(v for v in dices if not scores[v].volume_ml)
        yield Measured(name, dices, unfound, side_faults(labels, truth, sides) if sides else ())


def report(model: Model, figures: Figures, *, has_bar: bool) -> int:
    """Print the table; 0 where the bar is reached or there is none, and right and left were told apart."""
    goal = GOALS.get(model.card.name)
    print_classes(model, figures)
    for swap in figures.swaps:
        print(f"SWAPPED {swap}")
    is_good = not figures.swaps
    if has_bar and goal:
        is_reached = figures.mean >= goal.bar
        is_good &= is_reached
        print(f"bar {goal.bar:.3f}: {'reached' if is_reached else 'MISSED'}")
    print(
        f"{model.card.name}: mean Dice {figures.mean:.3f} over {len(figures.per_case)} cases{in_words(figures, goal)}"
    )
    return 0 if is_good else 1


def print_classes(model: Model, figures: Figures) -> None:
    """A line for each class, and one for each case in which it was not found."""
    for c in model.card.classes:
        if dices := figures.of_class(c.value):
            apart = "" if c.value in figures.counted else " that have it contoured; not in the mean"
            print(f"{c.name:<32} Dice {np.mean(dices):.3f}  worst {min(dices):.3f}  in {len(dices)} cases{apart}")
    for case in figures.cases:
        if case.unfound:
            names = ", ".join(c.name for c in model.card.classes if c.value in case.unfound)
            print(f"not found in {case.name}: {names}")


def in_words(figures: Figures, goal: Goal | None) -> str:
    """What else the last line says: patients, classes counted, sides."""
    if goal is None:
        return ""
    patients = goal.patients([case.name for case in figures.cases])
    words = f" of {patients} patients" if goal.patient_until else ""
    words += f", {len(goal.counted)} classes" if goal.counted else ""
    if goal.sides is None:
        return words
    swapped = sum(bool(case.swaps) for case in figures.cases)
    return words + (f"; right and left SWAPPED in {swapped}" if swapped else "; right and left never swapped")


if __name__ == "__main__":
    raise SystemExit(main())
