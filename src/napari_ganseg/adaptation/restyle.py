"""Restyle: one scan gets the look of another (greys, shading, sharpness, noise) and shows what it showed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_ganseg.adaptation.appearance import (
    BANDS,
    Appearance,
    Doubles,
    Floats,
    channels_of,
    frequencies,
    noise,
    polynomial,
    power,
    power_ratio,
    quantiles,
    shading,
)
from napari_ganseg.volume import Volume

EDGE = 8  # voxels mirrored around the image, so that a filter meets no border
DECILE = 10  # of the quantiles, which are percentiles
MOST_BLUR, BISECTIONS = 4.0, 7  # voxels
GAINS = (0.02, 3.0)  # within which a band's amplitude is changed


def restyled(volume: Volume, other: Appearance, strength: float, rng: np.random.Generator) -> Volume:
    """Bring a scan closer to another one's look.

    Args:
        volume: as `seen` makes it.
        other: what it shall look like.
        strength: 0 leaves it, 1 goes all the way.
        rng: for the noise that is added where the other scan has more.
    """
    made = []
    for i, channel in enumerate(channels_of(volume)):
        shaded = channel + strength * shade(other.shading[i], shading(channel), channel.shape)
        grey = mapped(shaded, quantiles(shaded), other.quantiles[i], strength)
        made.append(noisier(filtered(grey, other.power[i], strength), strength * other.noise[i], rng))
    array = np.stack(made).astype(np.float32)
    return volume.derive(array=array if volume.has_channels else array[0])


def shade(wanted: Doubles, own: Doubles, shape: tuple[int, ...]) -> Floats:
    """What turns one shading into another; nothing where there is none to be had."""
    made = np.zeros(shape, np.float32)
    if wanted.any():
        for factor, term in zip((wanted - own).astype(np.float32), polynomial(shape), strict=True):
            made += factor * term
    return made


def mapped(array: Floats, own: Doubles, other: Doubles, strength: float) -> Floats:
    """Grey values moved from one scan's quantiles towards another's; what lies beyond keeps its distance."""
    step = np.maximum(np.diff(own), 1e-9).cumsum()
    steps = own[0] + np.concatenate([[0.0], step])  # strictly growing, as `interp` wants it
    moved = np.interp(array, steps, other) + np.minimum(array - steps[0], 0) + np.maximum(array - steps[-1], 0)
    return np.asarray((1 - strength) * array + strength * moved, np.float32)


def filtered(array: Floats, wanted: Doubles, strength: float) -> Floats:
    """Amplitudes of every band but the lowest brought towards another scan's."""
    gains = np.sqrt(np.clip(wanted / power(array), GAINS[0] ** 2, GAINS[1] ** 2)) ** strength
    gains[0] = 1.0
    padded = np.pad(array, EDGE, mode="symmetric")
    middles = (np.arange(BANDS) + 0.5) / (2 * BANDS)
    curve = np.interp(frequencies(padded.shape), middles, gains)
    made = np.fft.irfftn(np.fft.rfftn(padded) * curve, s=padded.shape, axes=range(padded.ndim))
    return np.asarray(made[(slice(EDGE, -EDGE),) * array.ndim], np.float32)


def noisier(array: Floats, wanted: float, rng: np.random.Generator) -> Floats:
    """Noise added up to a deviation."""
    missing = np.sqrt(max(0.0, wanted**2 - noise(array) ** 2))
    return array + rng.normal(0, missing, array.shape).astype(np.float32) if missing else array


def imitated(volume: Volume, own: Appearance, other: Appearance, rng: np.random.Generator) -> Volume:
    """The look of another scanner by other means than `restyled`: what is usual there, put upon what is usual here.

    For judging: what was trained on one imitation is not measured on the same one. Differences between patients stay.

    Args:
        volume: as `seen` makes it.
        own, other: what is usual on either scanner, as `usual` makes it.
        rng: for the noise.
    """
    made = []
    for i, channel in enumerate(channels_of(volume)):
        shaded = channel + shade(other.shading[i], own.shading[i], channel.shape)
        before = own.quantiles[i] + quantiles(shaded) - quantiles(channel)  # what shading alone does to greys is done
        grey = mapped(shaded, np.sort(before[::DECILE]), other.quantiles[i][::DECILE], 1.0)
        soft = blurred(grey, power_ratio(other.power[i]) - power_ratio(own.power[i]))
        made.append(noisier(soft, float(other.noise[i]), rng))
    array = np.stack(made).astype(np.float32)
    return volume.derive(array=array if volume.has_channels else array[0])


def usual(looks: Sequence[Appearance]) -> Appearance:
    """The median of several looks, number by number."""
    numbers = ("quantiles", "power", "noise", "shading")
    medians = {name: np.median([getattr(look, name) for look in looks], axis=0) for name in numbers}
    return Appearance(**medians, polarity=float(np.median([look.polarity for look in looks])))


def blurred(array: Floats, softer_by: float) -> Floats:
    """A Gaussian blur that raises the power ratio by so much; nothing where it would have to sharpen."""
    wanted, sigmas = power_ratio(power(array)) + softer_by, (0.0, MOST_BLUR)
    if softer_by <= 0:
        return array
    for _ in range(BISECTIONS):
        middle = sum(sigmas) / 2
        is_enough = power_ratio(power(gaussian(array, middle))) >= wanted
        sigmas = (sigmas[0], middle) if is_enough else (middle, sigmas[1])
    return gaussian(array, sum(sigmas) / 2)


def gaussian(array: Floats, sigma: float) -> Floats:
    """Blurred by so many voxels."""
    return np.asarray(gaussian_filter(array, sigma, mode="nearest"), np.float32)
