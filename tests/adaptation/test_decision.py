"""The decision: every veto alone, the interval, and both models on the same scans."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from builders import Bands, bands_model, blob_case, make_card
from torch import Tensor

from napari_ganseg.adaptation.adapting import looked_at
from napari_ganseg.adaptation.audit import Scans
from napari_ganseg.adaptation.decision import (
    Compared,
    Decision,
    compared,
    decide,
    gain_veto,
    imitations,
    interval,
    source_veto,
    steady_veto,
    volume_vetoes,
)
from napari_ganseg.models import Model
from napari_ganseg.run import Controls
from napari_ganseg.training.cases import Case
from napari_ganseg.volume import Volume

DECISION = import_module("napari_ganseg.adaptation.decision")
SHAPE = (32, 32)
OPEN = "it is not surely better on source scans that imitate the new ones, nor surely steadier on these"


NO_WORD = (-0.1, 0.1)  # an interval that says nothing


@pytest.mark.parametrize(("low", "is_sure"), [(0.01, True), (0.0001, True), (0.0, False), (-0.1, False)])
def test_a_gain_must_be_sure(low: float, is_sure: bool) -> None:
    assert (gain_veto((low, 0.2), NO_WORD) == ()) is is_sure


@pytest.mark.parametrize(("low", "is_sure"), [(0.001, True), (0.0, False), (-0.01, False)])
def test_where_imitations_leave_it_open_surely_steadier_is_enough(low: float, is_sure: bool) -> None:
    assert (gain_veto(NO_WORD, (low, 0.2)) == ()) is is_sure


def test_steadiness_does_not_make_up_for_a_sure_loss() -> None:
    assert gain_veto((-0.2, -0.01), (0.1, 0.2)) == ("it is surely worse on source scans that imitate the new ones",)


@pytest.mark.parametrize(("high", "stays"), [(0.05, True), (0.0, True), (-0.01, True), (-0.0101, False), (-1, False)])
def test_the_sources_own_scans_may_surely_lose_next_to_nothing(high: float, stays: bool) -> None:
    assert (source_veto(high) == ()) is stays


def test_forgetting_is_named() -> None:
    assert source_veto(-0.05) == ("it loses 0.050 Dice or more on the source's own scans",)


@pytest.mark.parametrize(("after", "stays"), [(0.95, True), (0.9, True), (0.8901, True), (0.88, False)])
def test_the_new_scans_may_not_be_doubted_more(after: float, stays: bool) -> None:
    assert (steady_veto(0.9, after) == ()) is stays


def sizes(*columns: float) -> np.ndarray:
    """Three scans with the same volumes."""
    return np.array([columns] * 3)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [(10, 10, ()), (5, 10, ()), (10, 12, ()), (10, 13, ("organ 1 moves away from its usual volume",)),
     (10, 7, ("organ 1 moves away from its usual volume",)), (5, 4, ()), (20, 15, ()), (20, 23, ("organ 1 moves",)),
     (5, 0, ("organ 1 vanishes from the new scans",)), (0, 0, ()), (0, 10, ()), (5, 15, ())],
)  # fmt: skip
def test_a_class_may_move_towards_its_usual_volume(before: float, after: float, words: tuple[str, ...]) -> None:
    found = volume_vetoes(bands_model(2).card, sizes(10), sizes(before), sizes(after))
    assert len(found) == len(words)
    assert all(veto.startswith(word) for veto, word in zip(found, words, strict=True))


def test_every_class_has_its_own_veto() -> None:
    card = bands_model(2, 3).card
    found = volume_vetoes(card, sizes(10, 10, 10), sizes(10, 10, 10), sizes(10, 0, 99))
    assert found == ("organ 2 vanishes from the new scans", "organ 3 moves away from its usual volume")


def test_one_odd_scan_is_no_veto() -> None:
    usual = sizes(10)
    assert volume_vetoes(bands_model(2).card, usual, usual, np.array([[10], [0], [10]])) == ()


@pytest.mark.parametrize("differences", [[0.1], [0.1] * 9, [-0.2, 0.4], list(np.linspace(-1, 1, 24))])
def test_an_interval_holds_the_mean_and_lies_within_what_was_seen(differences: list[float]) -> None:
    low, high = interval(np.array(differences))
    assert min(differences) - 1e-9 <= low <= np.mean(differences) + 1e-9
    assert np.mean(differences) - 1e-9 <= high <= max(differences) + 1e-9


def test_an_interval_is_always_the_same_and_moves_with_the_numbers() -> None:
    numbers = np.random.default_rng(0).normal(0, 0.1, 20)
    low, high = interval(numbers)
    assert interval(numbers) == (low, high)
    assert interval(numbers + 0.5) == pytest.approx((low + 0.5, high + 0.5), abs=2e-4)
    assert interval(-numbers) == pytest.approx((-high, -low), abs=0.02)


def test_more_scans_make_an_interval_narrower() -> None:
    numbers = np.array([-0.1, 0.1])
    few, many = (interval(np.tile(numbers, count)) for count in (2, 40))
    assert many[1] - many[0] < few[1] - few[0]


def scored(monkeypatch: pytest.MonkeyPatch, *scores: dict[int, float]) -> None:
    """Let what is found in one scan after the other score so."""
    left = iter(scores)
    monkeypatch.setattr(DECISION, "class_dices", lambda *_: next(left))


def on_two() -> Compared:
    model = bands_model(2, 3)
    return compared((model, model), [blob_case(f"{i}.nii", SHAPE, i) for i in range(2)], "cpu", Controls())


def test_every_class_of_the_model_is_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    scored(monkeypatch, {1: 0.123456, 3: 0.0}, {1: 0.123456}, {1: 0.6}, {1: 0.8})
    made = on_two()
    assert [(c.name, c.before, c.after) for c in made.classes] == [
        ("organ 1", 0.1235, 0.7), ("organ 2", None, None), ("organ 3", 0.0, None)
    ]  # fmt: skip


def test_models_are_compared_case_by_case(monkeypatch: pytest.MonkeyPatch) -> None:
    scored(monkeypatch, {1: 0.5, 2: 0.7}, {1: 0.9}, {1: 0.7}, {1: 0.8})
    made = on_two()
    assert made.differences == pytest.approx([0.1, -0.1])
    assert made.means == (0.75, 0.75)
    assert len(made.maps) == 2


def test_a_case_in_which_nothing_is_contoured_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    scored(monkeypatch, {}, {1: 0.5}, {}, {1: 0.8})
    assert on_two().differences == pytest.approx([0.3])


def shifted(case: Case, by: float) -> Volume:
    return case.image.derive(array=case.image.array + np.float32(by))


def scans(count: int = 6, by: float = 60.0) -> Scans:
    """Boxes at 200 on 50 that the model finds; new ones of other patients, brighter."""
    source = [replace(c, image=shifted(c, 50)) for c in (blob_case(f"{i}.nii", SHAPE, i) for i in range(count))]
    target = [shifted(blob_case(shape=SHAPE, seed=i), by) for i in range(30, 33)]
    return looked_at(bands_model(2), source, target, Controls())


def decided(before: Model, after: Model, given: Scans | None = None) -> Decision:
    return decide(before, after, given or scans(), [1, 3], "cpu", Controls())


def test_the_same_model_is_no_gain_and_nothing_else_speaks_against_it() -> None:
    model = bands_model(2)
    made = decided(model, model)
    assert made.vetoes == (OPEN,)
    assert not made.is_accepted
    assert (made.imitation_before, made.steady_before) == (made.imitation_after, made.steady_after)
    assert (made.gain_low, made.gain_high, made.agreement) == (0, 0, 1)
    assert made.source_before == made.source_after > 0.9


BETTER = ({1: 0.5}, {1: 0.6}, {1: 0.8}, {1: 0.7})  # two imitations before, and after


def test_a_model_that_finds_more_of_what_is_there_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    scored(monkeypatch, *BETTER, *[{1: 0.9}] * 4)
    made = decided(bands_model(2), bands_model(2))
    assert made.is_accepted
    assert (made.imitation_before, made.imitation_after) == (0.55, 0.75)
    assert (made.source_before, made.source_after) == (0.9, 0.9)
    assert 0.1 <= made.gain_low <= 0.2 <= made.gain_high <= 0.3
    assert (made.classes[0].before, made.classes[0].after) == (0.55, 0.75)


@pytest.mark.parametrize(
    ("after", "trials", "veto"),
    [((0.7, 0.8), None, "it loses 0.100 Dice or more on the source's own scans"),
     ((0.7, 0.95), (0.9, 0.7), "views of one new scan agree less than before")],
)  # fmt: skip
def test_one_veto_is_enough(
    after: tuple[float, float], trials: tuple[float, ...] | None, veto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the source's own scans, a loss in one that a gain in another makes up for is no sure one."""
    scored(monkeypatch, *BETTER, *[{1: 0.9}] * 2, *[{1: dice} for dice in after])
    if trials:
        steady, real = iter([trials[0]] * 3 + [trials[1]] * 3), DECISION.trial
        monkeypatch.setattr(DECISION, "trial", lambda *a: replace(real(*a), steady=next(steady)))
    made = decided(bands_model(2), bands_model(2))
    assert made.vetoes == (veto,)
    assert not made.is_accepted


