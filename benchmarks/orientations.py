"""Geometry that never lies: every way to store one brain gives the same labels in the same place.

    python -m benchmarks.orientations --data DIR     # needs a display (or xvfb-run)

For every NIfTI image in DIR: open it in napari, segment it with a seeded, asymmetric test model, save the labels; the
saved file, brought to canonical axes, must hold the same array as every other copy of that brain, its affine must be
the source's, and centroids in mm must be nibabel's. Then the same for an oblique affine, for Labels made by hand with
one, two or no layer selected, and for a file opened by another reader. The last line is `N of N agree`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import napari
import nibabel as nib
import numpy as np
from napari.layers import Image, Labels
from napari.layers._source import layer_source
from nibabel.affines import apply_affine

from napari_ganseg.plugin.beside_mesa import load_triton_apart

load_triton_apart()  # before torch, which comes with what follows

import torch  # noqa: E402

from napari_ganseg.errors import GansegError  # noqa: E402
from napari_ganseg.inference.engine import Settings, segmentation  # noqa: E402
from napari_ganseg.io import read, read_labels  # noqa: E402
from napari_ganseg.models import Card, Model  # noqa: E402
from napari_ganseg.models.card import CardClass, FieldOfView, Preprocessing  # noqa: E402
from napari_ganseg.networks import Arch, build_generator  # noqa: E402
from napari_ganseg.plugin.commands import new_labels  # noqa: E402
from napari_ganseg.plugin.registry import placement_of  # noqa: E402
from napari_ganseg.plugin.results import show_result  # noqa: E402
from napari_ganseg.plugin.writer import save_layer  # noqa: E402
from napari_ganseg.volume import Volume  # noqa: E402

CLASSES, LEAST_VOXELS = 3, 100
ELSEWHERE = (("L", "P", "S"), ("A", "S", "R"), ("I", "R", "P"))  # how a brain with no copy is stored again
OBLIQUE_DEGREES = 15.0


@dataclass(slots=True)
class Tally:
    """Checks done, and those that failed."""

    done: int = 0
    failed: list[str] = field(default_factory=list)

    def check(self, name: str, is_right: bool, figures: str = "") -> None:
        """Count one check and print it."""
        self.done += 1
        if not is_right:
            self.failed.append(name)
        print(f"{'ok  ' if is_right else 'FAIL'} {name} {figures}".rstrip(), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every check; 0 when all agree."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.orientations", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="a folder of NIfTI images; default: those under GANSEG_DATA")
    options = parser.parse_args(arguments)
    files = sorted(p for p in (options.data or default_folder()).iterdir() if p.name.endswith((".nii", ".nii.gz")))
    if not files:
        sys.exit("There is no NIfTI file in that folder.")
    tally, viewer = Tally(), napari.Viewer(show=False)
    with tempfile.TemporaryDirectory() as folder:
        for brain in brains(files, Path(folder)):
            check_brain(viewer, brain, Path(folder), tally)
    viewer.close()
    print(f"{tally.done - len(tally.failed)} of {tally.done} agree")
    return 1 if tally.failed else 0


def default_folder() -> Path:
    """The project's own sixteen orientations of one brain."""
    root = os.environ.get("GANSEG_DATA")
    if not root:
        sys.exit("Give --data DIR, or set GANSEG_DATA.")
    return Path(root) / "odd_inputs" / "nifti_48_orientations"


def brains(files: Sequence[Path], folder: Path) -> Iterator[list[Path]]:
    """Files grouped by their canonical array; one without a copy is stored again in other orientations."""
    groups: dict[str, list[Path]] = {}
    for path in files:
        array = read(path).array
        groups.setdefault(hashlib.sha256(repr(array.shape).encode() + array.astype(np.float32).tobytes()).hexdigest(), []).append(path)
    for paths in groups.values():
        yield paths if len(paths) > 1 else [*paths, *[stored_again(paths[0], codes, folder) for codes in ELSEWHERE]]


def stored_again(path: Path, codes: tuple[str, str, str], folder: Path) -> Path:
    """The same image with its axes in another order and direction."""
    image = nib.load(path)
    to = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes))
    copy = folder / f"{''.join(codes)}_{path.name}"
    image.as_reoriented(to).to_filename(copy)
    return copy


def check_brain(viewer: napari.Viewer, paths: Sequence[Path], folder: Path, tally: Tally) -> None:
    """All checks on the copies of one brain."""
    model = test_model(read(paths[0]))
    expected = None
    for path in paths:
        saved = segmented(viewer, path, model, folder)
        if expected is None:
            expected = canonical(saved)
            least = min(int((expected == value).sum()) for value in range(1, CLASSES + 1))
            tally.check(f"{path.name}: the test model labels every class", least >= LEAST_VOXELS, f"({least} voxels at least)")
        check_saved(path, saved, expected, tally)
    first = paths[0]
    check_oblique(viewer, first, model, folder, tally)
    check_other_reader(viewer, paths[-1], model, expected, folder, tally)
    for path in (first, paths[-1]):
        check_by_hand(viewer, path, folder, tally)


