"""Left from right, top from bottom: pictures of a phantom with letters, compared by pixels of known colour.

Axial: the patient's right on the left of the screen, front up. Coronal: right on the left, head up. Sagittal: front on
the left, head up. In 3D every side of a cube can be read from outside, so it is not mirrored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hands import AFFINE, OBLIQUE, MakeScan, opened
from letters import COLOURS, PLANES, SIDES, VALUES, flat_letters, glyph, letter_cube
from napari.utils import Colormap
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtCore import QPoint, Qt
from scipy.ndimage import distance_transform_edt

from napari_ganseg.plugin import commands
from napari_ganseg.plugin.upright import AXIAL, CORONAL, SAGITTAL, camera_of, overlays_of, watch
from napari_ganseg.plugin.writer import save_layer

ORDERS = {"axial": AXIAL, "coronal": CORONAL, "sagittal": SAGITTAL}
FACES = {"axial": "I", "coronal": "A", "sagittal": "L"}  # the side of a cube that looks at the user in 3D
OPPOSITE = dict(zip("RLAPSI", "LRPAIS", strict=True))


@pytest.fixture
def screen(make_napari_viewer: Any) -> Any:
    """A visible viewer without letters and scale of its own."""
    viewer = make_napari_viewer(show=True)
    watch(viewer)
    return viewer


def picture(viewer: Any, plane: str) -> np.ndarray:
    """What the canvas shows of a plane, as RGB."""
    viewer.dims.order = ORDERS[plane]
    viewer.dims.set_point(range(3), [np.mean(r[:2]) for r in viewer.dims.range])
    for overlay in overlays_of(viewer):
        overlay.visible = False
    viewer.reset_view()
    return viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)


def pixels_of(letter: str, pixels: np.ndarray) -> np.ndarray:
    """Rows and columns where a letter's colour is, however bright."""
    lit = pixels * 255 / np.maximum(pixels.max(axis=-1, keepdims=True), 1)
    is_there = (np.abs(lit - COLOURS[letter]).max(axis=-1) < 40) & (pixels.max(axis=-1) > 60)
    return np.argwhere(is_there)


def is_readable(letter: str, spots: np.ndarray) -> bool:
    """Whether pixels show a letter upright, not mirrored: they cover its strokes and nothing else."""
    (top, left), (bottom, right) = spots.min(axis=0), spots.max(axis=0) + 1
    is_ink = np.zeros((bottom - top, right - left), bool)
    is_ink[tuple((spots - (top, left)).T)] = True
    wanted = glyph(letter)
    rows = ((np.arange(14) + 0.5) * is_ink.shape[0] / 14).astype(int)
    columns = ((np.arange(10) + 0.5) * is_ink.shape[1] / 10).astype(int)
    seen = is_ink[np.ix_(rows, columns)]
    agreement, mirrored = (seen == wanted).mean(), (seen == wanted[:, ::-1]).mean()
    return bool(agreement > 0.95 > 0.9 > mirrored)


def centres(pixels: np.ndarray, plane: str) -> dict[str, np.ndarray]:
    """Where the middle of each letter of a plane is on screen, which must be readable there."""
    _, up, left = PLANES[plane]
    spots = {letter: pixels_of(letter, pixels) for side in (up, left) for letter in (side, OPPOSITE[side])}
    assert all(is_readable(letter, s) for letter, s in spots.items()), {k: len(s) for k, s in spots.items()}
    return {letter: s.mean(axis=0) for letter, s in spots.items()}


def inside(spots: np.ndarray) -> np.ndarray:
    """A pixel as far as can be from the edge of a letter's strokes."""
    is_ink = np.zeros(spots.max(axis=0) + 2, bool)
    is_ink[tuple(spots.T)] = True
    return np.array(np.unravel_index(distance_transform_edt(is_ink).argmax(), is_ink.shape))


def show_flat_letters(viewer: Any, path: Path) -> Any:
    """Open a phantom as an image, and give each grey level its letter's colour."""
    (image,) = opened(viewer, path)
    colours = [(0, 0, 0), *COLOURS.values(), (128, 128, 128)]
    image.colormap = Colormap(np.array(colours) / 255, interpolation="zero", name="letters")
    image.contrast_limits = (-10, 60)
    return image


