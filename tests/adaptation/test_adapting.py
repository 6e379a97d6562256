"""Adapting a model to scans without labels, from the audit to the decision, on ellipses that train in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import HU, bands_model, blob_case, random_model
from scipy.ndimage import gaussian_filter

from napari_ganseg.adaptation import Adapted, Options, adapt
from napari_ganseg.adaptation.agreement import consistency, found
from napari_ganseg.adaptation.division import divided
from napari_ganseg.errors import Cancelled, UsageError
from napari_ganseg.io import write
from napari_ganseg.models import Model
from napari_ganseg.models.file import digest
from napari_ganseg.networks import weights_of
from napari_ganseg.run import Controls, Run
from napari_ganseg.training import Case
from napari_ganseg.training.config import fold_of
from napari_ganseg.training.progress import read_progress
from napari_ganseg.training.provenance import Place
from napari_ganseg.volume import Volume, identity_affine

AUDIT, DECISION = (import_module(f"napari_ganseg.adaptation.{name}") for name in ("audit", "decision"))
SHORT = Options(steps=8)
CPU = Place(device="cpu")


def sha256(model: Model | None) -> str:
    assert model is not None
    return digest(b"", weights_of(model.network.requires_grad_(False)))


def noisy(volume: Volume) -> Volume:
    added = np.random.default_rng(3).normal(0, 30, volume.array.shape)
    return volume.derive(array=(volume.array + added).astype(np.float32))


def inverted(volume: Volume) -> Volume:
    return volume.derive(array=100 - volume.array)


def gamma(volume: Volume) -> Volume:
    return volume.derive(array=100 * np.clip((volume.array + 30) / 150, 0, 1) ** 2)


def dull(volume: Volume) -> Volume:
    """Gamma, blur and noise."""
    return noisy(volume.derive(array=gaussian_filter(gamma(volume).array, 1.0)))


def until(run: Run[Adapted], doing: str, done: int = 0) -> None:
    """Iterate up to a word, then drop the run as a kill would."""
    for progress in run:
        if progress.doing.startswith(doing) and progress.done >= done:
            return
    raise AssertionError(f"it never said {doing}")


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """The audit and the decision try the model on two scans of each kind."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (AUDIT, DECISION):
            patch.setattr(module, "LOOKED_AT", 2)
        patch.setattr(DECISION, "JUDGED_BY", 2)
        yield


@pytest.fixture(scope="module")
def target(fresh: list[Volume]) -> list[Volume]:
    """A noisier scanner."""
    return [noisy(volume) for volume in fresh]


@dataclass(frozen=True)
class Whole:
    """An adaptation that nobody interrupted, what it said, and the original before it."""

    adapted: Adapted
    said: list[str]
    original: str


@pytest.fixture(scope="module")
def whole(few: None, model: Model, source: list[Case], target: list[Volume]) -> Whole:
    before, run = sha256(model), adapt(model, source, target, SHORT, CPU)
    said = [progress.doing for progress in run]
    return Whole(run.result, said, before)


def test_scans_of_the_same_scanner_are_left_alone(model: Model, source: list[Case], fresh: list[Volume]) -> None:
    adapted = adapt(model, source, fresh, SHORT, CPU).result
    assert adapted.audit.verdict == "nothing to adapt"
    assert (adapted.model, adapted.decision, adapted.is_better) == (None, None, False)
    assert adapted.verdict == adapted.audit.reason


def test_inverted_scans_are_refused(model: Model, source: list[Case], fresh: list[Volume]) -> None:
    adapted = adapt(model, source, [inverted(v) for v in fresh], SHORT, CPU).result
    assert adapted.audit.verdict == "too far"
    assert adapted.model is None
    assert adapted.verdict.startswith("Too far from what the model knows: what is bright in the source scans is dark")


def test_the_same_scans_in_source_and_target_are_left_alone(model: Model, source: list[Case]) -> None:
    adapted = adapt(model, source, [case.image for case in source[:3]], SHORT, CPU).result
    assert adapted.audit.verdict == "nothing to adapt"


def test_noisy_scans_are_learnt_from_and_decided_about(whole: Whole) -> None:
    made = whole.adapted
    assert made.audit.verdict == "adapt"
    assert made.decision is not None
    assert made.model is not None
    assert made.model.card.name == "tiny-adapted"
    assert made.model.card.provenance.split == "4 source scans taught, 4 judged; 3 new ones without labels"
    assert made.is_better is made.decision.is_accepted
    assert made.verdict.startswith("Adapted: Dice" if made.is_better else "Not adapted, the original stays: ")
    assert made.decision.source_before > 0.6


def test_gamma_blur_and_noise_come_to_a_verdict(model: Model, source: list[Case], fresh: list[Volume]) -> None:
    adapted = adapt(model, source, [dull(v) for v in fresh], replace(SHORT, steps=2), CPU).result
    assert (adapted.decision is None) is (adapted.audit.verdict != "adapt")
    assert adapted.audit.grey_values >= 0.9


