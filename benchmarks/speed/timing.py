"""Seconds by the clock and of the processor, several ways in turn in one process: what slows one slows all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import torch


@dataclass(frozen=True, slots=True)
class Seconds:
    """Of one call: by the clock, and of all processor cores together."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Rounds:
    """Seconds of every way in every round."""

    of: dict[str, list[Seconds]]

    def typical(self, way: str) -> Seconds:
        """The medians."""
        return Seconds(median(s.wall for s in self.of[way]), median(s.cpu for s in self.of[way]))

    def times(self, slow: str, fast: str) -> Seconds:
        """How many times faster one way is: the median over the rounds of the ratio within each."""
        pairs = list(zip(self.of[slow], self.of[fast], strict=True))
        return Seconds(median(a.wall / b.wall for a, b in pairs), median(a.cpu / b.cpu for a, b in pairs))

    def beyond(self, way: str, bare: str) -> Seconds:
        """What one way takes longer than another: the median over the rounds."""
        pairs = list(zip(self.of[way], self.of[bare], strict=True))
        return Seconds(median(a.wall - b.wall for a, b in pairs), median(a.cpu - b.cpu for a, b in pairs))


def timed(work: Callable[[], object], device: torch.device) -> Seconds:
    """Seconds of one call; a GPU is waited for."""
    wait(device)
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wait(device)
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def in_turn(ways: Mapping[str, Callable[[], object]], rounds: int, device: torch.device) -> Rounds:
    """Every way once per round, the order reversed in every other round."""
    found: dict[str, list[Seconds]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways) if number % 2 == 0 else reversed(list(ways)):
            found[name].append(timed(ways[name], device))
    return Rounds(found)


def wait(device: torch.device) -> None:
    """Until a GPU has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
