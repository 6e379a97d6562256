"""Scans stand upright: what a viewer does once one of ours enters it, and says once."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from napari.layers import Image
from napari.utils.notifications import show_info

from napari_ganseg.plugin.layers import bare, widen_contrast
from napari_ganseg.plugin.placement import Placement
from napari_ganseg.plugin.registry import KEY, enter

ORIENTATION = ("away", "up", "left")  # S up, the patient's right on the left of the screen, 3D right-handed
AXIAL, SAGITTAL, CORONAL = (0, 1, 2), (2, 0, 1), (1, 0, 2)  # orders of axes: sliced, up, to the left
NEXT: dict[tuple[int, ...], tuple[int, ...]] = {AXIAL: SAGITTAL, SAGITTAL: CORONAL, CORONAL: AXIAL}

_watched: WeakSet[Any] = WeakSet()
_orders: WeakKeyDictionary[Any, tuple[int, ...]] = WeakKeyDictionary()
_told: list[bool] = []


def watch(viewer: Any) -> None:
    """Turn a viewer upright when one of our scans enters it; safe to call again."""
    viewer = bare(viewer)
    if viewer is None or viewer in _watched:
        return
    _watched.add(viewer)
    enter(viewer)
    viewer.layers.events.inserted.connect(lambda event: on_inserted(viewer, event.value))
    viewer.dims.events.order.connect(lambda _: on_order(viewer))
    _orders[viewer] = tuple(viewer.dims.order)
    for layer in viewer.layers:
        on_inserted(viewer, layer)


def on_inserted(viewer: Any, layer: Any) -> None:
    """React to a layer that our reader made; what lies on a layer of another reader turns nothing."""
    placement = layer.metadata.get(KEY)
    if not isinstance(placement, Placement) or not placement.is_upright or placement.assumption:
        return
    stand_upright(viewer)
    if isinstance(layer, Image):
        widen_contrast(layer)


def stand_upright(viewer: Any) -> None:
    """Set the camera's orientation, and show axis letters and a scale bar in millimetres."""
    if is_upright(viewer):
        return
    camera_of(viewer).orientation = ORIENTATION
    keep_right_handed(viewer)
    for overlay in overlays_of(viewer):
        overlay.visible = True
    if not _told:
        _told.append(True)
        show_info("Scans stand upright, the patient's right on your left (radiological convention). "
                  "napari's camera orientation was set for this viewer.")  # fmt: skip


def is_upright(viewer: Any) -> bool:
    """Whether a viewer's rows and columns run as ours do."""
    return tuple(str(o) for o in camera_of(viewer).orientation)[1:] == ORIENTATION[1:]


def on_order(viewer: Any) -> None:
    """React to another plane: napari's Roll button would lay the patient on the side in the coronal one."""
    before, now = _orders[viewer], tuple(viewer.dims.order)
    wanted = NEXT.get(before, now)
    is_rolled = now == (*before[-1:], *before[:-1])
    if is_upright(viewer) and is_rolled and now != wanted:
        viewer.dims.order = wanted  # comes back here
        return
    _orders[viewer] = now
    keep_right_handed(viewer)


def keep_right_handed(viewer: Any) -> None:
    """Turn the depth axis round when napari shows the axes in an odd order: a coronal view would be mirrored in 3D."""
    if not is_upright(viewer):
        return  # the user chose another orientation
    depth = "away" if is_even(viewer.dims.order[-3:]) else "towards"
    camera_of(viewer).orientation = (depth, *ORIENTATION[1:])


def is_even(order: tuple[int, ...]) -> bool:
    """Whether an order of axes is an even permutation: it takes an even number of swaps to sort."""
    swaps = sum(a > b for i, a in enumerate(order) for b in order[i + 1 :])
    return swaps % 2 == 0


def camera_of(viewer: Any) -> Any:
    """A viewer's camera, which moved in napari 0.9."""
    return getattr(viewer, "scene", viewer).camera


def overlays_of(viewer: Any) -> tuple[Any, Any]:
    """A viewer's axis letters and scale bar, which moved in napari 0.9."""
    if hasattr(viewer, "scene"):
        return viewer.canvas.overlays.axes, viewer.canvas.overlays.scale_bar
    return viewer.axes, viewer.scale_bar
