"""How memory grows: peaks of fresh processes, a single convolution in place of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.speed.claims import Claim, Finding, at_most
from benchmarks.speed.peak import Peak, peak_of
from benchmarks.speed.subjects import Network
from benchmarks.speed.ways import COMMON, OURS

SHAPE, LONG = (200, 256, 256), (1200, 512, 512)  # voxels (z, y, x)
CLASSES = (25, 117)
TILE = (64, 64, 64)  # of both; the engine takes what a model's card says
SHARE, FLAT, LONG_GB = 0.25, 5.0, 3.0
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is measured; smaller in tests."""

    shape: Sequence[int] = SHAPE
    long: Sequence[int] = LONG
    classes: Sequence[int] = CLASSES
    patch: Sequence[int] = TILE
    network: Network = "one convolution"


def memory(device: str = "cpu", sizes: Sizes | None = None) -> Finding:
    """Against MONAI's, with twice the slices, and on a scan of the whole body."""
    sizes = sizes or Sizes()
    claims: list[Claim] = []
    rows: list[dict[str, Any]] = []

    def peak(way: str, shape: Sequence[int], classes: int) -> Peak:
        found = peak_of(way, shape, classes, sizes.network, device, sizes.patch)
        rows.append(row(way, shape, classes, found) | {"network": sizes.network})
        return found

    double = (2 * sizes.shape[0], *sizes.shape[1:])
    for classes in sizes.classes:
        own, theirs = peak(OURS, sizes.shape, classes), peak(COMMON, sizes.shape, classes)
        mark = ", reckoned" if theirs.is_reckoned else ""
        share = own.beyond / theirs.beyond
        claims.append(at_most(f"{classes} classes: {own.beyond / MIB:.0f} MiB, of MONAI's{mark}", share, SHARE))
        grown = 100 * (peak(OURS, double, classes).beyond / own.beyond - 1)
        claims.append(at_most(f"{classes} classes: more with twice the slices", grown, FLAT, " %"))
    whole = peak(OURS, sizes.long, sizes.classes[0]).total / 1e9
    claims.append(at_most(f"{'x'.join(map(str, sizes.long))}: in total", whole, LONG_GB, " GB"))
    return Finding("memory", tuple(claims), rows)


def row(way: str, shape: Sequence[int], classes: int, peak: Peak) -> dict[str, Any]:
    """Figures of one peak."""
    return {
        "way": way, "shape": [*shape], "classes": classes, "peak_mib": round(peak.beyond / MIB),
        "total_mib": round(peak.total / MIB), "is_reckoned": peak.is_reckoned, "wall": peak.wall, "cpu": peak.cpu,
    }  # fmt: skip
