"""Ten painted slices, a click on Fine-tune, a model: as a user would, in a real viewer, with screenshots.

    python -m benchmarks.finetune                            # about 15 minutes a start
    python -m benchmarks.finetune --start "" hippocampus-mri --out demo_output

A head-and-neck CT that no parent has seen gets the two parotid glands of ten of its axial slices painted. Fine-tune
runs for at most fifteen minutes (Stop is clicked then), and Segment labels the same volume and two other patients of
the held-out fold. Beside it: shape-based interpolation between the painted slices, and copying the nearest of them,
which say nothing about other patients. All are compared on the slices that were not painted. Exits 0 when, from
scratch, the model beats the interpolation there and reaches a mean Dice of 0.55 on the other patients.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.integer[Any]]
CASE, PAINTED, MOST_MINUTES, LEAST_OTHERS = "hn_tr_031.nii.gz", 10, 15.0, 0.55
PAROTIDS = {3: "Right parotid", 4: "Left parotid"}  # values in the data
SCREEN = ["xvfb-run", "-a", "-s", "-screen 0 1600x1200x24"]


@dataclass(frozen=True, slots=True)
class Found:
    """What one start came to: Dice on the unpainted slices, on the whole volume, and on each other patient."""

    unpainted: float
    whole: float
    others: tuple[float, ...]
    minutes: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Paint, fine-tune, segment, compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finetune", description="Ten painted slices, a model.")
    parser.add_argument("--start", nargs="+", default=["", "hippocampus-mri"], help="models to start from; '' for none")
    parser.add_argument("--case", default=CASE, help="of headneck_ct, not of fold 0")
    parser.add_argument("--budget", default="Standard", help="as the widget calls it")
    parser.add_argument("--out", type=Path, default=Path("demo_output"), help="for the screenshots")
    options = parser.parse_args(arguments)
    if not os.environ.get("GANSEG_DATA"):
        sys.exit("Set GANSEG_DATA to the folder of the project's data.")
    if not os.environ.get("DISPLAY") and shutil.which("xvfb-run"):
        given = sys.argv[1:] if arguments is None else list(arguments)
        return subprocess.run([*SCREEN, sys.executable, "-m", "benchmarks.finetune", *given], check=False).returncode
    warnings.filterwarnings("ignore")
    options.out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        os.environ["XDG_DATA_HOME"] = home  # the user's own models and runs stay out of it
        return report(options)


def report(options: argparse.Namespace) -> int:
    """Print a line for each way, the verdict last."""
    from benchmarks.models import held_out_names

    folder = Path(os.environ["GANSEG_DATA"]) / "headneck_ct"
    truth, spacing = parotids(folder, options.case)
    slices = painted_slices(truth)
    rest = np.setdiff1d(np.arange(len(truth)), slices)
    interpolated, copied = interpolation(truth, slices, spacing), nearest(truth, slices)
    others = [name for name in held_out_names("headneck-ct") if (folder / "images" / name).exists()][:2]
    print(
        f"{options.case}: slices {', '.join(map(str, slices))} painted; other patients {', '.join(others)}", flush=True
    )
    for name, labels in (("nearest painted slice", copied), ("shape-based interpolation", interpolated)):
        print(f"{name:<28} unpainted slices {dice(labels[rest], truth[rest]):.3f}, all {dice(labels, truth):.3f}")
    found = [finetuned(folder, options, start, truth, slices, others) for start in options.start]
    for start, one in zip(options.start, found, strict=True):
        words = ", ".join(f"{d:.3f}" for d in one.others)
        print(f"{'from ' + (start or 'scratch'):<28} unpainted slices {one.unpainted:.3f}, all {one.whole:.3f}, "
              f"others {words}, {one.minutes:.1f} min")  # fmt: skip
    best, bar = found[0], dice(interpolated[rest], truth[rest])
    mean = float(np.mean(best.others))
    is_good = best.unpainted > bar and mean >= LEAST_OTHERS and best.minutes <= MOST_MINUTES
    print(f"{best.unpainted:.3f} against {bar:.3f} by interpolation; {mean:.3f} on other patients (bar {LEAST_OTHERS})")
    return 0 if is_good else 1


# --- the user ------------------------------------------------------------------------------------------------------


def finetuned(
    folder: Path, options: argparse.Namespace, start: str, truth: Labels, slices: Labels, others: Sequence[str]
) -> Found:
    """Open, paint, click, wait, segment: with a real viewer and its widgets."""
    from napari_ganseg.plugin.beside_mesa import load_triton_apart

    load_triton_apart()
    import napari

    name = f"parotids-{start or 'scratch'}"
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1500, 1000)
    (image,) = viewer.open(folder / "images" / options.case, plugin="napari-ganseg")
    _, tune = viewer.window.add_plugin_dock_widget("napari-ganseg", "Fine-tune a model")
    paint(viewer, tune, truth, slices)
    tune.model.start.value, tune.model.name.value, tune.lessons.meaning.value = start, name, "range"
    tune.model.budget.value = next(b for b in tune.model.budget.choices if b.name == options.budget)
    snap(viewer, options.out / f"finetune-{name}-1-painted.png")
    minutes = train(viewer, tune, options.out / f"finetune-{name}")
    _, segment = viewer.window.add_plugin_dock_widget("napari-ganseg", "Segment CT or MRI")
    mine = segmented(viewer, segment, image, name)
    snap(viewer, options.out / f"finetune-{name}-4-segmented.png")
    rest = np.setdiff1d(np.arange(len(truth)), slices)
    scores = []
    for other in others:
        (layer,) = viewer.open(folder / "images" / other, plugin="napari-ganseg")
        scores.append(dice(segmented(viewer, segment, layer, name), parotids(folder, other)[0]))
    tune.lessons.autosave.close()
    viewer.close()
    return Found(dice(mine[rest], truth[rest]), dice(mine, truth), tuple(scores), minutes)


def paint(viewer: Any, tune: Any, truth: Labels, slices: Labels) -> None:
    """New labels, two named classes, ten slices."""
    tune.lessons.new_button.native.click()
    layer = tune.lessons.labels.value
    for value in PAROTIDS:
        for z in slices:
            where = np.nonzero(truth[z] == value)
            layer.data_setitem((np.full(len(where[0]), z), *where), value - 2)
    layer.features = {"index": [0, 1, 2], "name": ["background", *PAROTIDS.values()]}
    viewer.dims.set_current_step(0, int(slices[len(slices) // 2]))
    wait(500)


def train(viewer: Any, tune: Any, stem: Path) -> float:
    """Click Fine-tune; after fifteen minutes click Stop; the minutes it took."""
    from napari_ganseg.plugin.worker import CHILD, job_of

    began = time.monotonic()
    tune.model.button.native.click()
    is_snapped = is_stopped = False
    while job_of(viewer, CHILD) is not None:
        wait(500)
        minutes = (time.monotonic() - began) / 60
        if not is_snapped and minutes > 2:
            is_snapped = True
            snap(viewer, Path(f"{stem}-2-training.png"))
        if not is_stopped and minutes > MOST_MINUTES - 1:
            is_stopped = True
            tune.view.stop_button.click()
    snap(viewer, Path(f"{stem}-3-outcome.png"))
    print(tune.view.words.text(), tune.view._outcome, flush=True)
    return (time.monotonic() - began) / 60


def segmented(viewer: Any, segment: Any, image: Any, model: str) -> Labels:
    """Click Segment; the labels, under the data's own values, as (z, y, x)."""
    from napari_ganseg.plugin.worker import job_of

    before = set(viewer.layers)
    segment.image.value, segment.model.value = image, model
    segment.button.native.click()
    wait_until(lambda: job_of(viewer) is None)
    (layer,) = set(viewer.layers) - before
    labels = np.asarray(layer.data)
    return np.where(labels > 0, labels + 2, 0)


