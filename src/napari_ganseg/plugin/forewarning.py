"""What there is to say before a click: that a scan is not what the model knows."""

from __future__ import annotations

import numpy as np
from napari.layers import Image

from napari_ganseg.errors import GansegError
from napari_ganseg.inference.domain import check_fit, doubts
from napari_ganseg.models.card import Card
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.registry import placement_of
from napari_ganseg.volume import Volume

ENOUGH = 64  # voxels along an axis, to judge contrast and intensities by


def forewarning(image: Image, card: Card) -> str:
    """Doubts about a whole image and a model, in words; nothing where there are none, or no single scan to judge."""
    try:
        placement = placement_of(image)
        scan = thinned(image, placement)
        if len(placement.shape) <= card.dims:
            check_fit(Volume(array=np.broadcast_to(np.uint8(0), placement.shape), affine=placement.affine), card)
        return " ".join(doubts(scan, card))
    except GansegError as error:
        return str(error)


def thinned(image: Image, placement: Placement) -> Volume:
    """A coarse copy of a scan with its true extent: quick to look at, however large the scan."""
    steps = [max(1, n // ENOUGH) for n in placement.layer_shape]
    array = placement.upright(np.asarray(image.data[tuple(slice(None, None, s) for s in steps)]))
    affine = placement.affine.copy()
    for column, (full, few) in enumerate(zip(placement.shape, array.shape, strict=True), start=3 - array.ndim):
        affine[:3, column] *= full / few
    return Volume(array=array, affine=affine)
