"""What an adaptation needs, in words that every form of it uses; no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_ganseg.models.card import Card

LEAST_SOURCE, LEAST_TARGET = 8, 2  # scans; of the first, three or more judge
ASSUMES = "Your patients resemble those the model learnt from; only the scanner differs."


def no_source(card: Card, missing: str, instead: str) -> str:
    """That there are no labelled scans, and where they may be had.

    Args:
        card: of the model.
        missing: how to name them: an option, a folder.
        instead: how to fine-tune.
    """
    learnt = f" It learnt from: {card.provenance.data}." if card.provenance.data else ""
    return (
        f"Adapting {card.name} needs labelled scans like those it was trained on, which no model file holds: "
        f"{missing}.{learnt} Without any, label three of the new scans and fine-tune: {instead}."
    )
