"""Is leaving air out harmless? Labels of real scans with and without the rule.

    python -m benchmarks.air            # validation cases of headneck-ct; needs GANSEG_DATA

For each scan: the share of tiles that the rule leaves out, the voxels whose label it changes, and Dice against the
truth both ways. The scans are laid into noisy air of 60 voxels all around, since those of the data set end at the body.
Exits 0 when the rule leaves tiles out and the mean Dice is at most 0.0005 lower with it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from statistics import fmean
from unittest.mock import patch

import numpy as np

from benchmarks.accuracy.studies import recipe
from napari_ganseg import grid
from napari_ganseg.inference import segment
from napari_ganseg.inference.body import Body
from napari_ganseg.metrics import evaluate
from napari_ganseg.models import find_model
from napari_ganseg.training.cases import Case, good_cases, scan_folder
from napari_ganseg.volume import LabelMap, Volume

MODEL, FOLDER, AIR_HU, MARGIN, NOISE_HU, WORSE = "headneck-ct", "headneck_ct", -1000, 60, 12.0, 0.0005
VALIDATION, CASES = 1, 4


def main() -> int:
    """Print a line a scan, and the verdict."""
    root = os.environ.get("GANSEG_DATA")
    if not root:
        sys.exit("Set GANSEG_DATA to the folder of the project's data.")
    model, split = find_model(MODEL), recipe(MODEL).split
    cases = good_cases(scan_folder(Path(root) / FOLDER, 1, model.card.classes))
    chosen = [case for case in cases if split.fold_of(case.name) == VALIDATION][:CASES]
    rows = [compared(case) for case in chosen]
    skipped, changed, with_rule, without = (fmean(column) for column in zip(*rows, strict=True))
    holds = skipped > 0 and with_rule >= without - WORSE
    verdict = "harmless" if holds else "not harmless"
    print(f"{len(rows)} scans: {skipped:.0%} of the tiles left out, {changed:.1f} voxels a scan changed, mean Dice "
          f"{with_rule:.4f} with the rule, {without:.4f} without: {verdict}")  # fmt: skip
    return 0 if holds else 1


def compared(case: Case) -> tuple[float, float, float, float]:
    """Share of tiles left out, voxels changed, Dice with the rule and without."""
    scan = in_air(case.image)
    asked: list[bool] = []
    rule = Body.is_in

    def noted(self: Body, image: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> bool:
        asked.append(rule(self, image))
        return asked[-1]

    with patch.object(Body, "is_in", noted):
        ruled = segment(scan, MODEL, device="cpu")
    with patch.object(Body, "is_in", lambda *_: True):
        free = segment(scan, MODEL, device="cpu")
    skipped, changed = 1 - fmean(asked), float((ruled.array != free.array).sum())
    dices = [
        evaluate(cut_back(labels, case.image), case.annotation.labels).mean_dice or 0.0 for labels in (ruled, free)
    ]
    print(f"{case.name}: {skipped:.0%} of {len(asked)} tiles left out, {changed:.0f} voxels changed", flush=True)
    return skipped, changed, dices[0], dices[1]


def in_air(image: Volume) -> Volume:
    """A scan with noisy air around it."""
    padded, _ = grid.pad(image, [n + 2 * MARGIN for n in image.shape], AIR_HU)
    air = np.random.default_rng(0).normal(AIR_HU, NOISE_HU, padded.shape)
    return padded.derive(array=np.where(padded.array <= AIR_HU, air, padded.array).astype(np.int16))


def cut_back(labels: LabelMap, image: Volume) -> LabelMap:
    """Labels on the scan's own grid."""
    inside = tuple(slice(MARGIN, MARGIN + n) for n in image.shape)
    return LabelMap(array=labels.array[inside], affine=image.affine)


if __name__ == "__main__":
    raise SystemExit(main())
