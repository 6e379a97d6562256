"""One run: train an arm, measure its last average on calibration and test patients, write one line."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.arms import configured, shuffled_pairs
from benchmarks.accuracy.studies import CALIBRATION, EVERY, FEW, LAST, TEST, Study, divided, of_fold
from benchmarks.record import add_line, described, lines
from napari_ganseg.inference import segment
from napari_ganseg.metrics import evaluate
from napari_ganseg.metrics.scores import Figure
from napari_ganseg.models import Model
from napari_ganseg.run import Run
from napari_ganseg.training import Case, fit
from napari_ganseg.training.config import TrainConfig
from napari_ganseg.training.provenance import Place

RECORD = Path("docs/benchmarks/accuracy.jsonl")
FOLDER = Path("runs/accuracy")
FIGURES: tuple[Figure, ...] = ("dice", "hd95_mm", "nsd")
Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A run that is wanted."""

    study: str
    labels: int
    arm: str
    seed: int

    def __str__(self) -> str:
        return f"{self.study}-{self.labels}-{self.arm.replace(' ', '_')}-{self.seed}"

    def is_line(self, line: Line) -> bool:
        """Whether a line is of this run."""
        return (line["study"], line["labels"], line["arm"], line["seed"]) == (
            self.study, self.labels, self.arm, self.seed,
        )  # fmt: skip


def wanted(study: Study) -> list[Entry]:
    """Every run of a study: the claim's budget first, seed by seed."""
    return [
        Entry(study.name, labels, arm, seed)
        for labels in sorted(study.arms, key=lambda n: n != FEW)
        for seed in range(study.seeds)
        for arm in study.arms[labels]
    ]


def waiting(studies: Sequence[Study], record: Path = RECORD) -> list[Entry]:
    """Runs that no line is of."""
    done = lines(record)
    return [e for study in studies for e in wanted(study) if not any(e.is_line(line) for line in done)]


def ready(chosen: Sequence[Study], record: Path = RECORD) -> list[Entry]:
    """Those that may begin: equal time only once the arms that it is equal to are done."""
    left = waiting(chosen, record)
    others = {(e.study, e.labels, e.seed) for e in left if e.arm not in (LAST, EVERY)}
    return [e for e in left if e.arm != LAST or (e.study, e.labels, e.seed) not in others]


def carry_out(entry: Entry, study: Study, cases: Sequence[Case], record: Path = RECORD) -> Line:
    """Train, measure, record; a run that is killed, minutes long, begins anew."""
    labelled, unlabelled = divided(study, cases, entry.labels, entry.seed)
    if entry.arm == EVERY:
        labelled, unlabelled = [*labelled, *unlabelled], []
    config = seeded(configured(study.config, entry.arm), entry, record)
    images = [case.image for case in unlabelled] if config.unlabelled.is_used else []
    place = Place(device="cpu", data=study.folder, command="python -m benchmarks.accuracy --run", unlabelled=images)
    with shuffled_pairs(entry.arm):
        model, cpu_s = trained(fit([*labelled, *of_fold(study, cases, CALIBRATION)], config, place))
    line = line_of(entry, study, cases, model, cpu_s)
    line |= {"steps": config.steps, "learnt_from": sorted({study.patient(c.name) for c in labelled})}
    add_line(line, record)
    return line


def trained(run: Run[Model]) -> tuple[Model, float]:
    """The model, and the processor seconds of its steps alone: what comes before and after is the same in every arm."""
    times = [time.process_time() for progress in run if progress.doing == "training"]
    return run.result, times[-1] - times[0]


def seeded(config: TrainConfig, entry: Entry, record: Path) -> TrainConfig:
    """The configuration of a seed; as many steps more as the costliest arm took longer, where time shall be equal."""
    config = replace(config, seed=entry.seed)
    if entry.arm != LAST:
        return config
    same = [e for e in lines(record) if (e["study"], e["labels"], e["seed"]) == (entry.study, entry.labels, entry.seed)]
    plain = next(line["cpu_s"] for line in same if line["arm"] == "supervised")
    steps = round(config.steps * max(line["cpu_s"] for line in same) / plain)
    return replace(config, steps=steps, validate_every=steps)


def line_of(entry: Entry, study: Study, cases: Sequence[Case], model: Model, cpu_s: float) -> Line:
    """What is kept of a run."""
    made = described(model.card)
    state = model.card.adversary
    return {
        "study": entry.study, "labels": entry.labels, "arm": entry.arm, "seed": entry.seed,
        "cpu_s": round(cpu_s, 1), "parameters": sum(p.numel() for p in model.network.parameters()),
        "lambda_share": state.lambda_share, "auroc": state.auroc, "gradient_ratio": state.gradient_ratio,
        "calibration": dict(measured(study, of_fold(study, cases, CALIBRATION), model)),
        "test": dict(measured(study, of_fold(study, cases, TEST), model)),
        "data": made["data"], "command": made["command"], "machine": made["machine"], "date": made["date"],
    }  # fmt: skip


def measured(study: Study, cases: Sequence[Case], model: Model) -> Iterator[tuple[str, dict[str, float]]]:
    """Dice, HD95 in millimetres and surface Dice at 1 mm of each patient: means over images of means over classes."""
    found: dict[str, list[tuple[float, ...]]] = {}
    for case in cases:
        scores = evaluate(segment(case.image, model, device="cpu"), case.annotation.labels, tolerance_mm=1.0)
        figures = tuple(scores.mean(name) or 0.0 for name in FIGURES)
        found.setdefault(study.patient(case.name), []).append(figures)
    for patient, rows in found.items():
        yield patient, {n: round(float(v), 4) for n, v in zip(FIGURES, np.mean(rows, axis=0), strict=True)}
