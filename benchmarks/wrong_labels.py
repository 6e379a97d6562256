"""A fine-tune on deliberately wrong labels must end with "not better", and the old model must stay.

    python -m benchmarks.wrong_labels                # about 15 minutes: three kinds of wrong, 60 steps each

Cases of fold 1 with the labels of another patient, with labels moved by 40 mm, and with random blobs in the place of
organs are given to `headneck-ct` as a user's folder. Exits 0 when each ends with the old model in its place.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from napari_ganseg import grid
from napari_ganseg.io import read, read_labels, write
from napari_ganseg.models.file import SUFFIX
from napari_ganseg.training.config import fold_of
from napari_ganseg.training.execution import execute, set_up
from napari_ganseg.training.job import Job, write_job
from napari_ganseg.volume import LabelMap

Labels = npt.NDArray[np.integer[Any]]
ORGANS, COUNT, MOVE_MM = (1, 2, 3, 4, 7), 4, 40.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Train on each kind of wrong, and print what it came to."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.wrong_labels", description="Wrong labels teach nothing."
    )
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args(arguments)
    if not os.environ.get("GANSEG_DATA"):
        sys.exit("Set GANSEG_DATA to the folder of the project's data.")
    warnings.filterwarnings("ignore")
    kept = [stays(name, wrong, options.steps) for name, wrong in KINDS.items()]
    print(f"the old model stays after {sum(kept)} of {len(kept)} fine-tunes on wrong labels")
    return 0 if all(kept) else 1


def stays(name: str, wrong: Callable[[list[LabelMap], int], Labels], steps: int) -> bool:
    """Whether the old model is still the one to use."""
    with tempfile.TemporaryDirectory() as place:
        data, models = Path(place) / "data", Path(place) / "models"
        models.mkdir()
        spoil(data, wrong)
        out = models / f"wrong{SUFFIX}"
        job = Job((str(data),), str(out), "headneck-ct", steps=steps, only_better=True, device="cpu")
        write_job(Path(place) / "run", job)
        outcome = execute(set_up(Path(place) / "run")).result
        print(f"{name}: {outcome.verdict}", flush=True)
        return not outcome.is_better and not out.exists()


def spoil(folder: Path, wrong: Callable[[list[LabelMap], int], Labels]) -> None:
    """Write images with wrong labels."""
    source = Path(os.environ["GANSEG_DATA"]) / "headneck_ct"
    names = [p.name for p in sorted((source / "images").iterdir()) if fold_of(p.name) == 1][:COUNT]
    right = [read_labels(source / "labels" / name) for name in names]
    for place in ("images", "labels"):
        (folder / place).mkdir(parents=True)
    for index, name in enumerate(names):
        write(folder / "images" / name, read(source / "images" / name))
        array = np.where(np.isin(made := wrong(right, index), ORGANS), made, 0)
        write(folder / "labels" / name, right[index].derive(array=array))


def others(right: list[LabelMap], index: int) -> Labels:
    """The next patient's labels, laid over this one's scan corner to corner."""
    other = right[(index + 1) % len(right)]
    moved, _ = grid.resample(other, right[index].spacing_mm)
    made = np.zeros(right[index].shape, moved.array.dtype)
    box = tuple(slice(0, min(a, b)) for a, b in zip(made.shape, moved.shape, strict=True))
    made[box] = moved.array[box]
    return made


def moved(right: list[LabelMap], index: int) -> Labels:
    """The right labels in the wrong place: another direction in every patient."""
    labels = right[index]
    direction = np.random.default_rng(index).choice([-1, 1], 3)
    shift = [int(d * MOVE_MM / s) for d, s in zip(direction, labels.spacing_mm, strict=True)]
    return np.asarray(np.roll(labels.array, shift, axis=(0, 1, 2)))


def blobs(right: list[LabelMap], index: int) -> Labels:
    """As much of each organ as there is, wherever noise is high."""
    labels, rng = right[index].array, np.random.default_rng(index)
    made = np.zeros_like(labels)
    for value in ORGANS:
        noise = gaussian_filter(rng.normal(size=labels.shape), 3)
        made[noise >= np.quantile(noise, 1 - max(1, (labels == value).sum()) / labels.size)] = value
    return made


KINDS: dict[str, Callable[[list[LabelMap], int], Labels]] = {
    "another patient's labels": others, "labels moved by 40 mm": moved, "random blobs": blobs,
}  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
