"""The audit: what is unusual, what it does to the model, and what follows from it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from builders import Z_SCORE, bands_model, blob_case, random_model

from napari_ganseg.adaptation.adapting import looked_at
from napari_ganseg.adaptation.agreement import consistency, found, labels_rolled, moved, noisier, overlap, rolled
from napari_ganseg.adaptation.appearance import Appearance, appearance
from napari_ganseg.adaptation.audit import (
    Audit,
    Scans,
    Trial,
    affordable,
    audit,
    judged,
    mean_dice,
    odd_volumes,
    spread,
    unusual,
)
from napari_ganseg.errors import Cancelled
from napari_ganseg.models import Model
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.volume import LabelMap, Volume

AUDIT = import_module("napari_ganseg.adaptation.audit")
USUAL = {"grey_values": 0.5, "sharpness": 0.5, "noise": 0.5}
STRANGE = {"grey_values": 1.0, "sharpness": 0.2, "noise": 0.5}
FINE = {
    "steady_source": 0.95, "steady_target": 0.95, "steady_restyled": 0.95, "dice_source": 0.9, "dice_restyled": 0.9,
    "dice_alike": 0.9, "polarity_source": 0.5, "polarity_target": 0.5, "odd_volumes": 0.0,
}  # fmt: skip


def verdict(strange: dict[str, float] = USUAL, **figures: float) -> Audit:
    return judged(strange, FINE | figures)


def test_scans_that_look_alike_need_nothing() -> None:
    made = verdict()
    assert made.verdict == "nothing to adapt"
    assert made.reason == "The new scans look like the model's own; nothing to adapt."


def test_scans_that_only_look_different_need_nothing() -> None:
    made = verdict(STRANGE)
    assert made.verdict == "nothing to adapt"
    assert made.reason == "The new scans look different, but not to the model; nothing to adapt."


@pytest.mark.parametrize(
    ("strange", "figures", "wanted"),
    [(USUAL, {"dice_restyled": 0.7}, "nothing to adapt"), (STRANGE, {"dice_restyled": 0.7}, "adapt"),
     (USUAL, {"steady_target": 0.9}, "nothing to adapt"), (USUAL, {"steady_target": 0.84}, "nothing to adapt"),
     (USUAL | {"noise": 0.969}, {"dice_restyled": 0.7}, "nothing to adapt"),
     (USUAL | {"noise": 0.97}, {"dice_restyled": 0.7}, "adapt"), (STRANGE, {"steady_target": 0.9}, "adapt"),
     (STRANGE, {"dice_restyled": 0.895}, "nothing to adapt"), (STRANGE, {"dice_restyled": 0.885}, "adapt"),
     (STRANGE, {"steady_target": 0.935}, "nothing to adapt"), (STRANGE, {"steady_target": 0.925}, "adapt")],
)  # fmt: skip
def test_a_loss_is_adapted_to(strange: dict[str, float], figures: dict[str, float], wanted: str) -> None:
    assert verdict(strange, **figures).verdict == wanted


def test_a_loss_is_named() -> None:
    assert verdict(STRANGE, dice_restyled=0.65).reason == (
        "Source scans made to look like the new ones lose 0.250 Dice; it can be learnt."
    )


def test_a_loss_that_restyling_explains_in_part_can_be_learnt() -> None:
    assert verdict(STRANGE, steady_target=0.66, steady_restyled=0.84, dice_restyled=0.7).verdict == "adapt"
    assert verdict(STRANGE, steady_target=0.66, steady_restyled=0.94, dice_restyled=0.7).verdict == "too far"


def test_a_gain_is_no_negative_loss() -> None:
    assert "lose 0.000 Dice" in verdict(STRANGE, steady_target=0.9, dice_restyled=0.95).reason


@pytest.mark.parametrize(
    ("figures", "why"),
    [({"steady_target": 0.49, "steady_restyled": 0.5}, "the model guesses in them (views of one scan agree by 0.49 on"),
     ({"odd_volumes": 0.75}, "in 75% of them it finds volumes that no source scan has"),
     ({"polarity_target": -0.4}, "what is bright in the source scans is dark in them"),
     ({"steady_target": 0.7}, "grey values, blur and noise do not explain what it loses (views agree by 0.25 less)")],
)  # fmt: skip
def test_too_far_says_why_and_what_helps(figures: dict[str, float], why: str) -> None:
    made = verdict(STRANGE, **figures)
    assert made.verdict == "too far"
    assert made.reason.startswith(f"Too far from what the model knows: {why}")
    assert made.reason.endswith("Label three of the scans and fine-tune.")


@pytest.mark.parametrize(
    "figures",
    [
        {"steady_target": 0.5, "steady_restyled": 0.5},
        {"steady_source": 0.57, "steady_target": 0.46, "steady_restyled": 0.5},
        {"dice_source": 0.5},
        {"odd_volumes": 0.5},
        {"steady_target": 0.76},
        {"polarity_target": -0.3},
        {"polarity_source": -0.9, "polarity_target": -0.9},
    ],
)
def test_the_limit_itself_is_not_too_far(figures: dict[str, float]) -> None:
    assert verdict(STRANGE, **figures).verdict != "too far"


@pytest.mark.parametrize("strange", [USUAL, STRANGE])
@pytest.mark.parametrize(
    "figures", [{"odd_volumes": 0.75}, {"polarity_target": -0.4}, {"steady_target": 0.7}, {"dice_source": 0.4}]
)
def test_looking_alike_does_not_bring_near_what_is_too_far(
    strange: dict[str, float], figures: dict[str, float]
) -> None:
    assert verdict(strange, **figures).verdict == "too far"


def test_a_model_that_doubts_its_own_scans_as_much_guesses_no_more_in_the_new_ones() -> None:
    own = {"steady_source": 0.57, "steady_restyled": 0.5}
    assert "the model guesses" in verdict(STRANGE, **own, steady_target=0.36).reason
    assert verdict(STRANGE, **own, steady_target=0.38).verdict == "adapt"


@pytest.mark.parametrize("figures", [{}, {"odd_volumes": 0.75}, {"polarity_target": -0.4}, {"steady_target": 0.1}])
def test_labelled_scans_that_do_not_fit_the_model_are_said_first(figures: dict[str, float]) -> None:
    made = verdict(USUAL, dice_source=0.49, **figures)
    assert made.verdict == "too far"
    assert made.reason.startswith("The labelled scans do not fit the model: it reaches Dice 0.49 on them.")


def test_what_restyling_alone_costs_is_no_loss() -> None:
    """Source scans that look like one another lose as much."""
    assert verdict(STRANGE, dice_restyled=0.7, dice_alike=0.7).verdict == "nothing to adapt"
    assert verdict(STRANGE, dice_source=0.7, dice_restyled=0.7).verdict == "adapt"


def test_the_figures_come_along() -> None:
    made = verdict(STRANGE, odd_volumes=0.25)
    assert {name: getattr(made, name) for name in STRANGE} == STRANGE
    assert {name: getattr(made, name) for name in FINE} == FINE | {"odd_volumes": 0.25}


def looks(count: int, scale: float = 1.0, extra: float = 0.0, start: int = 0) -> list[Appearance]:
    made = []
    for seed in range(start, start + count):
        rng = np.random.default_rng(seed)
        image = scale * blob_case(shape=(32, 32), seed=seed).image.array
        made.append(appearance(Volume(array=image + rng.normal(0, 1 + extra, image.shape).astype(np.float32))))
    return made


def test_own_scans_are_not_unusual() -> None:
    own = looks(9)
    assert all(0.2 < share < 0.7 for share in unusual(own, own).values())


def test_scans_with_other_grey_values_are_unusual() -> None:
    assert unusual(looks(8), looks(4, 5.0, start=50))["grey_values"] == 1


def test_noisy_scans_are_unusual() -> None:
    assert unusual(looks(8), looks(4, extra=60, start=50))["noise"] == 1


def test_one_strange_scan_among_many_is_not_the_scanner() -> None:
    own = looks(9)
    assert unusual(own, [*own[:4], *looks(1, 9.0)])["grey_values"] < 0.9


@pytest.mark.parametrize(("length", "count"), [(1, 12), (5, 12), (12, 12), (13, 12), (100, 12), (7, 1), (3, 2)])
def test_a_spread_is_even_and_has_no_doubles(length: int, count: int) -> None:
    chosen = spread(range(length), count)
    assert len(chosen) == len(set(chosen)) == min(length, count)
    assert chosen == sorted(chosen)
    assert chosen[0] == 0
    assert count == 1 or chosen[-1] == length - 1


def found_here(*counts: int) -> Trial:
    """A trial in which class 1, 2, ... has so many voxels."""
    array = np.zeros((20, 20), np.uint8)
    for value, count in enumerate(counts, 1):
        array[value, :count] = value
    return Trial(LabelMap(array=array), 1.0)


@pytest.mark.parametrize(
    ("new", "share"), [([10, 12], 0), ([3, 20], 0), ([2, 10], 0.5), ([0, 0], 1), ([10, 10, 10, 0], 0.25)]
)
def test_volumes_that_no_source_scan_has_are_odd(new: list[int], share: float) -> None:
    assert odd_volumes([found_here(8), found_here(12)], [found_here(n) for n in new], [1]) == share


def test_one_odd_class_is_enough() -> None:
    assert odd_volumes([found_here(9, 9)], [found_here(9, 1), found_here(9, 9)], [1, 2]) == 0.5


def test_a_class_that_some_source_scan_lacks_may_be_lacking() -> None:
    assert odd_volumes([found_here(9), found_here(0)], [found_here(0), found_here(9)], [1]) == 0


def test_only_what_is_contoured_counts() -> None:
    case = blob_case(shape=(20, 20))
    lacking = replace(case, annotation=replace(case.annotation, missing=frozenset({1})))
    right = case.annotation.labels
    assert mean_dice([right, right], [case, case]) == 1
    assert mean_dice([right, found_here(0).labels], [case, lacking]) == 1
    assert mean_dice([right], [lacking]) == 0


def test_two_empty_maps_agree() -> None:
    empty, full = found_here(0).labels, found_here(9).labels
    assert (overlap(empty, empty), overlap(full, full), overlap(full, empty)) == (1, 1, 0)


@pytest.mark.parametrize("shape", [(9, 12), (8, 9, 10)])
@pytest.mark.parametrize("by", [3, -3])
def test_what_is_moved_comes_back_but_for_the_edge(shape: tuple[int, ...], by: int) -> None:
    array = np.arange(np.prod(shape)).reshape(shape)
    inside = (slice(3, -3),) * len(shape)
    assert np.array_equal(moved(moved(array, by, len(shape)), -by, len(shape))[inside], array[inside])


def test_channels_do_not_move() -> None:
    array = np.random.default_rng(0).normal(size=(2, 8, 8)).astype(np.float32)
    made = rolled(Volume(array=array, has_channels=True), 3).array
    assert np.array_equal(made[1, 3:, 3:], array[1, :-3, :-3])


def test_labels_move_back() -> None:
    labels = found_here(5).labels
    assert np.array_equal(labels_rolled(labels, 0).array, labels.array)
    assert labels_rolled(labels, -1).array[0, 0] == 1


def test_the_noise_of_a_view_is_always_the_same() -> None:
    volume = blob_case(shape=(20, 20)).image
    assert np.array_equal(noisier(volume).array, noisier(volume).array)
    assert not np.array_equal(noisier(volume).array, volume.array)


def sure(volume: Volume, dims: int = 2) -> float:
    model, controls = bands_model(dims), Controls()
    return consistency(volume, found(volume, model, "cpu", controls), model, "cpu", controls)


def test_a_clear_scan_is_steadier_than_a_doubtful_one() -> None:
    image = np.zeros((32, 32), np.float32)
    image[8:24, 8:24] = 200  # the model labels what is above 100
    clear, doubtful = Volume(array=image), Volume(array=np.where(image > 0, 100.3, 60).astype(np.float32))
    assert sure(clear) > 0.95
    assert sure(doubtful) < sure(clear)


def test_a_scan_with_a_few_voxels_that_are_no_numbers_can_be_tried() -> None:
    image = blob_case(shape=(32, 32)).image.array.copy()
    image[3, 3] = np.nan
    assert 0 <= sure(Volume(array=image)) <= 1


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float64])
def test_whole_numbers_can_be_tried(dtype: type) -> None:
    image = np.zeros((32, 32), dtype)
    image[8:24, 8:24] = 200
    assert sure(Volume(array=image)) > 0.9


def test_a_cancelled_trial_ends() -> None:
    run = Run(lambda controls: iter_found(controls))
    run.cancel()
    with pytest.raises(Cancelled):
        list(run)


def iter_found(controls: Controls) -> Generator[Progress, None, LabelMap]:
    """Work that only segments."""
    yield Progress(0, 0, "")
    return found(blob_case(shape=(20, 20)).image, bands_model(2), "cpu", controls)


def test_scans_are_looked_at_at_the_models_spacing_with_the_values_it_gets() -> None:
    model = bands_model(2, spacing=(2.0, 2.0), preprocessing=Z_SCORE)
    source, target = [[blob_case(f"{i}.nii", (32, 36), i) for i in numbers] for numbers in (range(3), range(3, 5))]
    before = [case.image.array.copy() for case in source]
    made = looked_at(model, source, [case.image for case in target], Controls())
    assert [case.name for case in made.source] == ["0.nii", "1.nii", "2.nii"]
    for image in (*[case.image for case in made.source], *made.target):
        assert (image.shape, image.spacing_mm) == ((16, 18), (2.0, 2.0))
        assert image.array.mean() == pytest.approx(0, abs=0.1)
    assert all(case.annotation.labels.shape == (16, 18) for case in made.source)
    assert (len(made.source_looks), len(made.target_looks)) == (3, 2)
    assert all(np.array_equal(a, case.image.array) for a, case in zip(before, source, strict=True))


def test_looking_at_scans_ends_where_the_user_cancels() -> None:
    def work(controls: Controls) -> Generator[Progress, None, Scans]:
        yield Progress(0, 0, "")
        run.cancel()
        made = looked_at(bands_model(2), [blob_case(shape=(20, 20))], [], controls)
        reached.append(made)
        return made

    reached: list[Scans] = []
    run = Run(work)
    with pytest.raises(Cancelled):
        list(run)
    assert not reached


def audited(model: Model, target: list[Volume], count: int = 8) -> Audit:
    source = [blob_case(f"{i}.nii", (32, 32), i) for i in range(count)]
    run = Run(lambda controls: audit(model, looked_at(model, source, target, controls), "cpu", controls))
    assert all(progress.doing for progress in run)
    return run.result


def test_more_scans_like_the_source_need_nothing() -> None:
    model = bands_model(2)
    made = audited(model, [blob_case(shape=(32, 32), seed=i).image for i in range(40, 44)])
    assert made.verdict == "nothing to adapt"
    assert made.polarity_source * made.polarity_target > 0


def test_scans_in_which_nothing_is_found_are_too_far() -> None:
    image = blob_case(shape=(32, 32), seed=9).image
    made = audited(bands_model(2), [image.derive(array=image.array - 900)] * 2)
    assert (made.verdict, made.odd_volumes) == ("too far", 1)


def test_an_audit_tries_only_so_many_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AUDIT, "LOOKED_AT", 12)
    calls: list[Volume] = []
    tried: list[Volume] = []
    monkeypatch.setattr(AUDIT, "found", lambda volume, *_: tried.append(volume) or found_here(9).labels)
    monkeypatch.setattr(AUDIT, "trial", lambda model, volume, *_: calls.append(volume) or found_here(9))
    monkeypatch.setattr(AUDIT, "mean_dice", lambda *_: 0.9)
    target = [blob_case(shape=(32, 32), seed=i).image for i in range(15)]
    assert audited(bands_model(2), target, 14).verdict == "nothing to adapt"
    assert len(calls) == 36
    assert len(tried) == 12


@pytest.mark.parametrize(("voxels", "count"), [(50 * 50, 30), (160_000, 25), (10**7, 4)])
def test_of_large_scans_fewer_are_tried(voxels: int, count: int) -> None:
    assert affordable(Volume(array=np.zeros((voxels // 50, 50), np.uint8)), 30) == count


def test_the_same_scans_get_the_same_audit() -> None:
    model = random_model(2, 1, preprocessing=Z_SCORE)
    target = [blob_case(shape=(32, 32), seed=i).image for i in (30, 31)]
    assert audited(model, target) == audited(model, target)
