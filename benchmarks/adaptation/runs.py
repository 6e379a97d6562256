"""One run: adapt to one scanner by one arm, measure on the test patients, write one line."""

from __future__ import annotations

import functools
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks.accuracy.studies import CALIBRATION, all_cases, of_fold
from benchmarks.adaptation.entropy import sharpened
from benchmarks.adaptation.scanners import SCANNERS, STRONG, Scanner
from benchmarks.adaptation.studies import (
    ADAPTING,
    ARMS,
    Parts,
    Study,
    default_arm,
    evenly,
    images,
    labelled,
    parts,
    studies,
)
from benchmarks.record import add_line, lines, machine
from napari_ganseg.adaptation.adapting import looked_at, taught_cases
from napari_ganseg.adaptation.audit import Scans, audit
from napari_ganseg.adaptation.blend import blended
from napari_ganseg.adaptation.decision import decide
from napari_ganseg.adaptation.division import divided, judging, teaching
from napari_ganseg.adaptation.lessons import as_it_is
from napari_ganseg.adaptation.options import configured
from napari_ganseg.inference import segment
from napari_ganseg.metrics import evaluate
from napari_ganseg.models import Model, find_model
from napari_ganseg.run import Controls, Progress
from napari_ganseg.training.cases import Case
from napari_ganseg.training.loop import training
from napari_ganseg.training.provenance import Place

RECORD = Path("docs/benchmarks/adaptation.jsonl")
FOLDER = Path("runs/adaptation")
SEVERITIES, LEAST_LOSS, TRIED = (0.5, 1.0, 1.5, 2.0, 3.0), 0.05, 40
AUDIT, SEVERITY = "audit", "severity"
CLAIMED = ("teacher", "adversary")  # what a user gets, and what an adversary adds to it
Line = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """A run that is wanted."""

    study: str
    scanner: str
    arm: str
    seed: int

    def __str__(self) -> str:
        return "-".join((self.study, self.scanner, self.arm, str(self.seed))).replace(" ", "_")

    def is_line(self, line: Line) -> bool:
        """Whether a line is of this run."""
        return all(line[key] == value for key, value in asdict(self).items())


def wanted(study: Study) -> list[Entry]:
    """Every run of a study: severities, what the claims rest on, then the other arms; each seed by seed."""
    first = [Entry(study.name, scanner, SEVERITY, 0) for scanner in STRONG]
    nothing = [Entry(study.name, scanner, "do nothing", 0) for scanner in STRONG]
    arms = [arm for arm in ARMS if arm != "do nothing"]
    claimed, others = [arm for arm in arms if arm in CLAIMED], [arm for arm in arms if arm not in CLAIMED]
    rest = []
    for group in (claimed, others):
        for seed in range(study.seeds):
            rest += [Entry(study.name, scanner, AUDIT, seed) for scanner in SCANNERS if group is claimed]
            rest += [Entry(study.name, scanner, arm, seed) for arm in group for scanner in STRONG]
    return [*first, *nothing, *rest]


def waiting(chosen: Sequence[Study], record: Path = RECORD) -> list[Entry]:
    """Runs that no line is of."""
    done = lines(record)
    left = [e for study in chosen for e in (*wanted(study), *asked_for(study, done))]
    return [e for e in left if not any(e.is_line(line) for line in done)]


def ready(chosen: Sequence[Study], record: Path = RECORD) -> list[Entry]:
    """Those that may begin: severities come before all else of a study."""
    left = waiting(chosen, record)
    unready = {entry.study for entry in left if entry.arm == SEVERITY}
    return [entry for entry in left if entry.arm == SEVERITY or entry.study not in unready]


def asked_for(study: Study, done: Sequence[Line]) -> list[Entry]:
    """What the product does where nobody expects it to adapt, if the audit says so all the same."""
    entries = []
    for line in done:
        is_own = line["study"] == study.name and line["arm"] == AUDIT and line["scanner"] not in STRONG
        if is_own and line["audit"]["verdict"] == "adapt":
            entries.append(Entry(study.name, line["scanner"], "do nothing", 0))
            entries.append(Entry(study.name, line["scanner"], default_arm(), line["seed"]))
    return entries


def carry_out(entry: Entry, study: Study, record: Path = RECORD) -> list[Line]:
    """Do it and record it: one line, or one per scanner where an arm does not depend on it."""
    began = time.process_time()
    if entry.arm == SEVERITY:
        found = [(entry.scanner, severity(study, SCANNERS[entry.scanner]))]
    elif entry.arm == "same steps":
        found = same_steps(entry, study, record)
    else:
        found = [(entry.scanner, adapted(entry, study, scanner_of(entry, record)))]
    cpu_s = round(time.process_time() - began, 1)
    made = {"cpu_s": cpu_s, "model": study.model, "command": "python -m benchmarks.adaptation --run",
            "machine": machine(), "date": time.strftime("%Y-%m-%d")}  # fmt: skip
    written = [{**asdict(entry), "scanner": scanner, **told, **made} for scanner, told in found]
    for line in written:
        add_line(line, record)
    return written


def same_steps(entry: Entry, study: Study, record: Path) -> list[tuple[str, Line]]:
    """Trained once on the source as it is, measured under every scanner."""
    model, of_seed = find_model(study.model), parts(study, entry.seed)
    scans = scans_of(study.name, SCANNERS["no shift"], entry.seed)
    trained, _ = trained_arm(entry, study, model, scans, of_seed, of_seed.new)
    source, found = measured(study, trained, of_seed.test, None), []
    for name in STRONG:
        scanner = scanner_of(replace(entry, scanner=name), record)
        target = measured(study, trained, of_seed.test, scanner)
        found.append((name, {"severity": scanner.severity, "target": target, "source": source}))
    return found


