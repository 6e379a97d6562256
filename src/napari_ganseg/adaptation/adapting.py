"""Adapt a model to a new scanner without a label of it: audit, restyle, train, decide."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_ganseg.adaptation.appearance import Appearance, appearance, seen
from napari_ganseg.adaptation.audit import Audit, Scans, audit
from napari_ganseg.adaptation.blend import blended
from napari_ganseg.adaptation.decision import Decision, decide
from napari_ganseg.adaptation.division import divided, judging, teaching
from napari_ganseg.adaptation.lessons import as_it_is, lessons, seen_case
from napari_ganseg.adaptation.options import Options, configured
from napari_ganseg.adaptation.words import LEAST_SOURCE, LEAST_TARGET
from napari_ganseg.errors import UsageError
from napari_ganseg.inference.device import choose_device
from napari_ganseg.inference.domain import LEAST_3D, check_fit
from napari_ganseg.io.names import shown
from napari_ganseg.models import Card, Model, find_model
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.training.cases import Case, check_cases, good_cases, scan_folder
from napari_ganseg.training.loop import training
from napari_ganseg.training.progress import noted
from napari_ganseg.training.provenance import Place
from napari_ganseg.volume import Volume


@dataclass(frozen=True, slots=True, eq=False)
class Adapted:
    """What came of an adaptation.

    Attributes:
        audit: what was found before.
        decision: what was found after; None where nothing was trained.
        model: the adapted one, whether it is better or not; None where nothing was trained.
    """

    audit: Audit
    decision: Decision | None = None
    model: Model | None = None

    @property
    def is_better(self) -> bool:
        """Whether the adapted model should replace the original."""
        return self.decision is not None and self.decision.is_accepted

    @property
    def verdict(self) -> str:
        """What came of it, in a sentence or two."""
        if self.decision is None:
            return self.audit.reason
        d = self.decision
        figures = (
            f"Dice {d.imitation_before:.3f} before, {d.imitation_after:.3f} after, on source scans "
            "that imitate the new ones."
        )
        if d.is_accepted:
            return f"Adapted: {figures}"
        return f"Not adapted, the original stays: {'; '.join(d.vetoes)}. {figures}"


def adapt(
    model: str | Path | Model,
    source: Sequence[Case] | str | Path,
    target: Sequence[Volume],
    options: Options | None = None,
    place: Place | None = None,
) -> Run[Adapted]:
    """Adapt a model to scans without labels.

    Iterate it for Progress; `.stop()` ends the training early and decides on what there is, `.cancel()` keeps nothing.
    It assumes that the new scans show patients like the source's: organs of the same shapes and sizes.

    Args:
        model: a name that `list_models` shows, a file, or a loaded Model.
        source: labelled cases like those it was trained on, or their folder.
        target: the new scans, at least two.
        options: how to train.
        place: where it runs.

    Raises:
        UsageError: too few scans, or scans that the model cannot take.
    """
    loaded = model if isinstance(model, Model) else find_model(model)
    card = loaded.card
    if isinstance(source, str | Path):
        source = good_cases(scan_folder(source, len(card.channels), card.classes), [c.value for c in card.classes])
    check(loaded, source, target)
    cases, options, place = list(source), options or Options(), place or Place()
    return Run(lambda controls: work(loaded, cases, target, options, place, controls))


def check(model: Model, source: Sequence[Case], target: Sequence[Volume]) -> None:
    """Raise UsageError unless there is enough of the right kind."""
    if len(source) < LEAST_SOURCE:
        raise UsageError(
            f"Adapting {model.card.name} needs {LEAST_SOURCE} or more labelled scans like those it was trained on; "
            f"{len(source)} came. Without them, label three of the new scans and fine-tune."
        )
    if len(target) < LEAST_TARGET:
        raise UsageError(f"Adapting needs {LEAST_TARGET} or more of the new scans; {len(target)} came.")
    for volume in (*[case.image for case in source], *target):
        if (volume.spatial_ndim, volume.channels) != (model.card.dims, len(model.card.channels)):
            raise UsageError(
                f"{model.card.name} takes {model.card.dims}D scans with {len(model.card.channels)} channel(s); one is "
                f"{volume.spatial_ndim}D with {volume.channels}."
            )
        check_fit(volume, model.card)
    for case in source:
        check_size(case, model.card)
    check_cases(source, model.card)
    if not any(case.annotation.labels.array.any() for case in source):
        raise UsageError(f"Nothing is labelled in the source scans; {model.card.name} can learn nothing from them.")


def check_size(case: Case, card: Card) -> None:
    """Raise UsageError where a source scan is too thin once it is at the model's spacing, as restyled ones are."""
    image = case.image
    least = min(round(n * s / wanted) for n, s, wanted in zip(image.shape, image.spacing_mm, card.spacing, strict=True))
    if card.dims == 3 and least < LEAST_3D:
        raise UsageError(
            f"{shown(case.name)} has only {least} voxel(s) along an axis at {card.name}'s spacing; {LEAST_3D} are "
            "needed. Leave it out."
        )


