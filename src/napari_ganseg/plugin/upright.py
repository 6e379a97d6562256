"""Scans stand upright: the camera is turned once one of ours enters a viewer, and the user is told once."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from napari.utils.notifications import show_info

from napari_ganseg.plugin.layers import KEY, bare

ORIENTATION = ("away", "up", "left")  # S up, the patient's right on the left of the screen, 3D right-handed

_watched: WeakSet[Any] = WeakSet()
_told: list[bool] = []


def watch(viewer: Any) -> None:
    """Turn a viewer upright when one of our scans enters it; safe to call again."""
    viewer = bare(viewer)
    if viewer is None or viewer in _watched:
        return
    _watched.add(viewer)
    viewer.layers.events.inserted.connect(lambda event: on_inserted(viewer, event.value))
    if any(KEY in layer.metadata for layer in viewer.layers):
        stand_upright(viewer)


def on_inserted(viewer: Any, layer: Any) -> None:
    """React to one of our layers."""
    if KEY in layer.metadata:
        stand_upright(viewer)


def stand_upright(viewer: Any) -> None:
    """Set the camera's orientation, and show axis letters and a scale bar in millimetres."""
    if is_upright(viewer):
        return
    viewer.dims.events.order.connect(lambda _: keep_right_handed(viewer))
    viewer.camera.orientation = ORIENTATION
    keep_right_handed(viewer)
    viewer.floating_axes.visible = True
    viewer.scale_bar.visible = True
    if not _told:
        _told.append(True)
        show_info("Scans stand upright, the patient's right on your left (radiological convention). "
                  "napari's camera orientation was set for this viewer.")  # fmt: skip


def is_upright(viewer: Any) -> bool:
    """Whether a viewer's rows and columns run as ours do."""
    return tuple(str(o) for o in viewer.camera.orientation)[1:] == ORIENTATION[1:]


def keep_right_handed(viewer: Any) -> None:
    """Turn the depth axis round when napari shows the axes in an odd order: a coronal view would be mirrored in 3D."""
    if not is_upright(viewer):
        return  # the user chose another orientation
    depth = "away" if is_even(viewer.dims.order[-3:]) else "towards"
    viewer.camera.orientation = (depth, *ORIENTATION[1:])


def is_even(order: tuple[int, ...]) -> bool:
    """Whether an order of axes is an even permutation: it takes an even number of swaps to sort."""
    swaps = sum(a > b for i, a in enumerate(order) for b in order[i + 1 :])
    return swaps % 2 == 0
