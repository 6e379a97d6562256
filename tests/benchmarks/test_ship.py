"""Shipping: the better arm goes out with its own figures, both go on record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks import record, ship
from benchmarks.figures import Figures, Measured
from builders import random_model

from napari_ganseg.models import Model, load_model, save_model
from napari_ganseg.models.card import Adversary

TEST_DICE = {"adversarial": 0.71, "supervised": 0.72}


def arm(folder: Path, verdict: str, validation: float, steps: float = 10) -> Path:
    """A trained model's file."""
    model = random_model()
    metrics = {"validation_dice": validation, "steps": steps, "minutes": 1.0}
    made = replace(model.card.provenance, metrics=metrics, command="napari-ganseg train /srv/data/x --run /a/b/c")
    adversary = Adversary(verdict, lambda_share=0.9 if verdict == "adversarial" else 0.0)  # type: ignore[arg-type]
    folder.mkdir()
    path = folder / "tiny.ganseg.safetensors"
    save_model(path, replace(model.card, provenance=made, adversary=adversary), model.network)
    return path


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing reaches the package or the record."""
    monkeypatch.setattr(ship, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(ship, "PINS", tmp_path / "shipped" / "sha256.json")
    monkeypatch.setattr(record, "RUNS", tmp_path / "runs.jsonl")
    monkeypatch.setattr(ship, "held_out", figures)


def figures(model: Model) -> Figures:
    return Figures((Measured("a", {1: TEST_DICE[model.card.adversary.verdict]}),), (1,))


@pytest.mark.parametrize(("plain", "dice", "verdict"), [(0.8, 0.71, "adversarial"), (0.9, 0.72, "supervised")])
def test_the_better_arm_by_validation_ships_with_its_own_figure(
    tmp_path: Path, plain: float, dice: float, verdict: str
) -> None:
    arms = arm(tmp_path / "gan", "adversarial", 0.85), arm(tmp_path / "plain", "supervised", plain)
    assert ship.main([str(arms[0]), "--without", str(arms[1])]) == 0
    card = load_model(tmp_path / "shipped" / "tiny.ganseg.safetensors").card
    assert card.provenance.metrics["test_dice"] == dice
    assert card.provenance.command == "napari-ganseg train $GANSEG_DATA/x --run b/c"
    assert (card.adversary.verdict, card.adversary.dice_with, card.adversary.dice_without) == (verdict, 0.85, plain)
    assert [line["scores"]["test_dice"] for line in record.lines()] == [0.71, 0.72]


def test_a_gain_within_noise_counts_as_none(tmp_path: Path) -> None:
    arms = arm(tmp_path / "gan", "adversarial", 0.85), arm(tmp_path / "plain", "supervised", 0.846)
    ship.main([str(arms[0]), "--without", str(arms[1])])
    card = load_model(tmp_path / "shipped" / "tiny.ganseg.safetensors").card
    assert card.provenance.metrics["test_dice"] == TEST_DICE["supervised"]
    assert card.adversary.verdict == "supervised"


def test_the_pin_is_the_files_own_hash(tmp_path: Path) -> None:
    ship.main([str(arm(tmp_path / "plain", "supervised", 0.8))])
    assert list(json.loads((tmp_path / "shipped" / "sha256.json").read_text())) == ["tiny.ganseg.safetensors"]


def test_arms_of_unequal_steps_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    arms = arm(tmp_path / "gan", "adversarial", 0.8), arm(tmp_path / "plain", "supervised", 0.8, steps=11)
    with pytest.raises(SystemExit, match="equal steps"):
        ship.main([str(arms[0]), "--without", str(arms[1])])
    assert not record.lines()


def test_a_model_that_swaps_sides_does_not_ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swapped = Figures((Measured("a", {1: 0.9}, swaps=("Right is left",)),), (1,))
    monkeypatch.setattr(ship, "held_out", lambda model: swapped)
    with pytest.raises(SystemExit, match="not fit to ship: a: Right is left"):
        ship.main([str(arm(tmp_path / "plain", "supervised", 0.8))])
    assert not (tmp_path / "shipped").exists()
