"""nnU-Net on a model's own data, for as many minutes on the GPU as ours gets, measured on the same held-out cases.

    pip install nnunetv2
    python -m benchmarks.nnunet hippocampus-mri --prepare        # data set and plans alone, which take no GPU
    python -m benchmarks.nnunet hippocampus-mri --minutes 45     # and train, predict, measure, record

It learns from the cases that neither test nor validate here, of which the classes in the goal count; others become
background. Its own choices stay as they are: 3D at full resolution, its folds replaced by ours. It has no limit on
time, so that the longest of its schedules is taken that fits in at the pace of its first epochs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from benchmarks.goals import GOALS, Goal
from benchmarks.models import case_names, own_data
from benchmarks.record import add_line, machine
from napari_ganseg.inference.device import works
from napari_ganseg.io import read_labels
from napari_ganseg.io.names import stem
from napari_ganseg.metrics import evaluate
from napari_ganseg.models import find_model
from napari_ganseg.training.config import Split

FOLDER = Path("runs/nnunet")
ID, NAME = "501", "Dataset501_Ganseg"
SCHEDULES = (10, 20, 50, 100, 250, 500, 750, 1000)  # epochs of 250 steps that nnU-Net has trainers for
VALIDATION = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare; with minutes, train, predict, measure and record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nnunet", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", choices=sorted(name for name in GOALS if name != "heart-lv"), help="whose data")
    wish = parser.add_mutually_exclusive_group(required=True)
    wish.add_argument("--prepare", action="store_true")
    wish.add_argument("--minutes", type=float, help="on the GPU, for the training")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    if not tool("plan_and_preprocess").exists():
        print("nnU-Net is not installed here: pip install nnunetv2", file=sys.stderr)
        return 2
    if options.minutes and not works("cuda"):
        print("There is no CUDA device here; --prepare takes none.", file=sys.stderr)
        return 2
    goal, folder = GOALS[options.model], FOLDER / options.model
    values = goal.counted or tuple(c.value for c in find_model(options.model).card.classes)
    prepare(own_data(options.model), goal, values, folder)
    if options.minutes:
        began = time.monotonic()
        trainer = train(folder, options.minutes)
        measure(options.model, values, folder, trainer, options.minutes, (time.monotonic() - began) / 60)
    return 0


def prepare(data: Path, goal: Goal, values: Sequence[int], folder: Path) -> None:
    """The data set as nnU-Net wants it, its plans, and our division of the cases."""
    if not (folder / "preprocessed" / NAME / "splits_final.json").exists():
        cases = case_names(data)
        write_data_set(data, [name for name in cases if not goal.is_held_out(name)], values, folder / "raw" / NAME)
        link_images(data, [name for name in cases if goal.is_held_out(name)], folder / "held_out")
        call(folder, "plan_and_preprocess", "-d", ID, "-c", "3d_fullres", "--verify_dataset_integrity")
        (folder / "preprocessed" / NAME / "splits_final.json").write_text(json.dumps([division(goal, cases)]))


def write_data_set(data: Path, names: Sequence[str], values: Sequence[int], folder: Path) -> None:
    """Links to images, labels numbered 1, 2, ..., and the file that describes them."""
    link_images(data, names, folder / "imagesTr")
    (folder / "labelsTr").mkdir(parents=True, exist_ok=True)
    for name in names:
        image: Any = nib.load(data / "labels" / name)
        numbered = sum((np.asarray(image.dataobj) == value) * index for index, value in enumerate(values, start=1))
        made = nib.Nifti1Image(np.asarray(numbered, np.uint8), image.affine)  # type: ignore[no-untyped-call]
        made.to_filename(folder / "labelsTr" / f"{stem(name)}.nii.gz")
    about = {
        "channel_names": {"0": "CT" if "ct" in data.name.split("_") else "MRI"},
        "labels": {"background": 0} | {f"class {value}": index for index, value in enumerate(values, start=1)},
        "numTraining": len(names), "file_ending": ".nii.gz",
    }  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(about))


def link_images(data: Path, names: Sequence[str], folder: Path) -> None:
    """Images under the names that nnU-Net reads."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in names:
        (folder / f"{stem(name)}_0000.nii.gz").symlink_to((data / "images" / name).absolute())


