"""The whole training: resumed as if never interrupted, stopped, cancelled, and honest about what it used."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import Z_SCORE, Bands, blob_case, blob_cases, make_card, random_model, tiny_config
from PIL import Image

from napari_ganseg.errors import Cancelled, ComputeError, UsageError
from napari_ganseg.inference import segment
from napari_ganseg.io import write
from napari_ganseg.models import Model, load_model, save_model
from napari_ganseg.models.file import digest
from napari_ganseg.networks import weights_of
from napari_ganseg.run import Controls, Progress
from napari_ganseg.training import Case, fit, samples
from napari_ganseg.training.config import Adversary, Split, fold_of
from napari_ganseg.training.files import EXAMPLES
from napari_ganseg.training.guards import Limits
from napari_ganseg.training.progress import read_progress
from napari_ganseg.training.provenance import Place
from napari_ganseg.training.step import Figures
from napari_ganseg.training.validation import Validation, case_dice, class_dices, validate
from napari_ganseg.volume import Annotation, LabelMap

LOOP = import_module("napari_ganseg.training.loop")


def sha256(model: Model) -> str:
    return digest(b"", weights_of(model.network))


def until(run: Iterator[Progress], step: int) -> None:
    """Iterate up to the step's validation, then drop the run as a kill would."""
    for progress in run:
        if progress.doing == "validated" and progress.done == step:
            return


@pytest.fixture
def cases() -> list[Case]:
    return blob_cases()


@pytest.mark.parametrize("dims", [2, 3])
def test_interrupted_and_resumed_is_bit_for_bit_what_it_would_have_been(tmp_path: Path, dims: int) -> None:
    config, cases = tiny_config(dims), blob_cases(dims)
    unbroken = fit(cases, config).result
    for step in (2, 4):
        until(iter(fit(cases, config, Place(tmp_path))), step)
    resumed = fit(cases, config, Place(tmp_path)).result
    assert sha256(resumed) == sha256(unbroken)
    lines, _ = read_progress(tmp_path)
    assert [line.done for line in lines if line.doing == "validated"] == [2, 4, 6]


def test_dropping_any_part_of_the_state_would_show(tmp_path: Path, cases: list[Case]) -> None:
    """The law above can fail: without the optimiser's state the resumed weights are others."""
    config = tiny_config()
    unbroken = fit(cases, config).result
    until(iter(fit(cases, config, Place(tmp_path))), 4)
    run = fit(cases, config, Place(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "load_state_dict", lambda self, state: None)
        assert sha256(run.result) != sha256(unbroken)


def test_a_finished_training_is_not_done_again(tmp_path: Path, cases: list[Case]) -> None:
    first = fit(cases, tiny_config(), Place(tmp_path)).result
    run = fit(cases, tiny_config(), Place(tmp_path))
    assert [p.doing for p in run if p.doing == "training"] == []
    assert sha256(run.result) == sha256(first)


def test_the_seed_decides(cases: list[Case]) -> None:
    first, again, other = (fit(cases, tiny_config(seed=seed)).result for seed in (1, 1, 2))
    assert sha256(first) == sha256(again) != sha256(other)


def test_training_leaves_everyones_random_numbers_alone(cases: list[Case]) -> None:
    before = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate())  # noqa: NPY002
    _ = fit(cases, tiny_config()).result
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]


def test_what_others_do_with_random_numbers_changes_nothing(cases: list[Case]) -> None:
    first = fit(cases, tiny_config()).result
    torch.rand(3)
    assert sha256(fit(cases, tiny_config()).result) == sha256(first)


def test_a_training_learns(tmp_path: Path) -> None:
    config = tiny_config(2, steps=60, validate_every=20, learning_rate=1e-2, ema=0.9)
    cases = [blob_case(f"{i}.nii", (24, 24), i) for i in range(6)]
    model = fit(cases, config).result
    assert model.card.provenance.metrics["validation_dice"] > 0.8
    unseen = blob_case("unseen.nii", (24, 24), 99)
    score = case_dice(segment(unseen.image, model), unseen.annotation)
    assert score is not None
    assert score > 0.8


