"""napari-ganseg models [NAME]."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add(commands: Any) -> None:
    """The command and its options."""
    command = commands.add_parser(
        "models", help="list the models", description="Every model found, and what is wrong with others."
    )
    command.add_argument("name", nargs="?", help="show this one's whole card")
    command.add_argument("--json", action="store_true", help="the card as the model file holds it")
    command.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """List models by name, or print one card."""
    from napari_ganseg.models import find_card, search_models
    from napari_ganseg.models.card import card_to_json
    from napari_ganseg.models.describe import describe, in_short

    if options.name:
        card = find_card(options.name)
        print(json.dumps(json.loads(card_to_json(card)), indent=1) if options.json else describe(card))
        return 0
    for found in search_models():
        if found.card is None:
            print(f"{found.path.name}\n    CANNOT BE USED: {found.fault}")
        else:
            print(in_short(found.card))
    return 0
