"""How a model wants its voxel values: a CT window, a z-score per volume, or plain colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ganseg.volume import Volume

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CTWindow:
    """Clip Hounsfield units to [low, high], subtract `mean`, divide by `std` (nnU-Net's CT scheme)."""

    low: float
    high: float
    mean: float
    std: float

    def __post_init__(self) -> None:
        if not (self.low < self.high and self.std > 0):
            raise ValueError(f"a CT window needs low < high and std > 0, not {self.low:g}, {self.high:g}, {self.std:g}")

    def apply(self, volume: Volume) -> Volume:
        """Return the volume in float32, the same numbers for the same tissue in every scan."""
        values = np.clip(volume.array.astype(np.float32), self.low, self.high)
        return volume.derive(array=(values - np.float32(self.mean)) / np.float32(self.std))


@dataclass(frozen=True, slots=True)
class ZScore:
    """Clip to two percentiles, then zero mean and unit deviation, per volume and channel: MRI has no absolute scale."""

    low_percent: float = 0.5
    high_percent: float = 99.5

    def __post_init__(self) -> None:
        if not 0 <= self.low_percent < self.high_percent <= 100:
            raise ValueError(f"percentiles run from 0 to 100, not {self.low_percent:g} to {self.high_percent:g}")

    def apply(self, volume: Volume) -> Volume:
        """Return the volume in float32; a constant image becomes zeros."""
        if not volume.has_channels:
            return volume.derive(array=self._one(volume.array))
        return volume.derive(array=np.stack([self._one(channel) for channel in volume.array]))

    def _one(self, array: npt.NDArray[np.generic]) -> Floats:
        values = array.astype(np.float32)
        low, high = np.percentile(values, (self.low_percent, self.high_percent))
        values = np.clip(values, np.float32(low), np.float32(high))
        mean, std = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
        if std <= 1e-6 * max(1.0, abs(mean)):
            return np.zeros_like(values)
        return (values - np.float32(mean)) / np.float32(std)


@dataclass(frozen=True, slots=True)
class UnitRange:
    """Map [low, high] to [-1, 1]: colour pictures, whose numbers already mean the same everywhere."""

    low: float = 0.0
    high: float = 255.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"a range needs low < high, not {self.low:g} to {self.high:g}")

    def apply(self, volume: Volume) -> Volume:
        """Return the volume in float32."""
        values = (volume.array.astype(np.float32) - np.float32(self.low)) / np.float32(self.high - self.low)
        return volume.derive(array=np.clip(values, 0.0, 1.0) * np.float32(2.0) - np.float32(1.0))


Intensity = CTWindow | ZScore | UnitRange
INTENSITIES: dict[str, type[CTWindow] | type[ZScore] | type[UnitRange]] = {
    "ct_window": CTWindow,
    "z_score": ZScore,
    "unit_range": UnitRange,
}
