"""A shift that nobody made: the hippocampus scans come in two families of grey values, bytes and large floats.

python -m benchmarks.families --run      # trains on one family, adapts to the other, both ways; what is missing
python -m benchmarks.families --report   # exits 0 when the product costs at most 0.01 Dice either way
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import nibabel as nib
import numpy as np

from benchmarks.accuracy.runs import measured
from benchmarks.accuracy.studies import TEST, Study, all_cases, hippocampus
from benchmarks.record import add_line, lines, machine
from benchmarks.work import listed, wish, work
from napari_ganseg.adaptation import adapt
from napari_ganseg.adaptation.options import Options
from napari_ganseg.io.stored import StoredGrid
from napari_ganseg.models import Model, load_model, save_model
from napari_ganseg.training import Case, fit
from napari_ganseg.training.provenance import Place

RECORD, FOLDER = Path("docs/benchmarks/families.jsonl"), Path("runs/families")
WAYS = {"bytes": "floats", "floats": "bytes"}  # trained on, adapted to
SEEDS, MOST_NEW, MOST_COST = 3, 20, 0.01
Line = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """List, run or report."""
    options = wish(arguments, "benchmarks.families", __doc__)
    if options.report:
        return report()
    return listed(missing()) if options.list else work(ready, carried_out, FOLDER, options.minutes)


def carried_out(entry: tuple[str, int]) -> str:
    """Carry out a run; what came of it."""
    line = carry_out(hippocampus(), *entry)
    return f"{line['verdict']} {change(line):+.4f}, {line['cpu_s']:.0f} s"


def missing() -> list[tuple[str, int]]:
    """Families and seeds that no line is of."""
    done = {(line["source"], line["seed"]) for line in lines(RECORD)}
    return [(source, seed) for source in WAYS for seed in range(SEEDS) if (source, seed) not in done]


def ready() -> list[tuple[str, int]]:
    """Those that may begin: the first of a family trains its model."""
    left = missing()
    first = {source: min(seed for s, seed in left if s == source) for source, _ in left}
    return [(source, seed) for source, seed in left if seed == first[source] or path_of(source).exists()]


def family(case: Case) -> str:
    """Which family a scan is of, by the type of its stored numbers."""
    assert isinstance(case.image.stored, StoredGrid)
    kind: np.dtype[Any] = nib.load(case.image.stored.path).get_data_dtype()  # type: ignore[attr-defined]
    return "bytes" if kind.itemsize == 1 else "floats"


def carry_out(study: Study, source: str, seed: int) -> Line:
    """Adapt a model of one family to scans of the other, as the product does; keep a line."""
    began = time.process_time()
    cases = all_cases(study.folder)
    own = [case for case in cases if family(case) == source]
    other = [case for case in cases if family(case) == WAYS[source]]
    model = model_of(study, source, own)
    learnt, unseen = ([case for case in of if study.fold(case.name) != TEST] for of in (own, other))
    order = np.random.default_rng([seed, 9]).permutation(len(unseen))[:MOST_NEW]
    came = adapt(model, learnt, [unseen[i].image for i in order], Options(seed=seed), Place(device="cpu")).result
    new, old = ([case for case in of if study.fold(case.name) == TEST] for of in (other, own))
    line = {
        "source": source, "target": WAYS[source], "seed": seed, "audit": came.audit.verdict, "verdict": came.verdict,
        "decision": asdict(came.decision) if came.decision else None, "is_better": came.is_better,
        "before": dices(study, new, model), "source_before": dices(study, old, model),
        "after": dices(study, new, came.model) if came.model else None,
        "source_after": dices(study, old, came.model) if came.model else None,
        "cpu_s": round(time.process_time() - began, 1), "command": "python -m benchmarks.families --run",
        "machine": machine(), "date": time.strftime("%Y-%m-%d"),
    }  # fmt: skip
    add_line(line, RECORD)
    return line


def model_of(study: Study, source: str, own: Sequence[Case]) -> Model:
    """A network trained on one family, its last average; the test patients take no part."""
    path = path_of(source)
    if not path.exists():
        learnt = [case for case in own if study.fold(case.name) != TEST]
        card = replace(study.config.card, name=source)
        model = fit(learnt, replace(study.config, card=card), Place(device="cpu", data=study.folder)).result
        save_model(path, model.card, model.network)
    return load_model(path)


def path_of(source: str) -> Path:
    """Where the model of a family lies."""
    return FOLDER / f"{source}.ganseg.safetensors"


def dices(study: Study, cases: Sequence[Case], model: Model) -> dict[str, float]:
    """Dice of each patient."""
    return {patient: figures["dice"] for patient, figures in measured(study, cases, model)}


def report() -> int:
    """One row per run, and what the product cost at worst."""
    found = lines(RECORD)
    print(
        "| trained on | adapted to | seed | audit | what came of it | Dice there, before | after | of its own family |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for line in found:
        told = "adapted" if line["is_better"] else "kept" if line["decision"] else "untouched"
        after = f"{fmean(line['after'].values()):.4f}" if line["after"] else "-"
        told_of = (line["source"], line["target"], line["seed"], line["audit"], told)
        before, own = (f"{fmean(line[part].values()):.4f}" for part in ("before", "source_before"))
        print("|", " | ".join(map(str, (*told_of, before, after, own))), "|")
    worst = min((change(line) for line in found), default=0.0)
    print(
        f"{len(missing())} runs wait; at worst the product changed the Dice by {worst:+.4f} (at most {MOST_COST} lost)"
    )
    return 0 if not missing() and worst >= -MOST_COST else 1


def change(line: Line) -> float:
    """What a user ends up with, less what they had: the smaller of both families' means."""
    if not line["is_better"]:
        return 0.0
    pairs = (("before", "after"), ("source_before", "source_after"))
    return min(fmean(line[b].values()) - fmean(line[a].values()) for a, b in pairs)


if __name__ == "__main__":
    raise SystemExit(main())
