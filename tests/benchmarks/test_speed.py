"""The speed benchmark: its arithmetic, and that every way runs; no time is asserted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.record import lines
from benchmarks.speed import __main__ as program
from benchmarks.speed.claims import Claim, Finding, at_least, at_most
from benchmarks.speed.growth import exponent
from benchmarks.speed.memory import Sizes, memory
from benchmarks.speed.peak import Peak, peak_of, reckoned
from benchmarks.speed.report import report
from benchmarks.speed.scan import equal_tiles
from benchmarks.speed.subjects import Subject, smooth_noise, subject_of
from benchmarks.speed.table import Compared, beyond_claims, compared
from benchmarks.speed.timing import Rounds, Seconds, in_turn
from benchmarks.speed.ways import BARE_HALF, COMMON, OURS, agreement, common, common_tiles, ours, own_tiles, ways

from napari_ganseg.volume import Volume

CPU = torch.device("cpu")
PATCH = (16, 16, 16)


def small(shape: tuple[int, ...] = (24, 32, 40), classes: int = 3) -> Subject:
    """A scan of a few tiles, and one convolution."""
    return subject_of(shape, classes, "one convolution", PATCH)


def test_a_map_agrees_with_itself() -> None:
    labels = np.arange(24).reshape(2, 3, 4) % 4
    assert agreement(labels, labels) == {1: 1.0, 2: 1.0, 3: 1.0}


def test_a_class_that_one_map_lacks_agrees_nowhere() -> None:
    assert agreement(np.array([0, 1, 2]), np.array([0, 1, 0])) == {1: 1.0, 2: 0.0}


def test_ratios_are_formed_within_a_round() -> None:
    seconds = [Seconds(1.0, 2.0), Seconds(10.0, 4.0)]
    rounds = Rounds({"slow": [Seconds(4 * s.wall, 3 * s.cpu) for s in seconds], "fast": seconds})
    assert rounds.times("slow", "fast") == Seconds(4.0, 3.0)
    assert rounds.beyond("slow", "fast") == Seconds(16.5, 6.0)


def test_every_other_round_takes_the_ways_in_reverse() -> None:
    told: list[str] = []
    in_turn({"a": lambda: told.append("a"), "b": lambda: told.append("b")}, 2, CPU)
    assert told == ["a", "b", "b", "a"]


def test_what_is_linear_grows_with_the_power_of_one() -> None:
    assert exponent([1, 10, 100], [2, 20, 200]) == pytest.approx(1.0)


def test_claims_hold_at_their_bars_and_not_beyond() -> None:
    assert at_least("times", 4.0, 4).holds
    assert at_most("share", 0.25, 0.25).holds
    assert not at_least("times", 3.99, 4).holds
    assert str(at_most("share", 0.3, 0.25)).startswith("FAIL share 0.3")


@pytest.mark.parametrize("classes", [3, 25])
def test_time_beyond_the_network_is_judged_against_its_bar(classes: int) -> None:
    times = {name: [Seconds(2.0, 2.0)] for name in (COMMON, OURS)} | {
        name: [Seconds(1.0, 1.0)] for name in ("bare fp32", BARE_HALF)
    }
    [claim] = beyond_claims(Compared(classes, Rounds(times), {}, 1.0, (1, 1)), is_gpu=False)
    assert not claim.holds  # all of the bare time, and as much as MONAI


def test_arithmetic_counts_all_scores() -> None:
    assert reckoned((10, 10, 10), 24, (5, 5, 5)).beyond == 4 * 26_000 + 12_500
    assert reckoned((10, 10, 10), 24, (5, 5, 5)).is_reckoned


def test_the_same_scan_comes_every_time_and_has_the_wanted_shape() -> None:
    scan = smooth_noise((170, 9, 8))
    assert scan.shape == (170, 9, 8)
    assert np.array_equal(scan, smooth_noise((170, 9, 8)))
    assert np.array_equal(scan[160:], scan[:10])


def test_every_way_runs_and_labels_alike() -> None:
    subject = small()
    for way in ways(subject).values():
        found = way(subject)
        assert found is None or found.shape == subject.volume.shape
    assert min(agreement(ours(subject, "float32"), common(subject)).values()) > 0.9


def test_the_windows_are_those_that_monai_takes() -> None:
    subject, seen = small(), []
    subject.model.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    common(subject)
    cut = [subject.image[(..., *box)] for box in common_tiles(subject)]
    assert all(torch.equal(a, b) for a, b in zip(seen, cut, strict=True))


def test_our_tiles_are_those_that_the_engine_takes() -> None:
    subject, seen = small(), []
    subject.model.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    ours(subject)
    cut = [subject.image[(..., *box)] for box in own_tiles(subject)]
    assert all(torch.allclose(a, b) for a, b in zip(seen, cut, strict=True))


def test_equal_tiles_in_float32_give_equal_labels() -> None:
    subject = small((33, 45, 50))
    assert equal_tiles(subject) > 0.999


def test_a_widened_model_labels_as_the_shipped_one() -> None:
    few, many = (subject_of((48, 64, 64), classes, "shipped") for classes in (7, 25))
    found = ours(many, "float32")
    assert found.max() <= 7
    assert np.array_equal(ours(few, "float32"), found)


def test_a_peak_is_measured_in_a_process_of_its_own() -> None:
    peak = peak_of(OURS, (24, 32, 32), 3, patch=PATCH)
    assert peak.total > 0
    assert not peak.is_reckoned


def test_where_monai_does_not_fit_arithmetic_stands_in_its_place() -> None:
    assert peak_of(COMMON, (100_000, 1000, 1000), 117).is_reckoned


def test_memory_speaks_of_every_number_of_classes_and_of_the_whole_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.speed.memory.peak_of", lambda way, *_: Peak(10 if way == OURS else 80, 100))
    finding = memory(sizes=Sizes((8, 8, 8), (9, 9, 9), (2, 4)))
    assert len(finding.claims) == 5
    assert finding.holds


def test_all_ways_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.speed.table.peak_of", lambda *_: Peak(2**20, 2**21))
    found = compared((24, 32, 40), 3, "one convolution", 1, "cpu", PATCH)
    assert [row["way"] for row in found.rows((24, 32, 40), "one convolution")] == list(ways(small()))
    json.dumps(found.rows((24, 32, 40), "one convolution"), allow_nan=False)


def test_a_run_is_kept_and_its_last_line_says_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"way": OURS, "shape": [1, 2, 3], "classes": 3, "peak_mib": 4, "cpu": 5.0, "is_reckoned": False}
    finding = Finding("growth", (Claim("power 0.9", holds=True),), [row])
    monkeypatch.setitem(program.COMMANDS, "growth", lambda _: finding)
    monkeypatch.setattr(program, "RECORD", tmp_path / "speed.jsonl")
    assert program.main(["--growth"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "PASS power 0.9"
    assert lines(tmp_path / "speed.jsonl")[0]["holds"]
    assert report(tmp_path / "speed.jsonl", tmp_path / "speed.md") == 1  # the others were not run
    assert "1x2x3" in (tmp_path / "speed.md").read_text("utf-8")


def test_a_subject_is_scaled_as_its_card_says() -> None:
    subject = small()
    bright = replace(subject, volume=Volume(array=np.full((16, 16, 16), 3000, np.int16)))
    assert float(bright.image.max()) == 5.0  # 1000 HU over 200
