"""Restyle: one scan gets the look of another (greys, shading, sharpness, noise) and shows what it showed."""

from __future__ import annotations

import numpy as np

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
    quantiles,
    shading,
    smooth,
)
from napari_ganseg.volume import Volume

EDGE = 8  # voxels mirrored around the image, so that a filter meets no border
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
        shaded = channel + strength * shade(other.shading[i], channel)
        grey = mapped(shaded, quantiles(shaded), other.quantiles[i], strength)
        made.append(noisier(filtered(grey, other.power[i], strength), strength * other.noise[i], rng))
    array = np.stack(made).astype(np.float32)
    return volume.derive(array=array if volume.has_channels else array[0])


def shade(wanted: Doubles, array: Floats) -> Floats:
    """What turns an image's shading into another one; nothing where there is none to be had."""
    made = np.zeros_like(array)
    if wanted.any():
        missing = (wanted - shading(array)).astype(np.float32)
        for factor, term in zip(missing, polynomial(array.shape), strict=True):
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


def imitated(volume: Volume, other: Volume) -> Volume:
    """The look of another scan by other means than `restyled`: its amplitudes with this one's phases, its histogram.

    For judging: what was trained on one imitation is not measured on the same one.

    Args:
        volume, other: as `seen` makes them, of any sizes.
    """
    pairs = zip(channels_of(volume), channels_of(other), strict=True)
    made = np.stack([ranked(with_amplitudes(a, fitted(b, a.shape)), b) for a, b in pairs])
    return volume.derive(array=made if volume.has_channels else made[0])


def fitted(array: Floats, shape: tuple[int, ...]) -> Floats:
    """Cut or mirrored to a shape, about its middle."""
    for axis, want in enumerate(shape):
        have = array.shape[axis]
        if have < want:
            before = (want - have) // 2
            widths = [(before, want - have - before) if k == axis else (0, 0) for k in range(array.ndim)]
            array = np.pad(array, widths, mode="symmetric")
        array = np.take(array, np.arange(want) + max(0, (have - want) // 2), axis=axis)
    return array


def with_amplitudes(array: Floats, other: Floats) -> Floats:
    """Phases of one image, smoothed amplitudes of another (Yang 2020) outside the lowest frequencies."""
    own = np.fft.rfftn(array)
    low = frequencies(array.shape) < 1 / (2 * BANDS)
    ratio = smooth(np.abs(np.fft.rfftn(other)).astype(np.float32)) / np.maximum(
        smooth(np.abs(own).astype(np.float32)), 1e-6
    )
    made = np.fft.irfftn(own * np.where(low, 1.0, ratio), s=array.shape, axes=range(array.ndim))
    return np.asarray(made, np.float32)


def ranked(array: Floats, other: Floats) -> Floats:
    """The other image's histogram, exactly: the n-th smallest value becomes its n-th smallest."""
    order = np.argsort(array, axis=None, kind="stable")
    values = np.quantile(other, np.linspace(0, 1, array.size))
    made = np.empty(array.size, np.float32)
    made[order] = values
    return made.reshape(array.shape)
