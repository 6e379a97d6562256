"""Put a trained model among those that come with the plugin: measured on its held-out fold, pinned, and on record.

    python -m benchmarks.ship runs/gan/NAME.ganseg.safetensors --without runs/plain/NAME.ganseg.safetensors

Of the same training with and without an adversary the plain one ships, called supervised, unless the adversary gains
at least 0.005 Dice on the validation cases: less is noise, and what does not help is switched off. The held-out figure
goes onto the card, the file's SHA-256 into the list in the wheel, the card into docs/models.md, and a line for each
training, with its own held-out figure, into docs/benchmarks/runs.jsonl.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.cards import PAGE, page
from benchmarks.figures import Figures
from benchmarks.models import held_out
from benchmarks.record import add_line, described, public_command
from napari_ganseg.models import Model, find_model, save_model
from napari_ganseg.models.card import Card
from napari_ganseg.models.file import SUFFIX
from napari_ganseg.models.library import PINS, SHIPPED
from napari_ganseg.training import config_from_json

RECIPES = Path(__file__).parent / "recipes"
NOISE = 0.005  # Dice; between two trainings that differ by the seed alone


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, pin, record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ship", description="Ship a trained model.")
    parser.add_argument("model", type=Path, help="NAME.ganseg.safetensors, as training wrote it")
    parser.add_argument("--without", type=Path, help="the same training without an adversary")
    parser.add_argument("--data-words", help="what the training data are, for the card")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    trained = find_model(options.model.absolute())
    plain = find_model(options.without.absolute()) if options.without else None
    arms = [(model, held_out(model)) for model in (trained, plain) if model]
    best, figures = better(arms)
    if figures.swaps:
        sys.exit(f"{best.card.name} is not fit to ship: {'; '.join(figures.swaps)}.")
    for model, measured in arms:
        record(finished(model.card, measured.mean, options.data_words))
    card = worded(finished(compared(best.card, arms), figures.mean, options.data_words))
    SHIPPED.mkdir(exist_ok=True)
    path = SHIPPED / f"{card.name}{SUFFIX}"
    save_model(path, card, best.network)
    pin(path)
    PAGE.write_text(page(), encoding="utf-8")
    for model, measured in arms:
        share, scores = model.card.adversary.lambda_share, f"validation {validation(model):.4f}"
        print(f"adversary in {share:.0%} of the steps: {scores}, held-out {measured.mean:.4f}")
    print(f"{path.name}: held-out Dice {figures.mean:.4f}, {path.stat().st_size / 1e6:.1f} MB")
    return 0


def validation(model: Model) -> float:
    """Dice of the validation cases, which chose the weights."""
    return model.card.provenance.metrics["validation_dice"]


def better(arms: Sequence[tuple[Model, Figures]]) -> tuple[Model, Figures]:
    """The model that ships, and its held-out figures, which decide nothing."""
    steps = {model.card.provenance.metrics["steps"] for model, _ in arms}
    if len(steps) > 1:
        sys.exit(f"The two were not trained for equal steps: {sorted(steps)}.")
    return arms[0] if len(arms) == 1 or helped(arms) else arms[1]


def helped(arms: Sequence[tuple[Model, Figures]]) -> bool:
    """Whether the first arm's adversary gained more than noise over the second arm, which has none."""
    (adversarial, _), (plain, _) = arms
    return validation(adversarial) - validation(plain) >= NOISE


def compared(card: Card, arms: Sequence[tuple[Model, Figures]]) -> Card:
    """The card with both figures; what the adversary did stays on it where the plain model ships."""
    if len(arms) < 2:
        return card
    (adversarial, _), (plain, _) = arms
    did = adversarial.card.adversary
    verdict = did.verdict if helped(arms) else "supervised"
    both = {"dice_with": validation(adversarial), "dice_without": validation(plain)}
    return replace(card, adversary=replace(did, verdict=verdict, **both))


def worded(card: Card) -> Card:
    """The card with the recipe's words for people, which may have become better since the training began."""
    recipe = RECIPES / f"{card.name}.json"
    if not recipe.exists():
        return card
    words = config_from_json(recipe.read_bytes()).card
    return replace(card, summary=words.summary, about=words.about)


def finished(card: Card, dice: float, data: str | None) -> Card:
    """The card with its held-out figure; its command names files as anyone could, not where this machine keeps them."""
    made = card.provenance
    metrics = {**made.metrics, "test_dice": round(dice, 4)}
    made = replace(made, command=public_command(made.command), metrics=metrics, data=data or made.data)
    return replace(card, provenance=made)


def pin(path: Path) -> None:
    """Write the file's SHA-256 into the list that the library trusts."""
    pins = json.loads(PINS.read_text()) if PINS.exists() else {}
    pins[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    PINS.write_text(json.dumps(dict(sorted(pins.items())), indent=1) + "\n")


def record(card: Card) -> None:
    """One line for the finished run."""
    add_line(described(card) | {"adversary": asdict(card.adversary)})


if __name__ == "__main__":
    raise SystemExit(main())
