"""Which scan do labels belong to? Their own, else the one they lie on; with none or several, somebody is asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from napari.layers import Labels, Layer

from napari_ganseg.errors import GeometryError
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.registry import distinct, from_file, is_scan, own_placement, placement_of
from napari_ganseg.plugin.transform import covers, resampled
from napari_ganseg.volume import Array

Scan = tuple[Layer, Placement]


def scans_beside(layer: Layer, others: Iterable[Layer]) -> list[Scan]:
    """Every other layer whose grid labels could belong to, images first."""
    scans = [other for other in others if is_scan(other) and other is not layer]
    return [(scan, placement_of(scan)) for scan in sorted(scans, key=lambda scan: isinstance(scan, Labels))]


def candidates(layer: Labels, scans: Sequence[Scan]) -> list[Placement]:
    """Every grid that a Labels layer may belong to, each once: its own, else those of the scans it covers.

    Exactly one means that it is known; none or several, that somebody has to be asked.
    """
    if own := own_placement(layer) or from_file(layer):
        return [own]
    return distinct(placement for scan, placement in scans if covers(layer, scan))


def laid_on(layer: Labels, scan: Layer) -> Array:
    """Labels as they lie on a scan on screen, in the scan layer's own voxels.

    Raises:
        GeometryError: they are flat, or do not reach the scan.
    """
    if covers(layer, scan):
        return np.asarray(layer.data)
    if layer.ndim != scan.ndim:
        raise GeometryError(
            f'"{layer.name}" is a flat sheet of {sizes(layer)} pixels, not labels of "{scan.name}" ({sizes(scan)} '
            "voxels). Select the scan, then use Layers > Segment > New labels for this scan, and paint there."
        )
    data = resampled(layer, scan)
    if np.any(layer.data) and not data.any():
        raise GeometryError(f'No label of "{layer.name}" lies on "{scan.name}"; move it there, or choose its own scan.')
    return data


def sizes(layer: Layer) -> str:
    """Shape of a layer in words."""
    return " x ".join(map(str, layer.data.shape))