def test_the_result_is_the_best_not_the_last(cases: list[Case], monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config()
    scores = iter([0.5, 0.3, 0.9, 0.1])  # the first is before the first step
    kept: list[str] = []

    def scripted(cases: object, card: object, network: torch.nn.Module, *rest: object) -> Validation:
        kept.append(digest(b"", weights_of(network)))
        return Validation(next(scores), {})

    monkeypatch.setattr(LOOP, "validate", scripted)
    model = fit(cases, config).result
    assert sha256(model) == kept[2]
    assert len(set(kept)) == 4
    assert model.card.provenance.metrics["validation_dice"] == 0.9


def test_where_little_is_held_out_a_later_validation_nearly_as_good_is_taken(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.1, 0.90, 0.89, 0.85])
    monkeypatch.setattr(LOOP, "validate", lambda *_: Validation(next(scores), {}))
    model = fit(cases, tiny_config(tolerance=0.02)).result
    assert model.card.provenance.metrics["validation_dice"] == 0.89


def test_stop_ends_at_the_next_step_and_keeps_the_best_so_far(cases: list[Case]) -> None:
    run = fit(cases, tiny_config(steps=500, validate_every=3))
    for progress in run:
        if progress.done == 4:
            run.stop()
    metrics = run.result.card.provenance.metrics
    assert metrics["steps"] == 4
    assert 0 <= metrics["validation_dice"] <= 1


def test_stop_before_the_first_step_still_gives_a_model_that_was_validated(cases: list[Case]) -> None:
    run = fit(cases, tiny_config())
    run.stop()
    metrics = run.result.card.provenance.metrics
    assert metrics["steps"] == 1
    assert metrics["validation_dice"] >= 0


@pytest.mark.parametrize("doing", ["preparing", "training", "validated"])
def test_cancel_keeps_nothing(cases: list[Case], doing: str) -> None:
    run = fit(cases, tiny_config())
    for progress in run:
        if progress.doing.startswith(doing):
            run.cancel()
            break
    with pytest.raises(Cancelled):
        list(run)
    with pytest.raises(Cancelled):
        _ = run.result


def test_cancel_is_heard_during_a_validation(cases: list[Case], monkeypatch: pytest.MonkeyPatch) -> None:
    run = fit(cases, tiny_config())
    heard, check = [], Controls.check

    def counted(self: Controls) -> None:
        heard.append(self is run._controls)
        check(self)

    monkeypatch.setattr(Controls, "check", counted)
    until(iter(run), 2)
    assert sum(heard) > 2  # one per step, and more between the tiles of the validation


def test_a_killed_training_can_be_cancelled_and_resumed_later(tmp_path: Path, cases: list[Case]) -> None:
    run = fit(cases, tiny_config(), Place(tmp_path))
    until(iter(run), 2)
    run.cancel()
    with pytest.raises(Cancelled):
        list(run)
    assert sha256(fit(cases, tiny_config(), Place(tmp_path)).result) == sha256(fit(cases, tiny_config()).result)


def test_another_configuration_in_the_same_folder_is_refused(tmp_path: Path, cases: list[Case]) -> None:
    until(iter(fit(cases, tiny_config(), Place(tmp_path))), 2)
    with pytest.raises(UsageError, match=r"holds another training: learning_rate is 0\.001 there and 0\.002 now"):
        list(fit(cases, tiny_config(learning_rate=0.002), Place(tmp_path)))
    with pytest.raises(UsageError, match=r"holds another training: training\.d\.nii is"):
        list(fit([cases[0], cases[2]], tiny_config(), Place(tmp_path)))


def test_held_out_cases_are_never_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [blob_case(f"{i}.nii", (16, 16), i) for i in range(12)]
    config = tiny_config(2, split=Split(held_out=(0, 2), validation=(1,)))
    seen: set[str] = set()
    prepare, judge = samples.prepare, class_dices

    def watched(case: Case, card: object) -> object:
        seen.add(case.name)
        return prepare(case, card)  # type: ignore[arg-type]

    by_truth = {id(case.annotation): case.name for case in cases}

    def judged(labels: LabelMap, truth: Annotation) -> dict[int, float]:
        seen.add(by_truth[id(truth)])
        return judge(labels, truth)

    monkeypatch.setattr(LOOP, "prepare", watched)
    monkeypatch.setattr("napari_ganseg.training.validation.class_dices", judged)
    model = fit(cases, config).result
    assert seen == {case.name for case in cases if fold_of(case.name) not in (0, 2)}
    assert "folds [0, 2] are held out" in model.card.provenance.split