def work(
    model: Model, source: Sequence[Case], target: Sequence[Volume], options: Options, place: Place, controls: Controls
) -> Generator[Progress, None, Adapted]:
    """Audit; where it says so, train and decide."""
    config = configured(model.card, options)
    device = str(choose_device(place.device))
    scans, found = yield from noted(audited(model, source, target, config.steps, device, controls), place.folder)
    if found.verdict != "adapt":
        return Adapted(found)
    learnt, judged = divided(scans.source, options.patient_until)
    cases = [*taught_cases(learnt, scans, model, options), *[judging(as_it_is(c, model.card)) for c in judged]]
    where = replace(place, parent=model, unlabelled=tuple(target))
    trained = yield from training(cases, config, where)(controls)
    result = blended(model, trained.model, options.share)
    decision = yield from noted(decided(model, result, scans, judged, device, controls), place.folder)
    return Adapted(found, decision, with_words(result, learnt, judged, target))


def audited(
    model: Model, source: Sequence[Case], target: Sequence[Volume], steps: int, device: str, controls: Controls
) -> Generator[Progress, None, tuple[Scans, Audit]]:
    """What the scans look like, and what follows from it."""
    yield Progress(0, steps, f"looking at {len(source)} source scans and {len(target)} new ones")
    scans = looked_at(model, source, target, controls)
    return scans, (yield from audit(model, scans, device, controls))


def decided(
    model: Model, result: Model, scans: Scans, judged: Sequence[Case], device: str, controls: Controls
) -> Generator[Progress, None, Decision]:
    """Compare both models where no training looked."""
    yield Progress(0, 0, "deciding without labels")
    names = {case.name for case in judged}
    places = [i for i, case in enumerate(scans.source) if case.name in names]
    return decide(model, result, scans, places, device, controls)


def looked_at(model: Model, source: Sequence[Case], target: Sequence[Volume], controls: Controls) -> Scans:
    """What every scan looks like; ends early where the user cancels."""
    cases, looks = [], []
    for case in source:
        controls.check()
        cases.append(seen_case(case, model.card))
        looks.append(look_of(cases[-1].image, model.card))
    new = [seen(volume, model.card) for volume in target]
    return Scans(cases, new, looks, [look_of(volume, model.card) for volume in new])


def look_of(volume: Volume, card: Card) -> Appearance:
    """What a scan looks like; where grey values have an absolute meaning, its shading is the body's."""
    return appearance(volume, is_shaded=card.preprocessing.kind == "z_score")


def taught_cases(learnt: Sequence[Case], scans: Scans, model: Model, options: Options) -> list[Case]:
    """What the training learns from."""
    if options.restyle:
        return lessons(learnt, scans.target_looks, model.card, options.seed)
    return [teaching(as_it_is(case, model.card)) for case in learnt]


def with_words(model: Model, learnt: Sequence[Case], judged: Sequence[Case], target: Sequence[Volume]) -> Model:
    """The model, its card saying in words who taught and who judged."""
    words = f"{len(learnt)} source scans taught, {len(judged)} judged; {len(target)} new ones without labels"
    card = replace(model.card, provenance=replace(model.card.provenance, split=words))
    return Model(card, model.network, model.sha256)
