"""A card for people: what a model finds, what it was taught with, how good it is, and what its adversary did."""

from __future__ import annotations

from napari_ganseg.models.card import Adversary, Card

FIGURES = {"test_dice": "Dice on held-out cases", "validation_dice": "Dice on validation cases"}


def in_short(card: Card) -> str:
    """Three lines: name and score, summary, classes."""
    dice = card.provenance.metrics.get("test_dice", card.provenance.metrics.get("validation_dice"))
    score = f", Dice {dice:.3f}" if dice is not None else ""
    classes = ", ".join(f"{c.value} {c.name}" for c in card.classes)
    return f"{card.name} ({card.dims}D {card.modality}{score}, {card.licence})\n    {card.summary}\n    {classes}"


def describe(card: Card) -> str:
    """The whole card in Markdown that reads well as plain text."""
    parts = [f"# {card.name}", card.summary, card.about, *sections(card)]
    return "\n\n".join(part for part in parts if part)


def sections(card: Card) -> list[str]:
    """The card's lists under their headings."""
    made = card.provenance
    scores = [f"{words}: {made.metrics[key]:.3f}" for key, words in FIGURES.items() if key in made.metrics]
    return [
        listed("Finds", [f"{c.value} {c.name}" for c in card.classes]),
        listed("Expects", [f"{', '.join(card.channels)} ({card.dims}D)", card.field_of_view.region, resolution(card)]),
        listed("How good", [*scores, adversary_in_words(card.adversary)]),
        listed("Taught with", [made.data, made.split, f"seed {made.seed}, {made.created}", code(made.command)]),
        listed("Licence", [f"weights: {card.licence}", card.data_licence and f"data: {card.data_licence}"]),
        listed("Please cite", card.citations),
    ]


def listed(heading: str, lines: list[str] | tuple[str, ...]) -> str:
    """A heading and its points; nothing where there are none."""
    points = [f"- {line}" for line in lines if line]
    return "\n".join([f"## {heading}", "", *points]) if points else ""


def resolution(card: Card) -> str:
    """At what voxel size the network works."""
    size = " x ".join(f"{s:g}" for s in reversed(card.spacing))
    return f"any voxel size; the network itself works at {size} mm" if card.modality in ("CT", "MR") else ""


def code(command: str) -> str:
    """A command, marked as one."""
    return f"`{command}`" if command else ""


def adversary_in_words(a: Adversary) -> str:
    """What the adversary did, and whether it helped."""
    if a.lambda_share == 0 and a.auroc is None:
        return "trained without an adversary"
    facts = [f"it took part in {a.lambda_share:.0%} of the steps after warm-up"]
    if a.gradient_ratio is not None:
        facts.append(f"{a.gradient_ratio:.1%} of the segmentation's gradient (median)")
    if a.auroc is not None:
        facts.append(f"D tells held-out truth from prediction with AUROC {a.auroc:.2f}")
    if a.dice_with is not None and a.dice_without is not None:
        facts.append(f"validation Dice {a.dice_with:.4f} with it, {a.dice_without:.4f} without at equal steps")
    return f"{beginning(a)}: {'; '.join(facts)}"


def beginning(a: Adversary) -> str:
    """Whether these weights, or those of a twin, had the adversary."""
    if a.verdict == "adversarial":
        return "trained with an adversary"
    if a.dice_with is not None and a.dice_without is not None:
        return "trained without an adversary, since the same training with one was no better"
    return "trained with an adversary that did too little to count (supervised)"
