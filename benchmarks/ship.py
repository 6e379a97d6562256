"""Put a trained model among those that come with the plugin: measured on its held-out fold, pinned, and on record.

    python -m benchmarks.ship runs/gan/NAME.ganseg.safetensors --without runs/plain/NAME.ganseg.safetensors

Of the same training with and without an adversary the better ships, by the validation cases; a model whose adversary
was idle or did not help is called supervised. The held-out figure goes onto the card, the file's SHA-256 into the list
in the wheel, and a line for each training into docs/benchmarks/runs.jsonl.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.models import held_out_names, mean_of, own_data, score_all
from napari_ganseg.models import Model, find_model, save_model
from napari_ganseg.models.card import Card
from napari_ganseg.models.file import SUFFIX
from napari_ganseg.models.library import PINS, SHIPPED

RUNS = Path("docs/benchmarks/runs.jsonl")


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
    figures = [(model, test_dice(model)) for model in (trained, plain) if model]
    for model, dice in figures:
        record(finished(model.card, dice, options.data_words))
    trained, dice = better(figures)
    card = finished(compared(trained.card, figures), dice, options.data_words)
    SHIPPED.mkdir(exist_ok=True)
    path = SHIPPED / f"{card.name}{SUFFIX}"
    save_model(path, card, trained.network)
    pin(path)
    for model, measured in figures:
        share = model.card.adversary.lambda_share
        print(f"adversary in {share:.0%} of the steps: validation {validation(model):.4f}, held-out {measured:.4f}")
    print(f"{path.name}: held-out Dice {dice:.4f}, {path.stat().st_size / 1e6:.1f} MB")
    return 0


def validation(model: Model) -> float:
    """Dice of the validation cases, which chose the weights."""
    return model.card.provenance.metrics["validation_dice"]


def better(figures: Sequence[tuple[Model, float]]) -> tuple[Model, float]:
    """The model with the higher validation Dice, and its held-out figure, which decides nothing."""
    steps = {model.card.provenance.metrics["steps"] for model, _ in figures}
    if len(steps) > 1:
        sys.exit(f"The two were not trained for equal steps: {sorted(steps)}.")
    return max(figures, key=lambda pair: validation(pair[0]))


def compared(card: Card, figures: Sequence[tuple[Model, float]]) -> Card:
    """The card with both figures; what the adversary did stays on it where the plain model ships."""
    if len(figures) < 2:
        return card
    (adversarial, _), (plain, _) = figures
    did, helped = adversarial.card.adversary, validation(adversarial) >= validation(plain)
    verdict = did.verdict if helped else "supervised"
    both = {"dice_with": validation(adversarial), "dice_without": validation(plain)}
    return replace(card, adversary=replace(did, verdict=verdict, **both))


def test_dice(model: Model) -> float:
    """Mean Dice over the held-out fold."""
    names = held_out_names(model.card.name)
    scores = score_all(own_data(model.card.name), names, model)
    values = [c.value for c in model.card.classes]
    means = [mean_of(s, values) for s in scores]
    return float(np.mean([m for m in means if m is not None]))


def finished(card: Card, dice: float, data: str | None) -> Card:
    """The card with its held-out figure; the data's folder is named, not where this machine keeps it."""
    provenance = card.provenance
    parts = provenance.command.split(" ")
    command = " ".join(f"$GANSEG_DATA/{p.rsplit('/', 1)[1]}" if "/data/" in p else p for p in parts)
    metrics = {**provenance.metrics, "test_dice": round(dice, 4)}
    return replace(card, provenance=replace(provenance, command=command, metrics=metrics, data=data or provenance.data))


def pin(path: Path) -> None:
    """Write the file's SHA-256 into the list that the library trusts."""
    pins = json.loads(PINS.read_text()) if PINS.exists() else {}
    pins[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    PINS.write_text(json.dumps(dict(sorted(pins.items())), indent=1) + "\n")


def record(card: Card) -> None:
    """One line for the finished run."""
    RUNS.parent.mkdir(parents=True, exist_ok=True)
    line = {
        "model": card.name, "data": card.provenance.data, "split": card.provenance.split, "seed": card.provenance.seed,
        "command": card.provenance.command, "scores": card.provenance.metrics, "adversary": asdict(card.adversary),
        "machine": f"{torch.get_num_threads()} of {torch.multiprocessing.cpu_count()} cores, {platform.machine()}, "
        f"Python {sys.version.split()[0]}, torch {torch.__version__}", "date": card.provenance.created,
    }  # fmt: skip
    with open(RUNS, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
