"""The record of trainings, docs/benchmarks/runs.jsonl: one line each, and no path of this machine."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from pathlib import Path, PurePath
from typing import Any

import torch

from napari_ganseg.models.card import Card

RUNS = Path("docs/benchmarks/runs.jsonl")
DATA = "$GANSEG_DATA/"


def lines(path: Path | None = None) -> list[dict[str, Any]]:
    """Every training on record."""
    path = path or RUNS
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line] if path.exists() else []


def add_line(line: dict[str, Any], path: Path | None = None) -> None:
    """Write one line, in one piece."""
    path = path or RUNS
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line, allow_nan=False) + "\n")


def described(card: Card) -> dict[str, Any]:
    """What a finished training's card says of it."""
    made = card.provenance
    return {
        "model": card.name, "data": made.data, "split": made.split, "seed": made.seed,
        "command": public_command(made.command), "scores": made.metrics, "machine": machine(), "date": made.created,
    }  # fmt: skip


def plain_twin(card: Card) -> float | None:
    """The held-out Dice on record of the same training without an adversary."""
    mine = described(card)
    for line in reversed(lines()):
        is_plain = line.get("adversary", {}).get("lambda_share") == 0
        is_twin = all(line[key] == mine[key] for key in ("model", "split", "seed"))
        if is_plain and is_twin and line["scores"]["steps"] == mine["scores"].get("steps"):
            dice: float | None = line["scores"].get("test_dice")
            return dice
    return None


def machine() -> str:
    """Processor, GPU and versions, in words."""
    cores = f"{torch.get_num_threads()} of {os.cpu_count()} cores, {platform.machine()}"
    gpus = [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
    return ", ".join([*gpus, cores, f"Python {sys.version.split()[0]}", f"torch {torch.__version__}"])


def public_command(command: str) -> str:
    """A command line that means the same elsewhere: data below $GANSEG_DATA, of other absolute paths the last parts."""
    return " ".join(public_word(word) for word in shlex.split(command))


def public_word(word: str) -> str:
    """One word of a command line; of `--option=PATH` the path."""
    option, equals, value = word.partition("=") if word.startswith("--") and "=" in word else ("", "", word)
    path = public_path(value)
    return option + equals + (path if path.startswith(DATA) else shlex.quote(path))


def public_path(path: str) -> str:
    """`/srv/data/heart` as `$GANSEG_DATA/heart`, `/home/me/runs/a.json` as `runs/a.json`, others unchanged."""
    root = os.environ.get("GANSEG_DATA", "").rstrip("/") + "/"
    if root != "/" and path.startswith(root):
        return DATA + path.removeprefix(root).rstrip("/")
    if "/data/" in path:
        return DATA + path.rsplit("/data/", 1)[1].rstrip("/")
    return "/".join(PurePath(path).parts[-2:]).lstrip("/") if path.startswith("/") else path
