"""What is claimed, each with its figures and whether it holds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.record import machine

RECORD = Path("docs/benchmarks/speed.jsonl")


@dataclass(frozen=True, slots=True)
class Claim:
    """One line of the promise."""

    words: str
    holds: bool

    def __str__(self) -> str:
        return f"{'PASS' if self.holds else 'FAIL'} {self.words}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one command measured.

    Attributes:
        command: its name.
        claims: those it speaks about.
        rows: figures, as JSON values.
    """

    command: str
    claims: tuple[Claim, ...]
    rows: list[dict[str, Any]]

    @property
    def holds(self) -> bool:
        """Whether all claims do."""
        return all(claim.holds for claim in self.claims)

    @property
    def line(self) -> dict[str, Any]:
        """For the record, with the machine and how busy it was."""
        claims = [{"words": claim.words, "holds": claim.holds} for claim in self.claims]
        load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
        return {
            "command": self.command, "holds": self.holds, "claims": claims, "rows": self.rows,
            "machine": machine(), "load": load, "date": date.today().isoformat(),
        }  # fmt: skip


def at_least(name: str, value: float, bar: float, unit: str = "") -> Claim:
    """A figure that must not be lower."""
    return Claim(f"{name} {value:.4g}{unit} (at least {bar:g}{unit})", value >= bar)


def at_most(name: str, value: float, bar: float, unit: str = "") -> Claim:
    """A figure that must not be higher."""
    return Claim(f"{name} {value:.4g}{unit} (at most {bar:g}{unit})", value <= bar)