def division(goal: Goal, names: Sequence[str]) -> dict[str, list[str]]:
    """Cases that teach and that validate, by our folds."""
    split = Split(patient_until=goal.patient_until)
    free = [name for name in names if not goal.is_held_out(name)]
    return {
        "train": [stem(name) for name in free if split.fold_of(name) != VALIDATION],
        "val": [stem(name) for name in free if split.fold_of(name) == VALIDATION],
    }


def train(folder: Path, minutes: float) -> str:
    """Train with the longest schedule that fits; its trainer's name."""
    call(folder, "train", ID, "3d_fullres", "0", "-tr", "nnUNetTrainer_5epochs")
    trainer = trainer_for(schedule(epoch_times(folder), minutes))
    call(folder, "train", ID, "3d_fullres", "0", "-tr", trainer)
    return trainer


def epoch_times(folder: Path) -> list[float]:
    """Seconds of the epochs of the short training, from its log."""
    log = next((folder / "results" / NAME).glob("nnUNetTrainer_5epochs__*/fold_0/training_log_*.txt"))
    return [float(seconds) for seconds in re.findall(r"Epoch time: ([\d.]+) s", log.read_text())]


def schedule(times: Sequence[float], minutes: float) -> int:
    """Epochs of the longest schedule that fits into the minutes; the shortest, where none does."""
    pace = float(np.median(times[1:] or times))  # the first epoch warms up
    return max([n for n in SCHEDULES if n * pace <= 60 * minutes], default=SCHEDULES[0])


def trainer_for(epochs: int) -> str:
    """nnU-Net's name of a schedule."""
    return "nnUNetTrainer" if epochs == 1000 else f"nnUNetTrainer_{epochs}epochs"


def measure(model: str, values: Sequence[int], folder: Path, trainer: str, minutes: float, trained: float) -> None:
    """Predict the held-out cases, compare them by our ruler, keep a line."""
    call(
        folder, "predict", "-d", ID, "-c", "3d_fullres", "-f", "0", "-tr", trainer,
        "-i", str(folder / "held_out"), "-o", str(folder / "found"),
    )  # fmt: skip
    goal, data = GOALS[model], own_data(model)
    names = [name for name in case_names(data) if goal.is_held_out(name)]
    dices = [dice(folder / "found" / f"{stem(name)}.nii.gz", data / "labels" / name, values) for name in names]
    line = {
        "entry": f"nnunet-{model}", "trainer": trainer, "minutes": minutes, "trained_minutes": round(trained, 1),
        "cases": len(names), "test_dice": round(float(np.mean(dices)), 4),
        "machine": machine(), "date": time.strftime("%Y-%m-%d"),
        "command": f"python -m benchmarks.nnunet {model} --minutes {minutes:g}",
    }  # fmt: skip
    add_line(line, Path("docs/benchmarks/nnunet.jsonl"))
    print(f"nnU-Net, {trainer}: mean Dice {line['test_dice']:.4f} over {len(names)} held-out cases of {model}")


def dice(found: Path, truth: Path, values: Sequence[int]) -> float:
    """Mean over the classes that count, numbered back; a class that is in neither does not count."""
    own, labels = read_labels(found), read_labels(truth)
    numbers = np.array([0, *values], labels.array.dtype)
    scores = evaluate(own.derive(array=numbers[own.array]), labels).per_class
    return float(np.mean([s.dice for v in values if (s := scores.get(v)) and s.dice is not None]))


def call(folder: Path, command: str, *words: str) -> None:
    """One of nnU-Net's commands, in its three folders."""
    places = {f"nnUNet_{name}": str((folder / name).absolute()) for name in ("raw", "preprocessed", "results")}
    subprocess.run([tool(command), *words], check=True, env={**os.environ, **places})


def tool(command: str) -> Path:
    """nnU-Net's command of a name, beside this interpreter."""
    return Path(sys.executable).with_name(f"nnUNetv2_{command}")


if __name__ == "__main__":
    raise SystemExit(main())
