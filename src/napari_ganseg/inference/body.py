"""Which tiles hold anything: air around the patient is background without asking the network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_ganseg.intensity import Scaling
from napari_ganseg.models import Card

Floats = npt.NDArray[np.float32]
AIR_HU = -900.0  # lung is denser, most of it; what a window cuts off nobody can tell from air
LEAST = 1e-3  # share of a CT's tile that has to be denser; a vein's dose of contrast, or a table's edge, is more


class Body:
    """Where a scan, scaled for a model, is more than its darkest value; in a CT, more than air.

    Args:
        card: of the model.
        scaling: of the scan.
    """

    def __init__(self, card: Card, scaling: Scaling) -> None:
        darkest = np.array([max(low, AIR_HU) if card.modality == "CT" else low for low in scaling.low], np.float32)
        self._nothing = scaling.of(darkest.reshape(-1, *[1] * card.dims))
        self._least = LEAST if card.modality == "CT" else 0.0

    def is_in(self, image: Floats) -> bool:
        """Whether a tile (channels, *tile) holds any of it."""
        return bool(np.count_nonzero(image > self._nothing) > self._least * image.size)