def test_the_original_stays_bit_for_bit(model: Model, whole: Whole) -> None:
    assert sha256(model) == whole.original != sha256(whole.adapted.model)
    assert model.card.name == "tiny"


def test_the_seed_decides(model: Model, source: list[Case], target: list[Volume], whole: Whole) -> None:
    torch.rand(3)  # what others do with random numbers changes nothing
    images = [v.array.copy() for v in (*target, *[c.image for c in source])]
    again, other = (adapt(model, source, target, replace(SHORT, seed=seed), CPU).result.model for seed in (0, 1))
    assert sha256(again) == sha256(whole.adapted.model) != sha256(other)
    assert all(map(np.array_equal, images, [v.array for v in (*target, *[c.image for c in source])]))


@pytest.mark.parametrize(("doing", "done"), [("training", 3), ("deciding", 0)])
def test_a_killed_adaptation_goes_on_to_the_same_weights(
    tmp_path: Path, model: Model, source: list[Case], target: list[Volume], whole: Whole, doing: str, done: int
) -> None:
    place = replace(CPU, folder=tmp_path)
    until(adapt(model, source, target, SHORT, place), doing, done)
    resumed = adapt(model, source, target, SHORT, place).result
    assert sha256(resumed.model) == sha256(whole.adapted.model)
    assert resumed.decision == whole.adapted.decision
    assert [p.done for p in read_progress(tmp_path)[0] if p.doing == "validated"] == [2, 4, 6, 8]


def test_another_adaptation_in_the_same_folder_is_refused(
    tmp_path: Path, model: Model, source: list[Case], target: list[Volume]
) -> None:
    place = replace(CPU, folder=tmp_path)
    until(adapt(model, source, target, SHORT, place), "training")
    with pytest.raises(UsageError, match="holds another training: steps is 8 there and 9 now"):
        list(adapt(model, source, target, replace(SHORT, steps=9), place))


@pytest.mark.parametrize("doing", ["looking at", "training", "deciding"])
def test_cancel_keeps_nothing(model: Model, source: list[Case], target: list[Volume], doing: str) -> None:
    run = adapt(model, source, target, replace(SHORT, steps=2), CPU)
    until(run, doing)
    run.cancel()
    with pytest.raises(Cancelled):
        list(run)
    with pytest.raises(Cancelled):
        _ = run.result


def test_stop_decides_on_what_there_is(model: Model, source: list[Case], target: list[Volume]) -> None:
    run = adapt(model, source, target, replace(SHORT, steps=500), CPU)
    until(run, "training", 2)
    run.stop()
    adapted = run.result
    assert adapted.decision is not None
    assert adapted.model is not None
    assert adapted.model.card.provenance.metrics["steps"] <= 3


def test_every_word_of_progress_is_said_in_order(whole: Whole) -> None:
    words = ("comparing how the scans look", "training", "deciding without labels")
    first = [whole.said.index(word) for word in words]
    assert first == sorted(first)
    assert whole.said[0] == "looking at 8 source scans and 3 new ones"