@pytest.mark.parametrize(("codes", "affine"), [("RAS", AFFINE), ("PIR", AFFINE), ("AIL", OBLIQUE)])
def test_letters_stand_where_a_radiologist_expects_them(
    screen: Any, make_scan: MakeScan, codes: str, affine: np.ndarray
) -> None:
    for plane, (_, up, left) in PLANES.items():
        screen.layers.clear()
        show_flat_letters(screen, make_scan(f"{plane}.nii", codes, flat_letters(plane) * 10 - 10, affine))
        pixels = picture(screen, plane)
        middle = np.array(pixels.shape[:2]) / 2
        at = centres(pixels, plane)
        assert at[up][0] < middle[0] < at[OPPOSITE[up]][0]
        assert at[left][1] < middle[1] < at[OPPOSITE[left]][1]


@pytest.mark.parametrize("codes", ["PIR"])
def test_sides_of_a_cube_are_readable_in_3d(screen: Any, make_scan: MakeScan, codes: str) -> None:
    (cube,) = opened(screen, make_scan("cube.nii", codes, letter_cube()))
    colours = {VALUES[letter]: np.array(c) / 255 for letter, c in COLOURS.items()}
    cube.colormap = DirectLabelColormap(color_dict={None: "black", 0: "transparent", 7: "white", **colours})
    cube.opacity = 1
    screen.dims.ndisplay = 3
    for plane, face in FACES.items():
        assert is_readable(face, pixels_of(face, picture(screen, plane))), f"{plane}: {face}"
    seen = set()
    for angles in [(0, 0, 0), (0, 0, 90), (0, 0, 180), (0, 0, 270), (0, 90, 0), (0, 270, 0)]:
        camera_of(screen).angles = angles  # walk round it
        pixels = screen.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
        for letter in COLOURS:
            if len(spots := pixels_of(letter, pixels)) > 500:
                assert any(is_readable(letter, turned(spots, turns)) for turns in range(4)), f"{letter} at {angles}"
                seen.add(letter)
    assert seen == set("RLAPSI")


def turned(spots: np.ndarray, turns: int) -> np.ndarray:
    """Pixels after quarter turns of the picture."""
    for _ in range(turns):
        spots = np.stack([-spots[:, 1], spots[:, 0]], axis=1)
    return spots


@pytest.mark.parametrize(("plane", "codes"), [("axial", "RAS"), ("coronal", "ASL"), ("sagittal", "LIP")])
def test_brush_paints_the_voxel_under_the_mouse(
    screen: Any, make_scan: MakeScan, tmp_path: Path, qtbot: Any, plane: str, codes: str
) -> None:
    source = make_scan("letters.nii", codes, flat_letters(plane) * 10 - 10, OBLIQUE)
    show_flat_letters(screen, source)
    pixels = picture(screen, plane)
    at = centres(pixels, plane)
    commands.new_labels(screen)
    labels = screen.layers[-1]
    labels.mode, labels.brush_size, labels.opacity = "paint", 1, 0
    for letter in at:
        row, column = inside(pixels_of(letter, pixels))
        labels.selected_label = VALUES[letter]
        canvas = screen.window._qt_viewer.canvas.native
        qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=QPoint(int(column), int(row)))
    save_layer(labels, list(screen.layers), tmp_path / "out.nii", lambda *_: None)
    painted, drawn = nib.load(tmp_path / "out.nii"), nib.load(source)
    values = np.asarray(painted.dataobj)
    assert set(np.unique(values)) == {0, *(VALUES[letter] for letter in at)}
    assert (values > 0).sum() == len(at)
    np.testing.assert_array_equal(values[values > 0] * 10 - 10, np.asarray(drawn.dataobj)[values > 0])
    mid = drawn.affine[:3] @ [*((np.array(drawn.shape) - 1) / 2), 1]
    for letter in at:  # nibabel's own word for where that is in the patient
        axis, direction = SIDES[letter]
        mm = nib.affines.apply_affine(painted.affine, np.argwhere(values == VALUES[letter])[0])
        assert (mm - mid)[axis] * direction > 5


def test_roll_button_goes_round_the_three_upright_planes(screen: Any, make_scan: MakeScan) -> None:
    opened(screen, make_scan())
    seen = []
    for _ in range(4):
        seen.append(tuple(screen.dims.order))
        screen.dims.roll()
    assert seen == [AXIAL, SAGITTAL, CORONAL, AXIAL]
    screen.dims.transpose()  # what somebody asks for, he gets
    assert tuple(screen.dims.order) == (2, 1, 0)