def test_validation_cases_are_not_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [blob_case(f"{i}.nii", (16, 16), i) for i in range(12)]
    learnt: list[str] = []
    prepare = samples.prepare

    def watched(case: Case, card: object) -> object:
        learnt.append(case.name)
        return prepare(case, card)  # type: ignore[arg-type]

    monkeypatch.setattr(LOOP, "prepare", watched)
    _ = fit(cases, tiny_config(2, steps=1)).result
    assert {fold_of(name) for name in learnt} == {fold_of(c.name) for c in cases} - {1}


def test_one_case_trains_and_its_held_out_slices_validate() -> None:
    model = fit([blob_case(shape=(40, 16, 16))], tiny_config()).result
    assert model.card.provenance.split.startswith("1 case; its slices ")
    assert model.card.provenance.split.endswith(" to 39 of a.nii validate and were not learnt from")


def test_no_case_is_refused() -> None:
    with pytest.raises(UsageError, match=r"0 case\(s\) leave nothing to train on"):
        list(fit([], tiny_config()))


def test_a_case_with_an_unknown_class_is_refused_by_name(cases: list[Case]) -> None:
    labels = cases[1].annotation.labels
    odd = replace(cases[1], annotation=replace(cases[1].annotation, labels=labels.derive(array=labels.array * 3)))
    with pytest.raises(UsageError, match=r"d\.nii cannot train box: its labels hold the value 3, which has no class"):
        list(fit([cases[0], odd, cases[2]], tiny_config()))


def test_losses_that_stay_infinite_end_with_a_word(cases: list[Case], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOOP, "train_step", lambda *_: Figures(float("nan"), is_finite=False))
    with pytest.raises(ComputeError, match=r"was not a number from the start\. Lower the learning rate"):
        list(fit(cases, tiny_config(steps=20, validate_every=20)))