# --- the test model ------------------------------------------------------------------------------------------------


def test_model(volume: Volume) -> Model:
    """A real network with seeded weights, its last biases set so that every class appears; blind to no axis."""
    spacing = tuple(float(s) for s in volume.spacing_mm)
    card = Card(
        name="orientation-test", summary="for tests", modality="any", arch=Arch("UNet", (8, 16), ((2, 2, 2),), 0), dims=3,
        classes=tuple(CardClass(v, f"class {v}", "#808080") for v in range(1, CLASSES + 1)), channels=("any",),
        preprocessing=Preprocessing("z_score", {}), spacing=spacing, patch=(64, 64, 64),
        field_of_view=FieldOfView("anything", (1.0,) * 3, (10_000.0,) * 3), licence="BSD-3-Clause",
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        network = build_generator(card.arch, dims=3, in_channels=1, out_channels=CLASSES + 1).eval()
    balance(network, card.preprocessing.intensity().apply(volume).array)
    return Model(card, network, "0" * 64)


def balance(network: torch.nn.Module, array: Any) -> None:
    """Shift the last layer's biases until the classes share the volume."""
    sizes = [min(n, 96) // 2 * 2 for n in array.shape]  # a corner of it tells enough
    image = torch.from_numpy(np.ascontiguousarray(array[tuple(slice(n) for n in sizes)]))[None, None]
    bias = [p for p in network.parameters() if p.shape == (CLASSES + 1,)][-1]
    with torch.inference_mode():
        logits = network(image)[0].flatten(1)[:, ::5]
    shift = torch.zeros(CLASSES + 1, 1)
    for _ in range(300):
        share = torch.bincount((logits + shift).argmax(0), minlength=CLASSES + 1) / logits.shape[1]
        shift -= 0.05 * (share - 1 / (CLASSES + 1))[:, None]
    with torch.no_grad():
        bias += shift[:, 0]


# --- through the viewer --------------------------------------------------------------------------------------------


def opened(viewer: napari.Viewer, path: Path) -> Image:
    """The only layer of a viewer: an image opened by our reader."""
    viewer.layers.clear()
    viewer.open(str(path), plugin="napari-ganseg", layer_type="image")
    return viewer.layers[0]


def segmented(viewer: napari.Viewer, path: Path, model: Model, folder: Path) -> Path:
    """Open, segment, save."""
    return segment_layer(viewer, opened(viewer, path), model, folder / f"labels_{path.name}")


def segment_layer(viewer: napari.Viewer, layer: Image, model: Model, target: Path) -> Path:
    """Segment a layer as the widget does, and save its labels as the Save command does."""
    placement = placement_of(layer)
    labels = segmentation(placement.volume(layer.data), model, Settings(device="cpu")).result
    return saved(show_result(viewer, labels, layer, placement), viewer, target)


def saved(layer: Labels, viewer: napari.Viewer, target: Path) -> Path:
    """Save a layer; whoever is asked, says nothing."""
    written = save_layer(layer, list(viewer.layers), target, lambda question, places: None)
    if written is None:
        raise GansegError(f"asked which scan {layer.name} belongs to")
    return written


def canonical(path: Path) -> Any:
    """A saved label file's array, brought to the closest canonical axes by nibabel."""
    return np.asanyarray(nib.as_closest_canonical(nib.load(path)).dataobj)


# --- the checks ----------------------------------------------------------------------------------------------------


def check_saved(source: Path, labels: Path, expected: Any, tally: Tally) -> None:
    """The same array in canonical axes, the source's affine, nibabel's centroids."""
    found = canonical(labels)
    is_same = found.shape == expected.shape and bool((found == expected).all())
    apart = float(np.abs(nib.load(labels).affine - nib.load(source).affine).max())
    centroids = centroid_error(labels)
    tally.check(f"{source.name}: labels, affine and centroids", is_same and apart <= 1e-5 and centroids <= 0.01,
                f"(same {is_same}, affine {apart:.1e}, centroids {centroids:.1e} mm)")  # fmt: skip


def centroid_error(path: Path) -> float:
    """Largest distance of our class centroids from nibabel's, in mm."""
    ours, image = read_labels(path), nib.load(path)
    stored = np.asanyarray(image.dataobj)
    pairs = [
        (ours.to_mm(np.argwhere(ours.array == v)).mean(axis=0), apply_affine(image.affine, np.argwhere(stored == v)).mean(axis=0))
        for v in ours.counts()
    ]
    return max(float(np.linalg.norm(a - b)) for a, b in pairs)


def check_oblique(viewer: napari.Viewer, path: Path, model: Model, folder: Path, tally: Tally) -> None:
    """The same voxels under a turned affine get the same labels, saved under that affine."""
    image = nib.load(path)
    angle = np.deg2rad(OBLIQUE_DEGREES)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    oblique = folder / f"oblique_{path.name}"
    nib.Nifti1Image(np.asanyarray(image.dataobj), turn @ image.affine).to_filename(oblique)
    straight, turned = (segmented(viewer, p, model, folder) for p in (path, oblique))
    is_same = bool((np.asanyarray(nib.load(straight).dataobj) == np.asanyarray(nib.load(turned).dataobj)).all())
    apart = float(np.abs(nib.load(turned).affine - nib.load(oblique).affine).max())
    centroids = centroid_error(turned)
    tally.check(f"{path.name}: oblique by {OBLIQUE_DEGREES:g} degrees", is_same and apart <= 1e-5 and centroids <= 0.01,
                f"(same {is_same}, affine {apart:.1e}, centroids {centroids:.1e} mm)")  # fmt: skip


def check_other_reader(
    viewer: napari.Viewer, path: Path, model: Model, expected: Any, folder: Path, tally: Tally
) -> None:
    """An image that another reader opened, in the file's own axis order, without orientation."""
    image = nib.load(path)
    viewer.layers.clear()
    with layer_source(path=str(path), reader_plugin="some-other-reader"):
        layer = Image(np.asanyarray(image.dataobj), scale=image.header.get_zooms()[:3], name=path.name)
    viewer.add_layer(layer)
    check_saved(path, segment_layer(viewer, layer, model, folder / f"other_{path.name}"), expected, tally)


def check_by_hand(viewer: napari.Viewer, path: Path, folder: Path, tally: Tally) -> None:
    """Labels the user made with napari's New Labels: right with one or two layers selected, asked for with none."""
    for count in (1, 2):
        image = opened(viewer, path)
        viewer.add_image(image.data, name="second", scale=image.scale, translate=image.translate)
        viewer.layers.selection = set(list(viewer.layers)[:count])
        viewer._new_labels()
        check_painted(viewer, image, path, folder, f"New Labels with {count} layer(s) selected", tally)
    image = opened(viewer, path)
    viewer.layers.selection = set()
    viewer._new_labels()
    tally.check(f"{path.name}: New Labels with nothing selected asks, and guesses nothing", asks(viewer, folder / "none.nii.gz"))
    viewer.layers.remove(viewer.layers[-1])
    viewer.layers.selection = set()
    new_labels(viewer)
    check_painted(viewer, image, path, folder, "New labels for this scan with nothing selected", tally)


def check_painted(viewer: napari.Viewer, image: Image, path: Path, folder: Path, name: str, tally: Tally) -> None:
    """Paint a lopsided mark into the newest layer at known millimetres; the saved file must hold it there."""
    layer, spots = viewer.layers[-1], mark(image.data.shape)
    layer.brush_size = 1
    for spot in spots:
        layer.paint(layer.world_to_data(image.data_to_world(spot)), 1)
    stored = saved(layer, viewer, folder / f"hand_{path.name}")
    want = {tuple(np.round(p, 3)) for p in placement_of(image).volume(image.data).to_mm(spots)}
    found = nib.load(stored)
    have = {tuple(np.round(p, 3)) for p in apply_affine(found.affine, np.argwhere(np.asanyarray(found.dataobj) == 1))}
    apart = float(np.abs(found.affine - nib.load(path).affine).max())
    tally.check(f"{path.name}: {name}", want == have and apart <= 1e-5, f"({len(have)} voxels, affine {apart:.1e})")


def mark(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Voxels of a small shape that no mirroring or swap of axes leaves as it is."""
    z, y, x = (n // 3 for n in shape)
    return [(z, y, x), (z + 1, y, x), (z, y + 1, x), (z, y + 2, x), (z, y, x + 1), (z, y, x + 2), (z, y, x + 3)]


def asks(viewer: napari.Viewer, target: Path) -> bool:
    """Whether saving the newest layer asks, writes nothing when nobody answers, and refuses a flat sheet in words."""
    layer, asked = viewer.layers[-1], []
    layer.data[10:20, 10:20] = 1

    def answer(choose: Callable[[Any], Any]) -> Any:
        def ask(question: str, places: Any) -> Any:
            asked.append(question)
            return choose(places)

        return ask

    written = save_layer(layer, list(viewer.layers), target, answer(lambda places: None))
    try:
        save_layer(layer, list(viewer.layers), target, answer(lambda places: places[0]))
    except GansegError as error:
        return written is None and len(asked) == 2 and not target.exists() and len(str(error)) > 40
    return False


if __name__ == "__main__":
    raise SystemExit(main())
