"""A card reads well for people and leaves nothing out that decides whether to trust the model."""

from __future__ import annotations

from builders import make_card

from napari_ganseg.models.card import Adversary, Provenance
from napari_ganseg.models.describe import adversary_in_words, describe, in_short

MADE = Provenance(
    "boxes", "3 training cases", "napari-ganseg train", 7, "2026-01-01", "0.1", {"test_dice": 0.8, "x": 1}
)


def test_a_card_has_its_sections() -> None:
    text = describe(make_card(provenance=MADE, citations=("A. et al.",), about="Small."))
    for part in (
        "# tiny",
        "Small.",
        "- 1 organ 1",
        "Dice on held-out cases: 0.800",
        "- boxes",
        "seed 7",
        "- A. et al.",
    ):
        assert part in text


def test_what_a_card_does_not_say_has_no_heading() -> None:
    text = describe(make_card())
    assert "Please cite" not in text
    assert "None" not in text
    assert "\n\n\n" not in text


def test_in_short_there_are_three_lines() -> None:
    assert in_short(make_card(provenance=MADE)).splitlines() == [
        "tiny (3D any, Dice 0.800, BSD-3-Clause)", "    for tests", "    1 organ 1",
    ]  # fmt: skip


def test_an_adversary_says_what_it_did() -> None:
    words = adversary_in_words(Adversary("adversarial", 0.9, 0.8, 0.11, 0.88, 0.87))
    assert words == (
        "trained with an adversary: it took part in 90% of the steps after warm-up; 11.0% of the segmentation's "
        "gradient (median); D tells held-out truth from prediction with AUROC 0.80; validation Dice 0.8800 with it, "
        "0.8700 without at equal steps"
    )
    assert adversary_in_words(Adversary()) == "trained without an adversary"
    assert "did too little to count" in adversary_in_words(Adversary(lambda_share=0.1))


def test_a_model_that_shipped_without_says_what_its_twin_with_an_adversary_did() -> None:
    words = adversary_in_words(Adversary("supervised", 0.9, 0.8, 0.11, 0.86, 0.87))
    assert words.startswith(
        "trained without an adversary, since the same training with one was no better: it took part"
    )
