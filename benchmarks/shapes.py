"""Is a network a third as costly as good? The hippocampus at equal steps and at equal time, by calibration patients.

python -m benchmarks.shapes --run      # what is missing, run by run; several may do so at once
python -m benchmarks.shapes --report   # exits 0 when all runs are there; its last line says which network is kept

The costlier one is the shipped DynUNet, whose first layers keep the full resolution; the cheap one a UNet whose first
convolution already strides. A run learns from the patients of the pool and is judged by fold 1, last average, no
checkpoint picked; fold 0 takes no part.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from benchmarks.accuracy.bootstrap import Interval, paired
from benchmarks.accuracy.runs import measured, trained
from benchmarks.accuracy.studies import CALIBRATION, TEST, all_cases, hippocampus, of_fold, recipe
from benchmarks.record import add_line, described, lines
from benchmarks.work import listed, wish, work
from napari_ganseg.networks import Arch, build_generator
from napari_ganseg.training import fit
from napari_ganseg.training.provenance import Place

RECORD, FOLDER = Path("docs/benchmarks/shapes.jsonl"), Path("runs/shapes")
COSTLY, CHEAP, LONGER = "shipped", "strides first", "strides first, as long by the clock"
STEPS, BATCH, SEEDS, RATE, WORTH = 1000, 2, 2, 3e-3, 0.005  # WORTH: Dice that the cheap one may lose at equal time
STRIDED = Arch("UNet", (32, 64, 128, 256), ((2, 2, 2),) * 3)
Line = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """List, run or report."""
    options = wish(arguments, "benchmarks.shapes", __doc__)
    if options.report:
        return report()
    return listed(missing()) if options.list else work(ready, carried_out, FOLDER, options.minutes)


def carried_out(entry: tuple[str, int]) -> str:
    """Carry out a run; what came of it."""
    line = carry_out(*entry)
    return f"calibration {dice_of(line):.4f}, {line['cpu_s']:.0f} s"


def ready() -> list[tuple[str, int]]:
    """Those that may begin: the longer one once its steps are known."""
    return [entry for entry in missing() if steps_of(*entry)]


def missing() -> list[tuple[str, int]]:
    """Networks and seeds that no line is of."""
    done = {(line["network"], line["seed"]) for line in lines(RECORD)}
    return [(n, seed) for seed in range(SEEDS) for n in (COSTLY, CHEAP, LONGER) if (n, seed) not in done]


def steps_of(name: str, seed: int) -> int:
    """Steps of a run; of the longer one so many as the shipped network's time allows, 0 while that is not known."""
    if name != LONGER:
        return STEPS
    took = {line["network"]: line["cpu_s"] for line in lines(RECORD) if line["seed"] == seed}
    return round(STEPS * took[COSTLY] / took[CHEAP]) if {COSTLY, CHEAP} <= took.keys() else 0


def carry_out(name: str, seed: int) -> Line:
    """Train, measure the calibration patients, keep a line."""
    study, base = hippocampus(), recipe("hippocampus-mri")
    cases = all_cases(study.folder)
    judged = of_fold(study, cases, CALIBRATION)
    learnt = [case for case in cases if study.fold(case.name) not in (TEST, CALIBRATION)]
    arch = base.card.arch if name == COSTLY else STRIDED
    steps = steps_of(name, seed)
    config = replace(
        base, card=replace(base.card, name="shape", arch=arch), seed=seed, steps=steps, validate_every=steps,
        batch_size=BATCH, learning_rate=RATE,
    )  # fmt: skip
    place = Place(device="cpu", data=study.folder, command="python -m benchmarks.shapes --run")
    model, cpu_s = trained(fit([*learnt, *judged], config, place))
    made = described(model.card)
    line = {
        "network": name, "seed": seed, "steps": steps, "cpu_s": round(cpu_s, 1), "tile_s": tile_s(arch),
        "calibration": dict(measured(study, judged, model)),
        "command": made["command"], "machine": made["machine"], "date": made["date"],
    }  # fmt: skip
    add_line(line, RECORD)
    return line


def tile_s(arch: Arch) -> float:
    """Processor seconds of a tile of 96 x 96 x 96 in bfloat16, the best of three."""
    network = build_generator(arch, dims=3, in_channels=1, out_channels=3).eval()
    tile, found = torch.zeros(1, 1, 96, 96, 96), []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for _ in range(4):
            began = time.process_time()
            network(tile)
            found.append(time.process_time() - began)
    return round(min(found[1:]), 3)


def report() -> int:
    """One row per network; what the cheap one loses."""
    print("| network | Dice, calibration | steps | processor seconds of the training | of a tile |")
    print("| --- | --- | --- | --- | --- |")
    for name in (COSTLY, CHEAP, LONGER):
        of = [line for line in lines(RECORD) if line["network"] == name]
        if of:
            steps, cpu, tile = (round(fmean(line[key] for line in of), 3) for key in ("steps", "cpu_s", "tile_s"))
            print(f"| {name} | {fmean(map(dice_of, of)):.4f} | {steps:.0f} | {cpu:.0f} | {tile} |")
    left = missing()
    if left:
        print(f"{len(left)} runs wait")
        return 1
    losses = {name: less(name) for name in (CHEAP, LONGER)}
    told = ", ".join(f"{name} {loss}" for name, loss in losses.items())
    kept = CHEAP if losses[LONGER].low > -WORTH else COSTLY
    print(f"less {COSTLY}: {told}; kept: {kept}")
    return 0


def less(name: str) -> Interval:
    """Dice of a network less the shipped one's, paired by seed and patient."""
    found = []
    for seed in range(SEEDS):
        one, other = (next(x for x in lines(RECORD) if (x["network"], x["seed"]) == (n, seed)) for n in (name, COSTLY))
        pairs = zip(one["calibration"].values(), other["calibration"].values(), strict=True)
        found.append([a["dice"] - b["dice"] for a, b in pairs])
    return paired(found)


def dice_of(line: Line) -> float:
    """Mean over the calibration patients."""
    return fmean(case["dice"] for case in line["calibration"].values())


if __name__ == "__main__":
    raise SystemExit(main())