def test_a_model_that_finds_nothing_is_refused_for_every_reason() -> None:
    made = decided(bands_model(2), Model(make_card(2), Blind(), ""))
    assert not made.is_accepted
    assert made.vetoes[0] == "it is surely worse on source scans that imitate the new ones"
    assert made.vetoes[1] == f"it loses {made.source_before:.3f} Dice or more on the source's own scans"
    assert made.source_after == 0
    assert made.vetoes[-1] == "organ 1 vanishes from the new scans"


class Blind(Bands):
    """A network that finds nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - 1000)


def test_every_scan_that_judges_imitates_the_new_scanner_and_always_the_same() -> None:
    given = scans()
    first, again = (imitations(given, [0, 3], bands_model(2).card) for _ in range(2))
    assert [c.name for c in first] == ["0.nii", "3.nii"]
    assert all(np.array_equal(a.image.array, b.image.array) for a, b in zip(first, again, strict=True))
    assert all(c.annotation is given.source[i].annotation for i, c in zip((0, 3), first, strict=True))


def test_one_strange_new_scan_among_many_changes_no_imitation_much() -> None:
    given, model = scans(), bands_model(2)
    odd = looked_at(model, [], [shifted(blob_case(shape=SHAPE, seed=33), 5000)], Controls()).target_looks
    usually, oddly = (
        imitations(replace(given, target_looks=[*given.target_looks, *more]), [0], model.card)[0].image.array
        for more in ([], odd)
    )
    assert np.abs(usually - oddly).mean() < 20


def test_where_nothing_is_contoured_nothing_is_gained() -> None:
    given = scans()
    lacking = [replace(c, annotation=replace(c.annotation, missing=frozenset({1}))) for c in given.source]
    made = decided(bands_model(2), bands_model(2), replace(given, source=lacking))
    assert (made.imitation_before, made.imitation_after) == (0, 0)
    assert made.vetoes == (OPEN,)
    assert made.classes[0].before is None