def wait(milliseconds: int) -> None:
    """Let Qt work."""
    from qtpy.QtTest import QTest

    QTest.qWait(milliseconds)


def wait_until(is_done: Callable[[], bool]) -> None:
    """Let Qt work until something holds."""
    while not is_done():
        wait(100)


def snap(viewer: Any, path: Path) -> None:
    """The whole window as a picture."""
    wait(300)
    viewer.screenshot(str(path), canvas_only=False, flash=False)


# --- the truth and the other ways ----------------------------------------------------------------------------------


def parotids(folder: Path, name: str) -> tuple[Labels, tuple[float, ...]]:
    """(z, y, x) labels of the glands alone, and their spacing."""
    from napari_ganseg.io import read_labels

    labels = read_labels(folder / "labels" / name)
    return np.where(np.isin(labels.array, list(PAROTIDS)), labels.array, 0), labels.spacing_mm


def painted_slices(truth: Labels) -> Labels:
    """Ten slices, evenly from the first that shows a gland to the last."""
    there = np.flatnonzero(truth.any(axis=(1, 2)))
    return np.unique(np.linspace(there[0], there[-1], PAINTED).round().astype(int))


def interpolation(truth: Labels, slices: Labels, spacing_mm: tuple[float, ...]) -> Labels:
    """Shape-based interpolation (signed distances) between painted slices, which stay as they are."""
    from napari_ganseg.training.filling import between

    made = np.zeros_like(truth)
    made[slices] = truth[slices]
    for first, last in pairwise(slices):
        if last - first > 1:
            made[first + 1 : last] = between(truth[first], truth[last], int(last - first), spacing_mm[1:])
    return made


def nearest(truth: Labels, slices: Labels) -> Labels:
    """Each slice between the first and the last painted one is the nearest of them."""
    made = np.zeros_like(truth)
    for z in range(slices[0], slices[-1] + 1):
        made[z] = truth[slices[np.abs(slices - z).argmin()]]
    return made


def dice(labels: Labels, truth: Labels) -> float:
    """Mean Dice of the two glands."""
    both = [
        ((labels == v) & (truth == v)).sum() * 2 / max(1, (labels == v).sum() + (truth == v).sum()) for v in PAROTIDS
    ]
    return float(np.mean(both))


if __name__ == "__main__":
    raise SystemExit(main())
