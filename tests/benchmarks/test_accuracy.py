"""The accuracy study: its intervals, its report, its arms, and a two-minute version of the whole protocol."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.accuracy import report as reporting
from benchmarks.accuracy.arms import (
    CONSISTENCY,
    RAMP,
    SECOND_WEIGHT,
    STRONG,
    SURE,
    WEIGHT,
    WHAT,
    WITH_CRITIC,
    configured,
    shuffled_pairs,
)
from benchmarks.accuracy.bootstrap import Interval, paired
from benchmarks.accuracy.claim import CANDIDATES, claim_of, claims_of
from benchmarks.accuracy.plots import can_plot, plot
from benchmarks.accuracy.report import report
from benchmarks.accuracy.results import of_study, verdict
from benchmarks.accuracy.runs import Entry, Line, carry_out, seeded, waiting, wanted
from benchmarks.accuracy.studies import CALIBRATION, EVERY, LAST, TEST, Study, at_length, divided, of_fold
from benchmarks.record import add_line, lines
from builders import Z_SCORE, make_card, tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ganseg.networks.discriminator import DiscriminatorArch
from napari_ganseg.training import Case, adversary
from napari_ganseg.training.cases import make_case
from napari_ganseg.training.config import Adversary, Augmentation, Split, TrainConfig, Unlabelled
from napari_ganseg.training.guards import Limits
from napari_ganseg.volume import LabelClass, LabelMap, Volume

FEW_ARMS = tuple(WHAT)
LITTLE = DiscriminatorArch(channels=4, layers=1)
PATIENTS = [f"p{number:02}" for number in range(24)]


# --- intervals --------------------------------------------------------------------------------------------------------


def some_differences(seeds: int = 3, patients: int = 12, seed: int = 0) -> np.ndarray:
    """Differences in which both the seed and the patient matter."""
    rng = np.random.default_rng(seed)
    return (
        0.01 + rng.normal(0, 0.02, (seeds, 1)) + rng.normal(0, 0.02, patients) + rng.normal(0, 0.01, (seeds, patients))
    )


def test_a_constant_difference_leaves_no_doubt() -> None:
    interval = paired(np.full((3, 7), 0.02))
    assert (interval.mean, interval.low, interval.high) == pytest.approx((0.02, 0.02, 0.02))
    assert interval.excludes_zero


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.integers(1, 5), st.integers(2, 15))
def test_the_interval_holds_the_mean_and_turns_round_with_the_arms(seed: int, seeds: int, patients: int) -> None:
    differences = some_differences(seeds, patients, seed)
    there, back = paired(differences, 500), paired(-differences, 500)
    assert there.low <= there.mean <= there.high
    assert there.mean == pytest.approx(differences.mean())
    assert (back.mean, back.low, back.high) == pytest.approx((-there.mean, -there.high, -there.low))


@pytest.mark.parametrize("axis", [0, 1])
def test_more_seeds_and_more_patients_make_it_narrower(axis: int) -> None:
    table = some_differences()
    few, many = paired(table), paired(np.repeat(table, 9, axis))
    assert many.high - many.low < 0.9 * (few.high - few.low)


def test_what_differs_between_seeds_counts_as_well_as_what_differs_between_patients() -> None:
    by_seed, by_patient = paired([[0.0] * 4, [0.1] * 4]), paired([[0.0, 0.1]] * 3)
    for interval in (by_seed, by_patient):
        assert (interval.low, interval.high) == pytest.approx((0.0, 0.1))


def test_the_same_drawing_comes_twice() -> None:
    assert paired(some_differences()) == paired(some_differences())
    assert paired(some_differences()) != paired(some_differences(), seed=1)


def test_an_interval_in_words() -> None:
    assert str(Interval(0.0123, 0.0031, 0.021)) == "+0.0123 (+0.0031 to +0.0210)"
    assert not Interval(0.01, -0.001, 0.02).excludes_zero
    assert Interval(-0.01, -0.02, -0.001).excludes_zero


@pytest.mark.parametrize(
    ("interval", "word"),
    [
        ((0.006, 0.001, 0.011), "helps"),
        ((0.006, -0.001, 0.013), "undecided"),
        ((0.004, 0.001, 0.007), "undecided"),
        ((0.003, 0.001, 0.005), "no difference"),
        ((0.0, -0.005, 0.005), "no difference"),
        ((-0.004, -0.0065, -0.001), "undecided"),
        ((-0.01, -0.02, -0.001), "hurts"),
    ],
)
def test_a_verdict_needs_more_than_noise(interval: tuple[float, float, float], word: str) -> None:
    assert verdict(Interval(*interval)) == word


# --- report -----------------------------------------------------------------------------------------------------------


def a_line(entry: Entry, dice: float, calibration: float) -> Line:
    """A stored run whose patients lie around a Dice."""

    def patients(mean: float) -> dict[str, dict[str, float]]:
        spread = 0.02 * (np.arange(6) - 2.5)
        return {f"p{i}": {"dice": mean + float(s), "hd95_mm": 4.0, "nsd": 0.5} for i, s in enumerate(spread)}

    judged = entry.arm in WITH_CRITIC
    return {
        "study": entry.study, "labels": entry.labels, "arm": entry.arm, "seed": entry.seed, "cpu_s": 10.0, "steps": 500,
        "parameters": 1234, "lambda_share": 0.9 * judged, "auroc": 0.6 if judged else None, "gradient_ratio": None,
        "calibration": patients(calibration), "test": patients(dice), "machine": "a machine", "date": "2026-11-20",
    }  # fmt: skip


def recorded(place: Path, study: Study, gains: Mapping[str, float], calibration: Mapping[str, float]) -> Path:
    """Every run of a study, with the gain of its arm on the test and on calibration."""
    path = place / "accuracy.jsonl"
    for entry in wanted(study):
        wobble = 0.001 * entry.seed
        dices = (0.7 + gains.get(entry.arm, 0.0) * (1 + wobble), 0.7 + calibration.get(entry.arm, 0.0))
        add_line(a_line(entry, *dices), path)
    return path


def reported(
    place: Path, record: Path, study: Study, monkeypatch: pytest.MonkeyPatch, can_plot: bool = False
) -> tuple[int, str]:
    """The exit code and the page."""
    monkeypatch.setattr(reporting, "known_studies", lambda: {study.name: study})
    monkeypatch.setattr(reporting, "can_plot", lambda: can_plot)
    page = place / "docs" / "accuracy.md"
    return report([study.name], record, page), page.read_text("utf-8")


def a_study(arms: Sequence[str] = FEW_ARMS, seeds: int = 3, config: TrainConfig | None = None) -> Study:
    return Study("blobs", "blobs", config or tiny_config(2), {8: tuple(arms)}, seeds)


def test_the_claim_holds_where_what_calibration_chose_is_better_on_the_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gains = {"both": 0.02, "mean teacher": 0.015, "equal time": 0.01, "adversary": -0.02}
    record = recorded(tmp_path, a_study(), gains, {"both": 0.03, "equal time": 0.5, "shuffled pairs": 0.6})
    code, page = reported(tmp_path, record, a_study(), monkeypatch)
    assert code == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "few labels (8): blobs both, 6 steps +0.0200 (+0.0200 to +0.0200): holds"
    assert "| blobs | both, 6 steps | +0.0200 (+0.0200 to +0.0200) | +0.0100 (+0.0100 to +0.0100) | holds |" in page
    assert "#### The adversary's own share" in page
    assert "| both less mean teacher | +0.0050 (+0.0050 to +0.0050) | helps |" in page
    assert "| adversary less shuffled pairs | -0.0200 (-0.0200 to -0.0200) | hurts |" in page
    assert "| adversary | 3 of 3 | 0.7000 | 0.6800 | 4.00 | 0.5000 | 10 | 90% | - | 0.600 | -0.0200 (" in page
    assert "| mean teacher | 3 of 3 | 0.7000 | 0.7150 | 4.00 | 0.5000 | 10 | - | - |" in page


def test_it_does_not_hold_where_calibration_chose_another_arm_than_the_best_on_the_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = recorded(tmp_path, a_study(), {"both": 0.05, "adversary": -0.001}, {"adversary": 0.01})
    code, page = reported(tmp_path, record, a_study(), monkeypatch)
    assert code == 1
    assert capsys.readouterr().out.rstrip().endswith("does not hold")
    assert "| blobs | adversary, 6 steps | -0.0010 " in page


def test_runs_that_wait_keep_the_claim_from_holding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = recorded(tmp_path, a_study(), {"both": 0.02}, {"both": 0.03})
    kept = [line for line in lines(record) if (line["arm"], line["seed"]) not in {("both", 2), ("supervised", 1)}]
    record.write_text("".join(json.dumps(line) + "\n" for line in kept))
    code, page = reported(tmp_path, record, a_study(), monkeypatch)
    assert code == 1
    assert "+0.0200), 2 runs wait: does not hold" in capsys.readouterr().out.splitlines()[-1]
    assert "1 of 3 seeds" in page  # 0 is the only seed that both arms have


@pytest.mark.parametrize(("calibration", "steps", "gain"), [(0.04, 12, -0.02), (0.02, 6, 0.01)])
def test_of_two_studies_on_the_same_data_calibration_chooses_the_number_of_steps(
    tmp_path: Path, calibration: float, steps: int, gain: float
) -> None:
    short = a_study()
    longer = at_length(short, 12)
    recorded(tmp_path, short, {"mean teacher": 0.01}, {"mean teacher": 0.03})
    stored = lines(recorded(tmp_path, longer, {"mean teacher": -0.02}, {"mean teacher": calibration}))
    (claim,) = claims_of([short, longer], stored)
    assert (claim.data, claim.setting) == ("blobs", f"mean teacher, {steps} steps")
    assert claim.gain is not None
    assert claim.gain.mean == pytest.approx(gain, abs=1e-4)
    assert claim.holds == (gain > 0)
    assert not claims_of([short, longer], stored[:-1])[0].holds  # a run of either study that waits


def test_a_longer_study_keeps_everything_but_steps_and_arms() -> None:
    short = a_study()
    longer = at_length(short, 12)
    assert longer.arms == {8: ("supervised", "mean teacher", LAST)}
    assert replace(longer, name=short.name, arms=short.arms, config=short.config) == short
    assert longer.config == replace(short.config, steps=12, validate_every=12)


def test_nothing_stored_is_a_report_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, page = reported(tmp_path, tmp_path / "none.jsonl", a_study(), monkeypatch)
    assert code == 1
    assert "No run is stored yet." in page


def test_only_shared_seeds_are_paired_and_every_seed_is_averaged(tmp_path: Path) -> None:
    study = a_study(("supervised", "both"))
    dices = {("supervised", 0): 0.5, ("both", 0): 0.6, ("both", 1): 0.9}
    stored = [a_line(Entry("blobs", 8, arm, seed), dice, dice) for (arm, seed), dice in dices.items()]
    (results,) = of_study(study, stored)
    assert results.mean("both", "test", "dice") == pytest.approx(0.75)
    difference = results.difference("both")
    assert difference is not None
    assert difference.mean == pytest.approx(0.1)
    assert results.waiting == 3
    assert claim_of([study], stored).over_time is None


@pytest.mark.parametrize("is_here", [True, False])
def test_a_page_shows_the_picture_that_was_drawn_or_none(
    is_here: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn: list[Path] = []
    monkeypatch.setattr(reporting, "plot", lambda results, path: drawn.append(path))
    _, page = reported(tmp_path, recorded(tmp_path, a_study(), {}, {}), a_study(), monkeypatch, can_plot=is_here)
    assert drawn == [tmp_path / "docs" / "accuracy-blobs.png"] * is_here
    assert ("(accuracy-blobs.png)" in page) == is_here
    assert ("matplotlib is not installed" in capsys.readouterr().out) != is_here


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    if not can_plot():
        pytest.skip("matplotlib is not here, and nothing depends on it: the page comes without pictures")
    record = recorded(tmp_path, a_study(), {"both": 0.02}, {})
    plot(of_study(a_study(), lines(record)), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


# --- arms and patients ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", FEW_ARMS)
def test_an_arm_changes_three_weights_and_nothing_else(arm: str) -> None:
    teacher = Unlabelled(consistency=0.7, adversary=0.7, ramp=RAMP, threshold=SURE, strong=STRONG)
    base = tiny_config(2, adversary=Adversary(weight=0.7), unlabelled=teacher)
    config = configured(base, arm)
    weights = config.adversary.weight, config.unlabelled.consistency, config.unlabelled.adversary
    assert (
        weights
        == {
            "supervised": (0, 0, 0),
            "adversary": (WEIGHT, 0, 0),
            "shuffled pairs": (WEIGHT, 0, 0),
            "adversary on unlabelled": (WEIGHT, 0, SECOND_WEIGHT),
            "mean teacher": (0, CONSISTENCY, 0),
            "both": (WEIGHT, CONSISTENCY, SECOND_WEIGHT),
            "equal time": (0, 0, 0),
            "every label": (0, 0, 0),
        }[arm]
    )
    same = replace(config.adversary, weight=0.7), replace(config.unlabelled, consistency=0.7, adversary=0.7)
    assert replace(config, adversary=same[0], unlabelled=same[1]) == base


def test_the_setting_is_never_chosen_among_the_controls() -> None:
    assert set(FEW_ARMS) - set(CANDIDATES) == {"supervised", "shuffled pairs", "equal time", "every label"}


def test_labelled_patients_are_nested_over_the_budgets_and_apart_from_test_and_calibration() -> None:
    study, cases = phantom_study(), phantoms()
    names = {fold: {c.name for c in of_fold(study, cases, fold)} for fold in (TEST, CALIBRATION)}
    assert all(names.values())
    for seed in range(3):
        smaller: set[str] = set()
        for labels in (2, 4, 8):
            labelled, others = divided(study, cases, labels, seed)
            now = {case.name for case in labelled}
            assert smaller < now
            assert len({study.patient(name) for name in now}) == labels
            assert len(now) == 2 * labels  # both images of a patient
            pool = now | {case.name for case in others}
            assert len(pool) == len(labelled) + len(others) == len(cases) - sum(map(len, names.values()))
            assert not pool & (names[TEST] | names[CALIBRATION])
            smaller = now
    assert len({frozenset(c.name for c in divided(study, cases, 4, seed)[0]) for seed in range(3)}) > 1


def test_the_shuffled_control_shows_every_map_beside_another_image_and_only_while_it_lasts() -> None:
    config, honest = tiny_config(2), adversary.judged_pairs
    image, logits = torch.randn(3, 1, 16, 16), torch.randn(3, 2, 16, 16)
    target = torch.randint(0, 2, (3, 1, 16, 16))
    true = honest(image, logits, target, config)
    with shuffled_pairs("shuffled pairs"):
        shown = adversary.judged_pairs(image, logits, target, config)
    assert adversary.judged_pairs is honest
    assert torch.equal(shown.image, true.image[[2, 0, 1]])
    assert torch.equal(shown.real, true.real)
    assert torch.equal(shown.fake, true.fake)
    with contextlib.suppress(KeyboardInterrupt), shuffled_pairs("shuffled pairs"):
        raise KeyboardInterrupt
    assert adversary.judged_pairs is honest
    with shuffled_pairs("adversary"):
        assert adversary.judged_pairs is honest


def test_equal_time_makes_as_many_steps_more_as_the_costliest_arm_took_longer(tmp_path: Path) -> None:
    record = tmp_path / "accuracy.jsonl"
    for arm, seed, cpu_s in (("supervised", 1, 20.0), ("both", 1, 50.0), ("both", 0, 900.0)):
        add_line(a_line(Entry("blobs", 8, arm, seed), 0.5, 0.5) | {"cpu_s": cpu_s}, record)
    config = tiny_config(2, steps=100)
    longer = seeded(config, Entry("blobs", 8, LAST, 1), record)
    assert longer == replace(config, seed=1, steps=250, validate_every=250)
    assert seeded(config, Entry("blobs", 8, "both", 1), record) == replace(config, seed=1)


# --- the same protocol in two minutes ---------------------------------------------------------------------------------


def phantom_study() -> Study:
    """The protocol with a small network, few steps and a discriminator that may speak at once."""
    card = make_card(2, preprocessing=Z_SCORE, name="blobs", patch=(32, 32))
    config = TrainConfig(
        card=card, steps=24, validate_every=24, batch_size=4, learning_rate=5e-3, ema=0.9, precision="float32",
        split=Split(held_out=(TEST,), validation=(CALIBRATION,), patient_until="-"),
        augmentation=Augmentation(affine=0.5, flip_axes=(0, 1)),
        adversary=Adversary(arch=LITTLE, limits=Limits(ready=0.0)), unlabelled=Unlabelled(arch=LITTLE),
    )  # fmt: skip
    return a_study(("adversary", "supervised", "mean teacher", "both", LAST, EVERY), seeds=1, config=config)


def phantoms() -> list[Case]:
    """Two images of every patient, each a bright ellipse on noise."""
    return [ellipse(f"{p}-{i}.nii", 2 * n + i) for n, p in enumerate(PATIENTS) for i in range(2)]


def ellipse(name: str, seed: int) -> Case:
    """One image of 64 x 64."""
    rng = np.random.default_rng(seed)
    (y, x), centre, radii = np.indices((64, 64)), rng.uniform(24, 40, 2), rng.uniform(8, 16, 2)
    inside = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 < 1
    image = (rng.normal(0, 20, inside.shape) + 100 * inside).astype(np.float32)
    labels = LabelMap(array=inside.astype(np.uint8), classes=(LabelClass(1, "Ellipse", "#e6550d"),))
    return make_case(name, Volume(array=image), labels)


def test_the_whole_protocol_in_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study, cases, record = phantom_study(), phantoms(), tmp_path / "accuracy.jsonl"
    for entry in waiting([study], record):
        carry_out(entry, study, cases, record)
    assert not waiting([study], record)
    stored: dict[str, Any] = {line["arm"]: line for line in lines(record)}
    assert set(stored) == set(study.arms[8])
    patients = {fold: {study.patient(c.name) for c in of_fold(study, cases, fold)} for fold in (TEST, CALIBRATION)}
    for line in stored.values():
        assert (set(line["test"]), set(line["calibration"])) == (patients[TEST], patients[CALIBRATION])
        assert all(0 <= patient["dice"] <= 1 for fold in ("test", "calibration") for patient in line[fold].values())
        assert not {*line["learnt_from"]} & (patients[TEST] | patients[CALIBRATION])
    pool = {*PATIENTS} - patients[TEST] - patients[CALIBRATION]
    assert {*stored.pop(EVERY)["learnt_from"]} == pool
    assert len(pool) > 8 == len(stored[LAST]["learnt_from"])
    assert len({tuple(line["learnt_from"]) for line in stored.values()}) == 1
    assert all((stored[arm]["lambda_share"] > 0) == (arm in WITH_CRITIC) for arm in stored)
    assert stored["supervised"]["steps"] == stored["both"]["steps"] < stored[LAST]["steps"]
    code, page = reported(tmp_path, record, study, monkeypatch)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("few labels (8): blobs ")
    assert last.endswith(": holds" if code == 0 else ": does not hold")
    assert all(f"| {arm} | 1 of 1 |" in page for arm in stored)
