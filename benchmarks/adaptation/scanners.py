"""Scanners: fixed transforms of a scan's grey values, one per scanner, with a little jitter from scan to scan."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, zoom

from napari_ganseg.volume import Volume

Floats = npt.NDArray[np.float64]
Transform = Callable[[Floats, float, np.random.Generator], Floats]
JITTER = 0.1  # of a scanner's strength, either way, from scan to scan
KNOTS = (0.0, 0.32, 0.40, 0.72, 0.78, 1.0)  # of the remap: where 0, 0.2 ... 1.0 go


@dataclass(frozen=True, slots=True)
class Scanner:
    """One scanner.

    Attributes:
        severity: 1 is what ADAPT's "strong" means; the benchmark raises it until the shipped model loses enough.
    """

    name: str
    what: str
    transform: Transform
    severity: float = 1.0

    def scan(self, volume: Volume, name: str) -> Volume:
        """The volume as this scanner shows it; the same name gives the same scan."""
        rng = np.random.default_rng(int(hashlib.sha256(f"{self.name} {name}".encode()).hexdigest()[:12], 16))
        values = volume.array.astype(np.float64)
        low, high = float(values.min()), float(values.max())
        unit = (values - low) / max(high - low, 1e-9)
        strength = self.severity * rng.uniform(1 - JITTER, 1 + JITTER)
        return volume.derive(array=(1000 * self.transform(unit, strength, rng)).astype(np.float32))


def gamma_noise(unit: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Another contrast curve, and Rician noise."""
    return rician(unit ** (1 + 1.5 * strength), 0.08 * strength, rng)


def blur_bias(unit: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """A soft image, brighter on one side, and some noise."""
    return rician(gaussian_filter(unit, 1.3 * strength) * bias(unit.shape, 0.6 * strength), 0.03 * strength, rng)


def remap_ghost(unit: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Tissues in other greys, thick pixels, ghosts of the motion."""
    curve = np.linspace(0, 1, len(KNOTS))
    grey = np.interp(unit, curve, curve + min(strength, 1.3) * (np.array(KNOTS) - curve))
    return rician(ghosted(coarse(grey, max(0.2, 1 - 0.6 * strength)), 0.35 * strength), 0.02, rng)


def inverted(unit: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Bright is dark."""
    return 1 - unit


def unchanged(unit: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """The scan as it was."""
    return unit


def rician(unit: Floats, deviation: float, rng: np.random.Generator) -> Floats:
    """The magnitude of an image with noise in both parts."""
    parts = rng.normal(0, deviation, (2, *unit.shape))
    return np.asarray(np.hypot(unit + parts[0], parts[1]))


def bias(shape: tuple[int, ...], strength: float) -> Floats:
    """A smooth factor: a polynomial of third degree, always the same one."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    x, y = axes[-1], axes[-2]
    return np.asarray(np.exp(strength * (0.7 * x + 0.4 * y - 0.5 * x * y + 0.3 * x**3 - 0.2 * y**2)))


def coarse(unit: Floats, share: float) -> Floats:
    """Sampled at a share of the resolution, and back."""
    shape = np.array(unit.shape)
    small = np.maximum(np.round(shape * share), 2)
    low = zoom(unit, small / shape, order=1)
    return np.asarray(zoom(low, shape / np.array(low.shape), order=1))


def ghosted(unit: Floats, strength: float) -> Floats:
    """Every fifth line of k-space weaker, but for the middle: copies of the image, shifted."""
    k = np.fft.fftshift(np.fft.fft(unit, axis=-2), axes=-2)
    lines = np.arange(k.shape[-2])
    factor = np.where((lines % 5 == 0) & (np.abs(lines - len(lines) // 2) > 1), 1 - strength, 1.0)
    k *= factor[:, np.newaxis]
    return np.abs(np.fft.ifft(np.fft.ifftshift(k, axes=-2), axis=-2))


STRONG = ("gamma and noise", "blur and bias", "remap and ghosts")
SCANNERS = {
    scanner.name: scanner
    for scanner in (
        Scanner("gamma and noise", "contrast curve, Rician noise", gamma_noise),
        Scanner("blur and bias", "blur, bias field, noise", blur_bias),
        Scanner("remap and ghosts", "grey values remapped, low resolution, ghosts", remap_ghost),
        Scanner("no shift", "nothing changed", unchanged),
        Scanner("inverted", "inverted contrast", inverted),
    )
}
