"""An adaptation in a run folder: scans read and named, adapted, and what came of it written."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from napari_ganseg.adaptation.adapting import Adapted, check
from napari_ganseg.adaptation.adapting import work as adapting
from napari_ganseg.adaptation.audit import Audit
from napari_ganseg.adaptation.options import Options
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.models import Model, find_model, save_model
from napari_ganseg.models.file import name_of
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.training.cases import Case, good_cases, scan_folder, with_values, without_copies
from napari_ganseg.training.checkpoint import sweep
from napari_ganseg.training.execution import locked, read_unlabelled, table
from napari_ganseg.training.files import CASES
from napari_ganseg.training.job import Job, finish, read_job
from napari_ganseg.training.outcome import Outcome, write_outcome
from napari_ganseg.training.provenance import Place


def execute(folder: Path, device: str = "") -> Run[Outcome]:
    """Carry out the adaptation that a run folder describes.

    Args:
        folder: holds a job with targets.
        device: instead of the job's.

    Raises:
        UsageError: another process works in the same folder; scans that the model cannot take. Otherwise as `adapt`.
    """
    return Run(lambda controls: work(folder, device, controls))


def work(folder: Path, device: str, controls: Controls) -> Generator[Progress, None, Outcome]:
    """Adapt while nobody else does, then write."""
    with locked(folder):
        job = read_job(folder)
        yield Progress(0, job.steps or Options().steps, "reading the scans")
        model = find_model(job.start)
        cases, target = cases_of(folder, job, model), read_unlabelled(job.targets, len(model.card.channels))
        check(model, cases, target)
        place = Place(folder, device or job.device, data_in_words(job), job.command)
        adapted = yield from adapting(model, cases, target, options_of(job), place, controls)
        return written(adapted, folder, job, model)


def cases_of(folder: Path, job: Job, model: Model) -> list[Case]:
    """The labelled scans that the job names; what became of each pair goes into the run folder.

    Raises:
        UsageError: a folder holds none, or too many cannot be used.
    """
    card = model.card
    scanned = [v for place in job.data for v in scan_folder(place, len(card.channels), card.classes)]
    verdicts = [with_values(v, [c.value for c in card.classes]) for v in without_copies(scanned)]
    write_bytes(folder / CASES, (json.dumps(table(verdicts), indent=1) + "\n").encode())
    return good_cases(verdicts)


def options_of(job: Job) -> Options:
    """What the job changes of the usual options."""
    options = replace(Options(), name=name_of(job.out))
    if job.steps:
        options = replace(options, steps=job.steps)
    return options if job.adversary is None else replace(options, adversary=job.adversary)


def data_in_words(job: Job) -> str:
    """For the card."""
    source, target = (", ".join(Path(d).name for d in places) for places in (job.data, job.targets))
    return f"adapted without labels to {target}, with {source}"


def written(adapted: Adapted, folder: Path, job: Job, model: Model) -> Outcome:
    """The model, if one was made, and what it came to, in their files."""
    outcome = outcome_of(adapted, job, model)
    if adapted.model is not None:
        if job.only_better and not outcome.is_better:
            outcome = replace(outcome, model=str(folder / Path(job.out).name))
        sweep(Path(outcome.model).parent, Path(outcome.model).name)  # of a process that was killed here before
        save_model(Path(outcome.model), adapted.model.card, adapted.model.network)
    write_outcome(folder, outcome)
    finish(folder, Path(outcome.model) if outcome.model else None)
    return outcome


def outcome_of(adapted: Adapted, job: Job, model: Model) -> Outcome:
    """For the person who decides."""
    decision = adapted.decision
    if decision is None:
        return Outcome("", model.card.name, "", (), None, None, False, adapted.verdict, in_words(adapted.audit))
    return Outcome(
        job.out, model.card.name, "held-out source scans that imitate the new ones", decision.classes,
        decision.imitation_before, decision.imitation_after, decision.is_accepted, adapted.verdict,
        f"{in_words(adapted.audit)} Both models agree by {decision.agreement:.2f} in the new scans.",
    )  # fmt: skip


def in_words(audit: Audit) -> str:
    """The audit's figures."""
    return (
        f"Views of one scan agree by {audit.steady_source:.2f} in source scans, {audit.steady_target:.2f} in the new "
        f"ones. Source scans made to look like the new ones: Dice {audit.dice_source:.3f} before, "
        f"{audit.dice_restyled:.3f} restyled."
    )