def test_a_fault_inside_torch_is_one_error_in_words(cases: list[Case], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> float:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(LOOP, "train_step", fail)
    with pytest.raises(ComputeError, match="not enough memory"):
        list(fit(cases, tiny_config()))


def test_progress_says_where_it_stands(cases: list[Case]) -> None:
    seen = list(fit(cases, tiny_config()))
    assert seen[0].doing == "preparing 2 training and 1 validation cases"
    assert [p.done for p in seen if p.doing == "training"] == [1, 2, 3, 4, 5, 6]
    assert [p.done for p in seen if p.doing == "validated"] == [2, 4, 6]
    assert all("loss" in p.figures for p in seen if p.doing == "training")
    assert all({"dice", "best"} == set(p.figures) for p in seen if p.doing == "validated")


def test_the_card_says_how_the_model_was_made(tmp_path: Path, cases: list[Case]) -> None:
    config = tiny_config()
    model = fit(cases, config, Place(data="boxes", command="napari-ganseg train boxes")).result
    made = model.card.provenance
    assert (made.data, made.command, made.seed) == ("boxes", "napari-ganseg train boxes", 11)
    assert made.split == "2 training, 1 validation cases, chosen by sha256(name)"
    assert made.created
    assert made.plugin
    path = tmp_path / "box.ganseg.safetensors"
    save_model(path, model.card, model.network)
    assert load_model(path).card.provenance == made


def test_dice_counts_only_what_is_known_and_contoured(cases: list[Case]) -> None:
    labels = cases[0].annotation.labels
    known = np.ones(labels.shape, bool)
    known[8:] = False
    wrong = labels.derive(array=np.where(known, labels.array, 1 - labels.array))
    assert case_dice(wrong, Annotation(labels, known)) == 1
    assert case_dice(wrong, cases[0].annotation) != 1
    assert case_dice(wrong, Annotation(labels, known, frozenset({1}))) is None


def test_a_network_that_knows_the_answer_scores_one(cases: list[Case]) -> None:
    network = Bands(1)
    network.register_parameter("unused", torch.nn.Parameter(torch.zeros(1)))
    told = [replace(c, image=c.image.derive(array=200 * c.annotation.labels.array.astype(np.float32))) for c in cases]
    assert validate(told, make_card(), network, Controls()) == Validation(1.0, {1: 1.0})


@pytest.mark.parametrize("dims", [2, 3])
def test_a_training_with_an_adversary_is_resumed_bit_for_bit_too(tmp_path: Path, dims: int) -> None:
    adversary = Adversary(weight=0.1, begin=0.0, warm_up=0.1, ramp=0.2, limits=Limits(ready=0.0, losing=0.0))
    config, cases = tiny_config(dims, steps=8, adversary=adversary), blob_cases(dims)
    unbroken = fit(cases, config).result
    for step in (2, 6):
        until(iter(fit(cases, config, Place(tmp_path))), step)
    resumed = fit(cases, config, Place(tmp_path)).result
    assert sha256(resumed) == sha256(unbroken) != sha256(fit(cases, tiny_config(dims, steps=8)).result)
    assert resumed.card.adversary == unbroken.card.adversary
    assert resumed.card.adversary.lambda_share > 0


def test_a_training_that_judges_planes_is_resumed_bit_for_bit_too(tmp_path: Path) -> None:
    adversary = Adversary(weight=0.1, planes=True, begin=0.0, warm_up=0.1, ramp=0.2, limits=Limits(ready=0.0, losing=0))
    config, cases = tiny_config(steps=8, adversary=adversary), [by_slices(case) for case in blob_cases()]
    unbroken = fit(cases, config).result
    for step in (2, 6):
        until(iter(fit(cases, config, Place(tmp_path))), step)
    resumed = fit(cases, config, Place(tmp_path)).result
    silent = replace(config, adversary=replace(adversary, weight=0.0))
    assert sha256(resumed) == sha256(unbroken) != sha256(fit(cases, silent).result)
    assert resumed.card.adversary == unbroken.card.adversary
    assert resumed.card.adversary.lambda_share > 0
    assert resumed.card.adversary.auroc is not None


def by_slices(case: Case) -> Case:
    """The case, of which every third slice is annotated."""
    known = np.zeros(case.annotation.known.shape, bool)
    known[1::3] = True
    return replace(case, annotation=replace(case.annotation, known=known))


@pytest.mark.parametrize("dims", [2, 3])
def test_a_validation_leaves_a_picture_of_its_first_cases(tmp_path: Path, dims: int) -> None:
    _ = fit(blob_cases(dims), tiny_config(dims), Place(tmp_path)).result
    with Image.open(tmp_path / EXAMPLES) as picture:
        assert picture.size == (3 * 192 + 4 * 2, 192 + 2 * 2)  # a row for the one case, frames of 2 pixels
        assert len(picture.getcolors(maxcolors=2**20) or []) > 10


def test_a_parent_is_measured_before_the_first_step_and_stays_the_best_until_beaten(cases: list[Case]) -> None:
    parent = random_model(3, 1, preprocessing=Z_SCORE)
    config = replace(tiny_config(learning_rate=1e-9), card=replace(parent.card, name="further"))
    seen = list(fit(cases, config, start=parent))
    first = next(p for p in seen if p.doing == "measured")
    assert first.figures["best"] == first.figures["dice"] > 0
    assert all(p.figures["best"] >= first.figures["best"] for p in seen if p.doing == "validated")


def test_validations_that_no_longer_rise_end_the_training(cases: list[Case], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOOP, "validate", lambda *_: Validation(0.5, {1: 0.5}))
    model = fit(cases, tiny_config(steps=100, validate_every=2, patience=3)).result
    assert model.card.provenance.metrics["steps"] == 8  # the first at step 2 is the best, three more are no better


def test_a_network_that_has_found_nothing_yet_is_given_its_time(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LOOP, "validate", lambda *_: Validation(0.0, {1: 0.0}))
    assert fit(cases, tiny_config(steps=12, patience=2)).result.card.provenance.metrics["steps"] == 12


def test_a_folder_is_trained_on_as_it_is(tmp_path: Path) -> None:
    for i in range(2):
        case = blob_case(shape=(16, 18, 20), seed=i)
        for place, content in (("images", case.image), ("labels", case.annotation.labels)):
            (tmp_path / place).mkdir(exist_ok=True)
            write(tmp_path / place / f"{i}.nii.gz", content)
    assert fit(tmp_path, tiny_config()).result.card.provenance.split.startswith("1 training, 1 validation")
