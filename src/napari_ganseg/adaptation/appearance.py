"""How a scan looks, apart from what it shows: grey values, sharpness, noise and shading, as a network sees them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude
from scipy.stats import spearmanr

from napari_ganseg import grid
from napari_ganseg.inference.domain import finite
from napari_ganseg.models import Card
from napari_ganseg.volume import Volume

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
QUANTILES, BANDS = 101, 12
SMOOTH = 1.0  # voxels: grey values are counted where noise does not broaden them
LARGEST = 160  # voxels along an axis that are looked at
FLOOR = 1e-6  # of a spectrum whose variance is 1
COARSE = 1.5  # voxels: a polarity is that of shapes, not of noise
STRIDE = 7  # of the voxels that a shading or polarity is found from
MAD = 0.6745  # median of |x| of a normal distribution


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """What one scan looks like; a row per channel.

    Attributes:
        quantiles: (channels, 101) of the lightly smoothed grey values.
        power: (channels, 12) in bands of the distance from zero frequency up to half a cycle a voxel, without noise's.
        noise: (channels,) standard deviation of what differs from voxel to voxel.
        shading: (channels, terms) of a polynomial of second degree over the whole image; zeros where grey values have
            an absolute meaning, as in CT, whose smooth part is the body itself.
        polarity: rank correlation of grey values with how steep they are, -1 to 1: bright tissue on dark air is above
            zero, and no rising curve of greys changes the sign; inverted contrast does.
    """

    quantiles: Doubles
    power: Doubles
    noise: Doubles
    shading: Doubles
    polarity: float

    @property
    def softness(self) -> float:
        """Mean power ratio of the channels."""
        return float(np.mean([power_ratio(power) for power in self.power]))


def seen(volume: Volume, card: Card) -> Volume:
    """A scan at the model's spacing with the values that its network gets."""
    image, _ = grid.resample(finite(volume), card.spacing)
    return card.preprocessing.intensity().apply(image)


def appearance(volume: Volume, *, is_shaded: bool = True) -> Appearance:
    """What a scan looks like.

    Args:
        volume: as `seen` makes it.
        is_shaded: whether its shading is the scanner's.
    """
    whole = channels_of(volume)
    channels = [central(channel) for channel in whole]
    return Appearance(
        np.array([quantiles(c) for c in channels]),
        np.array([power(c) for c in channels]),
        np.array([noise(c) for c in channels]),
        np.array([shading(c) * is_shaded for c in whole]),
        float(np.mean([polarity(c) for c in channels])),
    )


def channels_of(volume: Volume) -> Floats:
    """(channels, ...) in float32, also of an image of one."""
    array = volume.array.astype(np.float32, copy=False)
    return array if volume.has_channels else array[np.newaxis]


def central(array: Floats) -> Floats:
    """The middle, at most so large that it is quickly looked at."""
    starts = [max(0, (n - LARGEST) // 2) for n in array.shape]
    return array[tuple(slice(s, s + LARGEST) for s in starts)]


def quantiles(array: Floats) -> Doubles:
    """(101,) from the smallest to the largest grey value, lightly smoothed."""
    return np.asarray(np.quantile(smooth(array), np.linspace(0, 1, QUANTILES)))


def smooth(array: Floats) -> Floats:
    """Without most of its noise."""
    return np.asarray(gaussian_filter(array, SMOOTH, mode="nearest"), np.float32)


def noise(array: Floats) -> float:
    """Deviation of white noise, robust against edges (Donoho 1994); where voxels are equal, as outside a mask, none."""
    fine = array.astype(np.float64)
    for axis in range(array.ndim):
        fine = np.diff(fine, axis=axis) / np.sqrt(2)
    fine = np.abs(fine[fine != 0])
    return float(np.median(fine) / MAD) if fine.size else 0.0


def power(array: Floats) -> Doubles:
    """(12,) mean squared amplitude per band under a Hann window; white noise of deviation 1 would give ones."""
    window = functools.reduce(np.multiply.outer, [np.hanning(n + 2)[1:-1] for n in array.shape])
    spectrum = np.abs(np.fft.rfftn((array - array.mean()) * window)) ** 2 / (window**2).sum()
    band = np.minimum((2 * BANDS * frequencies(array.shape)).astype(int), BANDS)
    sums = np.bincount(band.ravel(), spectrum.ravel(), BANDS + 1)[:BANDS]
    means = sums / np.maximum(np.bincount(band.ravel(), minlength=BANDS + 1)[:BANDS], 1)
    return np.asarray(np.maximum(means - noise(array) ** 2, FLOOR))


def shading(array: Floats) -> Doubles:
    """(terms,) the least-squares polynomial of second degree, without its constant."""
    flat = np.stack([np.broadcast_to(t, array.shape).reshape(-1)[::STRIDE] for t in polynomial(array.shape)], axis=1)
    values = array.reshape(-1)[::STRIDE].astype(np.float64)
    return np.asarray(np.linalg.lstsq(np.c_[flat, np.ones(len(flat))], values, rcond=None)[0][:-1])


def polarity(array: Floats) -> float:
    """Whether bright or dark is where something is; 0 in an image without contrast."""
    greys = gaussian_filter(array, COARSE, mode="nearest").ravel()[::STRIDE]
    steep = gaussian_gradient_magnitude(array, COARSE, mode="nearest").ravel()[::STRIDE]
    if np.ptp(greys) == 0 or np.ptp(steep) == 0:
        return 0.0
    return float(spearmanr(greys, steep).statistic)


@functools.lru_cache(maxsize=4)
def polynomial(shape: tuple[int, ...]) -> tuple[Floats, ...]:
    """Products of at most two coordinates, each from -1 to 1 over the image; of length 1 along the other axes."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in shape], indexing="ij", sparse=True)
    return (*axes, *[a * b for a, b in itertools.combinations_with_replacement(axes, 2)])


def power_ratio(power: Doubles) -> float:
    """Logarithm of the power in coarse bands over that in fine ones: blur raises it by much."""
    half = BANDS // 2
    return float(np.log(power[1:half].sum() / power[half:].sum()))


def frequencies(shape: Sequence[int]) -> Doubles:
    """Distance from zero frequency of every coefficient of a real transform, in cycles a voxel."""
    axes = [np.fft.fftfreq(n) for n in shape[:-1]] + [np.fft.rfftfreq(shape[-1])]
    squares = [np.square(f).reshape([-1 if i == k else 1 for i in range(len(shape))]) for k, f in enumerate(axes)]
    return np.asarray(np.sqrt(functools.reduce(np.add, squares)))