def severity(study: Study, scanner: Scanner) -> Line:
    """The smallest severity at which the shipped model loses enough on calibration patients, and what it loses."""
    model = find_model(study.model)
    cases = evenly(of_fold(study.data, all_cases(study.data.folder), CALIBRATION), TRIED)
    usual, losses = mean_of(measured(study, model, cases, None)), {}
    for value in SEVERITIES:
        losses[str(value)] = round(usual - mean_of(measured(study, model, cases, replace(scanner, severity=value))), 4)
        if losses[str(value)] >= LEAST_LOSS:
            break
    return {"severity": value, "losses": losses}


def scanner_of(entry: Entry, record: Path) -> Scanner:
    """The scanner at the severity on record."""
    known = [e for e in lines(record) if (e["study"], e["scanner"], e["arm"]) == (entry.study, entry.scanner, SEVERITY)]
    scanner = SCANNERS[entry.scanner]
    return replace(scanner, severity=known[-1]["severity"]) if known else scanner


def adapted(entry: Entry, study: Study, scanner: Scanner) -> Line:
    """What an arm reaches on the test patients: under the new scanner, and as they were."""
    model, of_seed = find_model(study.model), parts(study, entry.seed)
    new = [shown_by(scanner, case) for case in of_seed.new]
    found: Line = {"severity": scanner.severity}
    if entry.arm == AUDIT:
        scans = scans_of(study.name, scanner, entry.seed)
        return found | {"audit": asdict(ended(audit(model, scans, "cpu", Controls())))}
    if entry.arm == "entropy":
        target = images(evenly(new, study.most_target))
        result = sharpened(model, target, study.options(entry.arm, entry.seed).steps, entry.seed)
    elif entry.arm == "do nothing":
        result = model
    else:
        scans = scans_of(study.name, scanner, entry.seed)
        result, told = trained_arm(entry, study, model, scans, of_seed, new)
        found |= told
        if entry.arm in ADAPTING:
            found["decision"] = asdict(decision_on(entry, study, model, scans, result))
    if result is None:
        return found | {"target": None, "source": None}
    return found | {"target": measured(study, result, of_seed.test, scanner),
                    "source": measured(study, result, of_seed.test, None)}  # fmt: skip


@functools.lru_cache(maxsize=5)
def scans_of(name: str, scanner: Scanner, seed: int) -> Scans:
    """Source and new scans of a seed, looked at once for all arms."""
    study, of_seed = studies()[name], parts(studies()[name], seed)
    new = [shown_by(scanner, case) for case in of_seed.new]
    return looked_at(find_model(study.model), of_seed.source, images(evenly(new, study.most_target)), Controls())


def shown_by(scanner: Scanner, case: Case) -> Case:
    """A case as a scanner shows it."""
    return replace(case, image=scanner.scan(case.image, case.name))


def trained_arm(
    entry: Entry, study: Study, model: Model, scans: Scans, of_seed: Parts, new: Sequence[Case]
) -> tuple[Model, Line]:
    """Train an arm, and what its discriminator did."""
    options = study.options(entry.arm, entry.seed)
    config = configured(model.card, options)
    learnt, judged = divided(scans.source, options.patient_until)
    if entry.arm.startswith("labels of"):
        taught = [teaching(case) for case in labelled(study, new, int(entry.arm.split()[-1]))]
    else:
        taught = taught_cases(learnt, scans, model, options)
    place = Place(device="cpu", parent=model, unlabelled=images(evenly(new, study.most_target)))
    cases = [*taught, *[judging(as_it_is(case, model.card)) for case in judged]]
    work = training(cases, config, place)(Controls())
    spoke: list[dict[str, float]] = []
    trained = ended(work, lambda p: spoke.append(dict(p.figures)) if p.doing == "training" else None)
    accuracies = [f["d2_accuracy"] for f in spoke if "d2_accuracy" in f]
    told = {
        "lambda2_share": round(float(np.mean(["lambda2" in f for f in spoke])), 3),
        "d2_accuracy": round(float(np.mean(accuracies)), 3) if accuracies else None,
    }
    return blended(model, trained.model, options.share), told


def decision_on(entry: Entry, study: Study, model: Model, scans: Scans, result: Model) -> Any:
    """What the product would decide."""
    _, judged = divided(scans.source, study.options(entry.arm, entry.seed).patient_until)
    names = {case.name for case in judged}
    places = [i for i, case in enumerate(scans.source) if case.name in names]
    return decide(model, result, scans, places, "cpu", Controls())


def ended(work: Generator[Progress, None, T], told: Any = lambda _: None) -> T:
    """Run to the end."""
    while True:
        try:
            told(next(work))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def measured(study: Study, model: Model, cases: Sequence[Case], scanner: Scanner | None) -> dict[str, float]:
    """Mean Dice of each patient, under a scanner or as the scans are."""
    found: dict[str, list[float]] = {}
    for case in cases:
        image = scanner.scan(case.image, case.name) if scanner else case.image
        dice = evaluate(segment(image, model, device="cpu"), case.annotation.labels).mean_dice
        if dice is not None:
            found.setdefault(study.data.patient(case.name), []).append(dice)
    return {patient: round(float(np.mean(dices)), 4) for patient, dices in found.items()}


def mean_of(dices: dict[str, float]) -> float:
    """Over patients."""
    return float(np.mean(list(dices.values())))
