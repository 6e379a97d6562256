"""How a model wants its voxel values: a CT window, a z-score per volume, or plain colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ganseg.volume import Array, Volume

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scaling:
    """Clip to [low, high], subtract `mean`, divide by `std`: a number for every channel, or one for all."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def of(self, array: Array) -> Floats:
        """Scale (channels, ...) values; the result is float32."""

        def each(numbers: tuple[float, ...]) -> Floats:
            return np.array(numbers, np.float32).reshape(-1, *[1] * (array.ndim - 1))

        values: Floats = np.clip(array.astype(np.float32, copy=False), each(self.low), each(self.high))
        values -= each(self.mean)
        values /= each(self.std)
        return values


class Scaled:
    """What the kinds of intensity have in common."""

    __slots__ = ()

    def scaling(self, sample: Callable[[], Array]) -> Scaling:
        """The numbers to scale a scan by.

        Args:
            sample: gives (channels, ...) voxels of the scan; asked only where the numbers depend on them.
        """
        raise NotImplementedError

    def apply(self, volume: Volume) -> Volume:
        """Return the volume in float32, scaled."""
        array = volume.array if volume.has_channels else volume.array[np.newaxis]
        values = self.scaling(lambda: array).of(array)
        return volume.derive(array=values if volume.has_channels else values[0])


@dataclass(frozen=True, slots=True)
class CTWindow(Scaled):
    """Clip Hounsfield units to [low, high], subtract `mean`, divide by `std` (nnU-Net's CT scheme)."""

    low: float
    high: float
    mean: float
    std: float

    def __post_init__(self) -> None:
        if not (self.low < self.high and self.std > 0):
            raise ValueError(f"a CT window needs low < high and std > 0, not {self.low:g}, {self.high:g}, {self.std:g}")

    def scaling(self, sample: Callable[[], Array]) -> Scaling:
        """The same numbers for the same tissue in every scan."""
        return Scaling((self.low,), (self.high,), (self.mean,), (self.std,))


@dataclass(frozen=True, slots=True)
class ZScore(Scaled):
    """Clip to two percentiles, then zero mean and unit deviation, per volume and channel: MRI has no absolute scale."""

    low_percent: float = 0.5
    high_percent: float = 99.5

    def __post_init__(self) -> None:
        if not 0 <= self.low_percent < self.high_percent <= 100:
            raise ValueError(f"percentiles run from 0 to 100, not {self.low_percent:g} to {self.high_percent:g}")

    def scaling(self, sample: Callable[[], Array]) -> Scaling:
        """Found in the scan; a constant image becomes zeros."""
        low, high, mean, std = zip(*[self._one(channel) for channel in sample()], strict=True)
        return Scaling(low, high, mean, std)

    def _one(self, array: Array) -> tuple[float, float, float, float]:
        values = array.astype(np.float32)
        low, high = np.percentile(values, (self.low_percent, self.high_percent))
        values = np.clip(values, np.float32(low), np.float32(high))
        mean, std = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
        is_constant = std <= 1e-6 * max(1.0, abs(mean))
        return float(low), float(high), mean, np.inf if is_constant else std


@dataclass(frozen=True, slots=True)
class UnitRange(Scaled):
    """Map [low, high] to [-1, 1]: colour pictures, whose numbers already mean the same everywhere."""

    low: float = 0.0
    high: float = 255.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"a range needs low < high, not {self.low:g} to {self.high:g}")

    def scaling(self, sample: Callable[[], Array]) -> Scaling:
        """The middle and half of the range."""
        return Scaling((self.low,), (self.high,), ((self.low + self.high) / 2,), ((self.high - self.low) / 2,))


Intensity = CTWindow | ZScore | UnitRange
INTENSITIES: dict[str, type[CTWindow] | type[ZScore] | type[UnitRange]] = {
    "ct_window": CTWindow,
    "z_score": ZScore,
    "unit_range": UnitRange,
}
