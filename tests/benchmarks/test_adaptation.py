"""The study of adapting without labels: its scanners, its parts, its arms, and its report on made-up records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.accuracy.studies import Study as Data
from benchmarks.adaptation import claims
from benchmarks.adaptation import report as reporting
from benchmarks.adaptation import studies as known
from benchmarks.adaptation.claims import claims_of
from benchmarks.adaptation.decisions import Decided, decided, tally
from benchmarks.adaptation.differences import averaged, interval, less, mean, worst
from benchmarks.adaptation.entropy import is_norm, sharpened
from benchmarks.adaptation.product import changes, outcomes
from benchmarks.adaptation.report import report
from benchmarks.adaptation.results import Results, of_study
from benchmarks.adaptation.runs import AUDIT, SEVERITY, Entry, Line, waiting, wanted
from benchmarks.adaptation.scanners import SCANNERS, STRONG
from benchmarks.adaptation.studies import ADAPTING, ARMS, Study, default_arm, evenly, is_default, labelled, parts
from benchmarks.record import add_line, lines
from builders import Z_SCORE, blob_case, random_model, tiny_config

from napari_ganseg.adaptation.options import Options
from napari_ganseg.networks import Arch
from napari_ganseg.training import Case
from napari_ganseg.training.config import Split
from napari_ganseg.volume import Volume

SHIPPED = {"target": 0.6, "source": 0.8}
GAINS = {"restyle": 0.08, "teacher": 0.12, "adversary": 0.12}
VERDICTS = {"no shift": "nothing to adapt", "inverted": "too far"}
PATIENTS = [f"p{number:02}" for number in range(30)]


# --- report -----------------------------------------------------------------------------------------------------------


def a_study(name: str = "blobs", seeds: int = 2) -> Study:
    data = Data(name, name, tiny_config(2, split=Split((), (1,), "-")), {})
    return Study(name, "blobs-model", data, seeds, 10)


def patients(dice: float) -> dict[str, float]:
    """Five patients around a Dice."""
    return {f"p{i}": round(dice + 0.02 * (i - 2), 6) for i in range(5)}


def a_line(entry: Entry, gain: float, verdict: str = "adapt") -> Line:
    """A stored run with its gain on the new scanner; the product takes it where there is one."""
    line: Line = {
        "study": entry.study, "scanner": entry.scanner, "arm": entry.arm, "seed": entry.seed, "severity": 1.5,
        "cpu_s": 10.0, "machine": "a machine", "date": "2026-11-20",
    }  # fmt: skip
    if entry.arm == SEVERITY:
        return line | {"losses": {"1.0": 0.01, "1.5": 0.07}}
    if entry.arm == AUDIT:
        return line | {"audit": {"verdict": verdict}}
    decision = {"vetoes": [] if gain > 0 else ["no"], "imitation_before": 0.5, "imitation_after": 0.5 + gain}
    line |= {"decision": decision} if entry.arm in ADAPTING else {}
    target, source = patients(SHIPPED["target"] + gain), patients(SHIPPED["source"] - 0.002 * (gain != 0))
    return line | {"target": target, "source": source, "lambda2_share": 0.4, "d2_accuracy": None}


def recorded(
    place: Path, study: Study, gains: Mapping[tuple[str, str], float] = {}, verdicts: Mapping[str, str] = VERDICTS
) -> Path:
    """Every run of a study; a gain may be another one under one scanner."""
    path = place / "adaptation.jsonl"
    for entry in wanted(study):
        gain = gains.get((entry.scanner, entry.arm), GAINS.get(entry.arm, 0.0))
        add_line(a_line(entry, gain, verdicts.get(entry.scanner, "adapt")), path)
    return path


def reported(
    place: Path, record: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *studies: Study
) -> tuple[int, str, str]:
    """The exit code, the page and the last line."""
    chosen = {study.name: study for study in studies or (a_study(),)}
    monkeypatch.setattr(reporting, "known_studies", lambda: chosen)
    page = place / "docs" / "adaptation.md"
    code = report(list(chosen), record, page)
    return code, page.read_text("utf-8"), capsys.readouterr().out.splitlines()[-1]


def stored(record: Path) -> Results:
    return of_study(a_study(), lines(record))


def test_the_claims_hold_where_the_product_gains_and_knows_when_to_leave_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = recorded(tmp_path, a_study())
    code, page, last = reported(tmp_path, record, monkeypatch, capsys)
    assert code == 0
    assert last == (
        "new scanner: blobs gains on 3 of 3 (+0.1200, +0.1200, +0.1200), source -0.0020 at worst; no shift untouched "
        "2 of 2; inverted refused 2 of 2; accepted when worse 0 of 0, rejected when better 0 of 18; adversary's own "
        "share blobs +0.0000 (+0.0000 to +0.0000): holds"
    )
    assert page.count(": holds. ") == 5
    assert "at least half of the loss is recovered on 3 of 3 (goal)" in page
    assert "| gamma and noise | contrast curve, Rician noise | 1.5 | 0.0700 | 0.2000 |" in page
    row = "| teacher | and a mean teacher on the new scans | 2 of 2 | 0.7200 | +0.1200 (+0.1200 to +0.1200) | 60% |"
    assert f"{row} 0.7980 | -0.0020 | +0.1200 | 10 | - | - |" in page
    assert "| adversary | and the second discriminator | 2 of 2 | 0.7200 |" in page
    assert "| +0.1200 | 10 | 40% | - |" in page
    assert "| do nothing | the shipped model | 1 of 1 | 0.6000 | - | - | 0.8000 | - | - | 10 | - | - |" in page
    assert "| teacher less restyle | mean over them | +0.0400 (+0.0400 to +0.0400) | helps |" in page
    assert "| adversary less teacher | blur and bias | +0.0000 (+0.0000 to +0.0000) | no difference |" in page
    assert "| remap and ghosts | 1 | adapt | accepted | 0.7200 | +0.1200 | -0.0020 |" in page
    assert "| no shift | 0 | nothing to adapt | untouched | - | +0.0000 | +0.0000 |" in page


def test_one_scanner_may_gain_nothing_but_two_may_not(tmp_path: Path) -> None:
    kept = {(scanner, "teacher"): -0.05 for scanner in STRONG}
    one = claims_of([stored(recorded(tmp_path / "one", a_study(), dict(list(kept.items())[:1])))])
    two = claims_of([stored(recorded(tmp_path / "two", a_study(), dict(list(kept.items())[:2])))])
    assert one[0].holds
    assert two[0].state == "does not hold: it does on 1"
    assert two[1].holds  # what was kept costs nothing


def test_a_model_that_is_accepted_although_it_is_worse_costs_the_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = recorded(tmp_path, a_study(), {("blur and bias", "teacher"): -0.05})
    for line in [line for line in lines(record) if "decision" in line]:
        add_line(line | {"decision": line["decision"] | {"vetoes": []}}, record)
    code, page, last = reported(tmp_path, record, monkeypatch, capsys)
    assert code == 1
    assert "never costs more than 0.01 Dice: does not hold: blur and bias -0.0500. At worst: blur and bias" in page
    assert "gains on 2 of 3 (+0.1200, -0.0500, +0.1200)" in last
    assert "accepted when worse 2 of 2" in last
    assert last.endswith(": does not hold")


@pytest.mark.parametrize(
    ("scanner", "verdict", "word"),
    [
        ("inverted", "adapt", "*inverted* adapting is refused: does not hold: seed 0: adapt, not run; seed 1"),
        ("inverted", "nothing to adapt", "does not hold: seed 0: nothing to adapt, untouched"),
        ("no shift", "adapt", "*no shift* nothing is adapted: does not hold: seed 0: adapt, not run"),
        ("no shift", "too far", "*no shift* nothing is adapted: does not hold: seed 0: too far, refused"),
    ],
)
def test_what_must_be_left_alone(
    scanner: str, verdict: str, word: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    record = recorded(tmp_path, a_study(), verdicts=VERDICTS | {scanner: verdict})
    code, page, _ = reported(tmp_path, record, monkeypatch, capsys)
    assert code == 1
    assert word in page
    assert (f"what came of adapting on {scanner}, seed 0, is not stored" in page) == (verdict == "adapt")


def test_an_adaptation_without_a_shift_may_be_tried_if_the_original_is_kept(tmp_path: Path) -> None:
    record = recorded(tmp_path, a_study(), verdicts=VERDICTS | {"no shift": "adapt"})
    for seed in range(2):
        add_line(a_line(Entry("blobs", "no shift", "teacher", seed), -0.1), record)
    _, cost, same, *_ = claims_of([stored(record)])
    assert cost.holds
    assert same.holds


def test_runs_that_wait_keep_claims_from_holding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = recorded(tmp_path, a_study())
    left = [line for line in lines(record) if (line["scanner"], line["arm"], line["seed"]) != (STRONG[0], "teacher", 1)]
    record.write_text("".join(json.dumps(line) + "\n" for line in left))
    code, page, last = reported(tmp_path, record, monkeypatch, capsys)
    assert code == 1
    assert page.count("waits for 1 run.") == 3  # gain, cost and default
    assert last.endswith(", 1 run waits: does not hold")
    assert "+0.1200 (+0.1200 to +0.1200) | 60% | 0.7980 " in page  # of the seed that is there
    assert f"| {STRONG[0]} | 1 | adapt | not run | - | - | - |" in page
    assert ", 1 of 2 seeds | helps |" in page


def test_an_arm_that_no_claim_needs_is_waited_for_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = recorded(tmp_path, a_study())
    left = [line for line in lines(record) if line["arm"] != "entropy"]
    record.write_text("".join(json.dumps(line) + "\n" for line in left))
    code, page, last = reported(tmp_path, record, monkeypatch, capsys)
    assert (code, page.count(": holds. ")) == (1, 5)
    assert last.endswith(", 6 runs wait: does not hold")
    assert waiting([a_study()], record) == [e for e in wanted(a_study()) if e.arm == "entropy"]


def test_nothing_stored_is_a_report_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, page, _ = reported(tmp_path, tmp_path / "none.jsonl", monkeypatch, capsys)
    assert code == 1
    assert "No run is stored yet." in page


def test_an_arm_that_a_model_cannot_have_is_a_dash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = recorded(tmp_path, a_study())
    for entry in wanted(a_study()):
        if entry.arm == "entropy":
            add_line(a_line(entry, 0.0) | {"target": None, "source": None}, record)
    code, page, _ = reported(tmp_path, record, monkeypatch, capsys)
    assert code == 0
    assert "(TENT) | 2 of 2 | - | - | - | - | - | - | 10 | - | - |" in page


def test_the_default_follows_the_adversarys_own_share_in_all_studies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def study_with(name: str, gain: float) -> Results:
        gains = {(scanner, "adversary"): gain for scanner in STRONG}
        return of_study(a_study(name), lines(recorded(tmp_path / name, a_study(name), gains)))

    better, worse, equal = study_with("better", 0.14), study_with("worse", 0.10), study_with("equal", 0.12)

    def holds(*every: Results) -> bool:
        return claims_of(every)[-1].holds

    answers = [holds(equal), holds(better, equal), holds(better, worse), holds(worse)]
    assert answers == [True, False, True, True]
    monkeypatch.setattr(claims, "Options", lambda: Options(adversary=0.5))
    assert [holds(equal), holds(better, equal), holds(better, worse), holds(worse)] == [not a for a in answers]


def test_the_default_arm_is_the_one_that_trains_like_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_default(ARMS[default_arm()][1])
    assert is_default(a_study().options(default_arm(), seed=3))
    monkeypatch.setattr(known, "Options", lambda: Options(consistency=0.0))
    assert default_arm() == "restyle"
    monkeypatch.setattr(known, "Options", lambda: Options(steps=7))
    assert default_arm() == ""


def test_the_recovered_share_is_of_what_the_shipped_model_lost(tmp_path: Path) -> None:
    results = stored(recorded(tmp_path, a_study()))
    assert results.loss(STRONG[0]) == pytest.approx(0.2)
    assert results.recovered(STRONG[0], 0.05) == pytest.approx(0.25)
    assert results.recovered(STRONG[0], None) is None
    assert results.recovered("inverted", 0.05) is None


def test_the_later_of_two_lines_counts_and_refusals_change_nothing(tmp_path: Path) -> None:
    record = recorded(tmp_path, a_study(), verdicts=VERDICTS | {STRONG[0]: "too far"})
    add_line(a_line(Entry("blobs", STRONG[1], "teacher", 0), 0.02), record)
    add_line(a_line(Entry("others", STRONG[1], "teacher", 0), 0.9), record)
    results = stored(record)
    assert mean(results.difference(STRONG[1], "teacher")) == pytest.approx((0.02 + 0.12) / 2)
    assert worst(results.difference(STRONG[1], "teacher")) == pytest.approx(0.02)
    assert set(changes(results, STRONG[0], "target")[0].values()) == {0.0}
    ends = {(o.scanner, o.seed): o.end for o in outcomes(results)}
    assert ends[STRONG[0], 0] == "refused"
    assert ends[STRONG[1], 1] == "accepted"


def test_decisions_are_counted_against_the_truth(tmp_path: Path) -> None:
    cases = [(True, -0.02, -0.01), (False, -0.03, -0.02), (True, -0.004, 0.0), (False, 0.006, 0.01), (True, 0.1, 0.2)]
    found = tally([Decided("teacher", *case) for case in cases])
    assert (found.decisions, found.worse, found.accepted_worse, found.better, found.rejected_better) == (5, 2, 1, 2, 1)
    assert found.correlation == pytest.approx(1.0)
    assert tally([]).correlation is None
    by_arm = decided(stored(recorded(tmp_path, a_study())))
    assert len(by_arm) == len(ADAPTING) * len(STRONG) * 2
    assert [d.gain for d in by_arm if d.arm == "restyle"] == pytest.approx([0.08] * 6)


def test_differences_pair_what_both_have() -> None:
    one = {0: {"a": 0.5, "b": 0.7}, 1: {"a": 0.6}, 2: {"a": 0.1}}
    other = {0: {"a": 0.4, "b": 0.4, "c": 0.9}, 1: {"a": 0.3}}
    gained = less(one, other)
    assert gained == {0: {"a": pytest.approx(0.1), "b": pytest.approx(0.3)}, 1: {"a": pytest.approx(0.3)}}
    assert mean(gained) == pytest.approx(0.2)  # of the patient that both seeds have
    assert averaged([one, other])[0] == {"a": pytest.approx(0.45), "b": pytest.approx(0.55)}
    assert averaged([]) == {}
    assert interval({}) is mean({}) is worst({0: {}}) is None


def test_a_line_is_of_one_run_alone() -> None:
    entry = Entry("blobs", STRONG[0], "teacher", 1)
    line = a_line(entry, 0.0)
    assert entry.is_line(line)
    others = ({"study": "x"}, {"scanner": "no shift"}, {"arm": "restyle"}, {"seed": 0})
    assert not any(entry.is_line(line | other) for other in others)
    names = [str(entry) for entry in wanted(a_study())]
    assert len(set(names)) == len(names)
    assert not any(" " in name for name in names)


# --- scanners ---------------------------------------------------------------------------------------------------------


def scan(dims: int) -> Volume:
    """A bright box in noise."""
    return blob_case("a.nii", (32, 40, 36)[:dims]).image


def shown(name: str, volume: Volume, of: str = "a.nii", severity: float = 1.0) -> np.ndarray:
    """What a scanner makes of a scan."""
    scanner = SCANNERS[name]
    return type(scanner)(scanner.name, scanner.what, scanner.transform, severity).scan(volume, of).array


def unit(array: np.ndarray) -> np.ndarray:
    return np.asarray((array - array.min()) / np.ptp(array))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", STRONG)
def test_a_scanner_is_the_same_for_the_same_scan_and_jitters_from_scan_to_scan(name: str, dims: int) -> None:
    volume = scan(dims)
    once, again, other = shown(name, volume), shown(name, volume), shown(name, volume, of="b.nii")
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert (once.shape, once.dtype) == (volume.array.shape, np.float32)
    assert np.isfinite(once).all()


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", STRONG)
def test_severity_raises_the_change(name: str, dims: int) -> None:
    volume = scan(dims)
    versions = [shown(name, volume, severity=severity).ravel() for severity in (0.25, 1.0, 2.0)]
    little, more, most = (np.corrcoef(version, volume.array.ravel())[0, 1] for version in versions)
    assert little > more > most


@pytest.mark.parametrize("dims", [2, 3])
def test_no_shift_changes_the_scale_alone_and_inverted_the_order(dims: int) -> None:
    volume = scan(dims)
    assert shown("no shift", volume) == pytest.approx(1000 * unit(volume.array), abs=1e-3)
    order = np.argsort(volume.array, axis=None)
    assert (np.diff(shown("inverted", volume).ravel()[order]) <= 0).all()


def test_one_voxel_value_does_not_divide_by_zero() -> None:
    flat = Volume(array=np.full((16, 16), 7, np.float32))
    assert all(np.isfinite(shown(name, flat)).all() for name in SCANNERS)


# --- parts and arms ---------------------------------------------------------------------------------------------------


def cases_of(*names: str) -> list[Case]:
    return [blob_case(name, (16, 16)) for name in names]


def test_source_new_and_test_share_no_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    study = a_study()
    cases = tuple(cases_of(*(f"{patient}-{i}.nii" for patient in PATIENTS for i in range(2))))
    monkeypatch.setattr(known, "all_cases", lambda folder: cases)
    drawn = set()
    for seed in range(4):
        found = parts(study, seed)
        who = [{study.data.patient(case.name) for case in each} for each in (found.source, found.new, found.test)]
        assert all(who)
        assert len(set.union(*who)) == sum(map(len, who))
        assert {study.data.fold(case.name) for case in found.new} == {1}
        assert {study.data.fold(case.name) for case in found.test} == {0}
        assert 1 in {study.data.fold(case.name) for case in found.source}  # somebody has to judge
        drawn.add(frozenset(who[1]))
    assert len(drawn) > 1


def test_evenly_spaced_ones() -> None:
    cases = cases_of(*"abcdefg")
    assert [case.name for case in evenly(cases, 3)] == ["a", "d", "g"]
    assert evenly(cases, 20) == cases
    assert evenly([], 3) == []


def test_labelled_are_all_scans_of_the_first_patients() -> None:
    cases = cases_of("p-1", "q-1", "p-2", "r-1")
    assert [case.name for case in labelled(a_study(), cases, 1)] == ["p-1", "p-2"]
    assert [case.name for case in labelled(a_study(), cases, 2)] == ["p-1", "q-1", "p-2"]


@pytest.mark.parametrize("arm", [arm for arm in ARMS if ARMS[arm][1] is not None])
def test_an_arm_changes_what_it_says_and_nothing_else(arm: str) -> None:
    options = a_study().options(arm, 3)
    fixed: dict[str, Any] = {"restyle": True, "consistency": 0.3, "adversary": 0.0, "seed": 0, "patient_until": ""}
    told = {name: getattr(options, name) for name in fixed}
    assert Options(**told) == options
    assert (options.seed, options.patient_until) == (3, "-")


@pytest.mark.parametrize(("kind", "moves"), [("DynUNet", True), ("UNet", False)])
def test_entropy_moves_the_norm_layers_alone_or_there_are_none_to_move(kind: Any, moves: bool) -> None:
    model = random_model(2, 1, preprocessing=Z_SCORE, arch=Arch(kind, (4, 8, 8), ((2, 2),) * 2))
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    result = sharpened(model, [blob_case(seed=seed, shape=(24, 24)).image for seed in range(2)], 3, 0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.network.state_dict().items())
    assert (result is not None) == moves
    if result is None:
        return
    modules = result.network.named_modules(remove_duplicate=False)  # a DynUNet knows its layers under two names
    norms = {name for name, module in modules if is_norm(module)}
    for name, tensor in result.network.state_dict().items():
        assert torch.equal(tensor, before[name]) == (name.rpartition(".")[0] not in norms)
    assert not result.network.training