@pytest.mark.parametrize(
    ("sources", "targets", "message"),
    [(7, 3, "needs 8 or more labelled scans like those it was trained on; 7 came"),
     (0, 3, "label three of the new scans and fine-tune"), (8, 1, "needs 2 or more of the new scans; 1 came")],
)  # fmt: skip
def test_too_few_scans_are_refused(
    model: Model, source: list[Case], fresh: list[Volume], sources: int, targets: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        adapt(model, source[:sources], fresh[:targets])


def test_scans_of_other_dimensions_are_refused(model: Model, source: list[Case], fresh: list[Volume]) -> None:
    solid = Volume(array=np.zeros((9, 20, 20), np.float32))
    with pytest.raises(UsageError, match=r"takes 2D scans with 1 channel\(s\); one is 3D with 1"):
        adapt(model, source, [fresh[0], solid])
    colours = Volume(array=np.zeros((3, 20, 20), np.float32), has_channels=True)
    with pytest.raises(UsageError, match=r"one is 2D with 3"):
        adapt(model, source, [colours, fresh[0]])


def test_source_scans_without_a_label_are_refused(model: Model, source: list[Case], fresh: list[Volume]) -> None:
    blank = [replace(c, annotation=replace(c.annotation, labels=cleared(c))) for c in source]
    with pytest.raises(UsageError, match="Nothing is labelled in the source scans; tiny can learn nothing"):
        adapt(model, blank, fresh)


def cleared(case: Case) -> object:
    labels = case.annotation.labels
    return labels.derive(array=np.zeros_like(labels.array))


def test_two_scans_of_one_name_are_refused_before_anything_is_computed(
    model: Model, source: list[Case], fresh: list[Volume]
) -> None:
    with pytest.raises(UsageError, match="Two cases are called"):
        adapt(model, [*source, source[0]], fresh)


def test_a_label_without_a_class_is_named(model: Model, source: list[Case], fresh: list[Volume]) -> None:
    labels = source[0].annotation.labels
    odd = replace(source[0].annotation, labels=labels.derive(array=7 * labels.array))
    with pytest.raises(UsageError, match=r"cannot train tiny: its labels hold the value 7, which has no class"):
        adapt(model, [replace(source[0], annotation=odd), *source[1:]], fresh)


def test_a_scan_too_thin_for_a_3d_model_is_refused_before_anything_is_computed() -> None:
    model = random_model(3, 1, spacing=(4.0, 1.0, 1.0))
    thin = [blob_case(f"{i}.nii", (9, 20, 20), i) for i in range(8)]
    slices = [Volume(array=np.zeros((1, 20, 20), np.float32))] * 2
    with pytest.raises(UsageError, match="needs at least 8 voxels along every axis; this image or region is 1 x 20"):
        adapt(model, thin, slices)
    with pytest.raises(UsageError, match=r"0\.nii has only 2 voxel\(s\) along an axis at tiny's spacing; 8 are needed"):
        adapt(model, thin, [case.image for case in thin])


ODD: list[Callable[[Volume], Volume]] = [
    lambda v: v.derive(array=np.pad(v.array, ((0, 40), (30, 0)), mode="reflect")),
    lambda v: v.derive(array=v.array[10:-10, 8:-12]),
    lambda v: v.derive(array=np.clip(v.array + 50, 0, 255).astype(np.uint8)),
    lambda v: v.derive(array=np.where(np.arange(v.array.size).reshape(v.array.shape) == 99, np.nan, v.array)),
    lambda v: v.derive(affine=identity_affine((1.0, 2.0, 0.7))),
    lambda v: v.derive(array=np.full_like(v.array, 3)),
    lambda v: v.derive(array=v.array[:3, :2]),
]


def test_odd_scans_come_to_a_verdict(model: Model, source: list[Case], target: list[Volume]) -> None:
    """Larger, smaller, of whole numbers, with a NaN, of other spacing, constant, tiny: two of each are tried."""
    volumes = [change(target[0]) for change in ODD]
    for k in range(0, len(volumes) - 1, 2):
        made = adapt(model, source, volumes[k : k + 2], replace(SHORT, steps=1), CPU).result
        assert made.verdict
        assert np.isfinite(made.audit.steady_target)
    for volume in volumes:
        assert np.isfinite(consistency(volume, found(volume, model, "cpu", Controls()), model, "cpu", Controls()))


def test_partly_known_source_scans_are_learnt_from(model: Model, source: list[Case], target: list[Volume]) -> None:
    known = [c.annotation.known.copy() for c in source]
    for mask in known:
        mask[:20] = False
    cases = [replace(c, annotation=replace(c.annotation, known=k)) for c, k in zip(source, known, strict=True)]
    made = adapt(model, cases, target, replace(SHORT, steps=1), CPU).result
    assert made.audit.dice_source > 0.5


def test_source_scans_in_which_a_class_was_not_contoured_are_learnt_from(
    model: Model, source: list[Case], target: list[Volume]
) -> None:
    learnt, judged = divided(source)
    lacking = [replace(c, annotation=replace(c.annotation, missing=frozenset({1}))) for c in judged]
    made = adapt(model, [*lacking, *learnt], target, replace(SHORT, steps=1), CPU).result
    assert made.audit.dice_source > 0.5
    assert made.decision is None or made.decision.vetoes  # nobody who judges has it


def test_a_ct_is_seen_in_hounsfield_units() -> None:
    cases = [blob_case(f"{i}.nii", (32, 32), i) for i in range(8)]
    made = adapt(bands_model(2, preprocessing=HU), cases, [c.image for c in cases[:2]], SHORT, CPU).result
    assert made.audit.verdict == "nothing to adapt"
    assert made.audit.polarity_source != 0


def test_the_source_may_be_a_folder(tmp_path: Path, model: Model, source: list[Case], fresh: list[Volume]) -> None:
    for place in ("images", "labels"):
        (tmp_path / place).mkdir()
    for case in source:
        write(tmp_path / "images" / case.name, case.image)
        write(tmp_path / "labels" / case.name, case.annotation.labels)
    assert adapt(model, tmp_path, fresh, SHORT, CPU).result.audit.verdict == "nothing to adapt"
    (tmp_path / "labels" / source[0].name).unlink()
    (tmp_path / "images" / source[1].name).write_bytes(b"damaged")
    with pytest.raises(UsageError, match="Only 6 of 8 pairs can be used"):
        adapt(model, tmp_path, fresh)


def test_the_folds_of_the_phantoms_are_as_meant(source: list[Case]) -> None:
    assert [fold_of(case.name) for case in source] == [1, 1, 0, 0, 2, 2, 3, 4]
