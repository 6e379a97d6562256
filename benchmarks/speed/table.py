"""All ways on one scan: seconds, memory and agreement; the quick claims, and those on time beyond the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import fmean
from typing import Any

from benchmarks.speed.claims import Claim, Finding, at_least, at_most
from benchmarks.speed.peak import Peak, peak_of, reckoned, room
from benchmarks.speed.subjects import PATCH, Network, Subject, subject_of
from benchmarks.speed.timing import Rounds, in_turn
from benchmarks.speed.ways import (
    BARE,
    BARE_HALF,
    COMMON,
    HALF,
    OURS,
    agreement,
    common,
    common_tiles,
    ours,
    own_tiles,
    ways,
)  # fmt: skip

QUICK, TABLE = (96, 128, 128), (96, 144, 192)  # voxels (z, y, x)
CLASSES = (3, 25, 117)
MEASURED = (COMMON, HALF, OURS)
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Compared:
    """All ways on one scan.

    Attributes:
        rounds: seconds; without MONAI's where its scores do not fit.
        peaks: by way.
        dice: of ours against MONAI's, mean over classes.
        tiles: of MONAI and of ours.
    """

    classes: int
    rounds: Rounds
    peaks: dict[str, Peak]
    dice: float | None
    tiles: tuple[int, int]

    @property
    def has_monai(self) -> bool:
        """Whether MONAI's call fits in memory."""
        return COMMON in self.rounds.of

    def rows(self, shape: Sequence[int], network: Network) -> list[dict[str, Any]]:
        """One line of figures per way."""
        about = {"shape": [*shape], "classes": self.classes, "network": network, "dice": self.dice}
        made = []
        for name in dict.fromkeys([*self.rounds.of, *self.peaks]):
            tiles = self.tiles[name in (OURS, BARE_HALF)]
            made.append(about | {"way": name, "tiles": tiles} | self._figures(name))
        return made

    def _figures(self, name: str) -> dict[str, Any]:
        seconds = asdict(self.rounds.typical(name)) if name in self.rounds.of else {"wall": None, "cpu": None}
        peak = self.peaks.get(name)
        memory: dict[str, Any] = {"peak_mib": None, "is_reckoned": False}
        if peak:
            memory = {"peak_mib": round(peak.beyond / MIB), "is_reckoned": peak.is_reckoned}
        return {key: value and round(value, 3) for key, value in seconds.items()} | memory


def compared(shape: Sequence[int], classes: int, network: Network, rounds: int, device: str,
             patch: Sequence[int] = PATCH) -> Compared:  # fmt: skip
    """Time all ways in turn in this process, then the peaks in fresh ones."""
    subject = subject_of(shape, classes, network, patch, device)
    fits = device != "cpu" or reckoned(shape, classes, patch).total < room()
    chosen = ways(subject) if fits else {k: v for k, v in ways(subject).items() if k not in (COMMON, HALF)}
    warm(subject)
    calls = {name: partial(way, subject) for name, way in chosen.items()}
    found = in_turn(calls, rounds, subject.device)
    dice = mean_dice(subject) if fits else None
    peaks = {way: peak_of(way, shape, classes, network, device, patch) for way in MEASURED}
    return Compared(classes, found, peaks, dice, (len(common_tiles(subject)), len(own_tiles(subject))))


def warm(subject: Subject) -> None:
    """One tile both ways, so that nobody pays for what torch prepares at its first call."""
    small = Subject(
        subject.volume.derive(array=subject.volume.array[tuple(slice(n) for n in subject.model.card.patch)]),
        subject.model, subject.device,
    )  # fmt: skip
    common(small)
    ours(small)


def mean_dice(subject: Subject) -> float:
    """Agreement of ours with MONAI's common call."""
    return fmean(agreement(ours(subject), common(subject)).values() or [1.0])


def quick(device: str = "cpu", rounds: int = 2, shape: Sequence[int] = QUICK) -> Finding:
    """Faster, leaner and the same in under a minute: the shipped network with 25 classes on the sample scan."""
    found = compared(shape, 25, "shipped", rounds, device)
    times, ours_b, monai_b = found.rounds.times(COMMON, OURS), found.peaks[OURS].beyond, found.peaks[COMMON].beyond
    claims = (
        at_least("times faster than MONAI by the clock", times.wall, 2),
        at_most("share of MONAI's memory", ours_b / monai_b, 0.5),
        at_least("Dice with MONAI's labels", found.dice or 0.0, 0.99),
        Claim(f"for the record: {times.cpu:.3g} times fewer processor seconds", holds=True),
    )
    return Finding("quick", claims, found.rows(shape, "shipped"))


def overhead(device: str = "cpu", rounds: int = 3, shape: Sequence[int] = TABLE,
             classes: Sequence[int] = CLASSES, patch: Sequence[int] = PATCH) -> Finding:  # fmt: skip
    """Seconds beyond the bare forward passes of the same tiles, a U-Net with random weights."""
    claims: list[Claim] = []
    rows: list[dict[str, Any]] = []
    for count in classes:
        found = compared(shape, count, "unet", rounds, device, patch)
        claims += beyond_claims(found, is_gpu=device != "cpu")
        rows += found.rows(shape, "unet")
    return Finding("overhead", tuple(claims), rows)


def beyond_claims(found: Compared, is_gpu: bool) -> list[Claim]:
    """By processor seconds, which other programs disturb least; on a GPU by the clock."""
    own, bare = found.rounds.beyond(OURS, BARE_HALF), found.rounds.typical(BARE_HALF)
    claims = []
    if found.classes <= 3:
        share = own.wall / bare.wall if is_gpu else own.cpu / bare.cpu
        claims.append(at_most(f"{found.classes} classes: beyond the bare passes", 100 * share, 5, " %"))
    elif found.has_monai:
        theirs = found.rounds.beyond(COMMON, BARE)
        share = own.wall / theirs.wall if is_gpu else own.cpu / theirs.cpu
        claims.append(at_most(f"{found.classes} classes: beyond the bare passes, over MONAI's", share, 0.5))
    if is_gpu and found.has_monai:
        claims.append(at_least(f"{found.classes} classes: times faster", found.rounds.times(COMMON, OURS).wall, 2))
    return claims
