"""Geometry that never lies: every way to store one brain gives the same labels in the same place.

    python -m benchmarks.orientations --data DIR     # needs a display (or xvfb-run)

For every NIfTI image in DIR: open it in napari, segment it with a seeded, lopsided test model, save the labels; the
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
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import napari
import nibabel as nib
import numpy as np
from napari._app_model import get_app_model
from napari.layers import Image, Labels
from napari.layers._source import layer_source
from nibabel.affines import apply_affine

from napari_ganseg.plugin.beside_mesa import load_triton_apart

load_triton_apart()  # before torch, which comes with what follows

from benchmarks.lopsided_model import CLASSES, least_disagreement, lopsided_model  # noqa: E402
from napari_ganseg.errors import GansegError  # noqa: E402
from napari_ganseg.inference.engine import segmentation  # noqa: E402
from napari_ganseg.inference.settings import Settings  # noqa: E402
from napari_ganseg.io import read, read_labels  # noqa: E402
from napari_ganseg.io.stored import StoredGrid  # noqa: E402
from napari_ganseg.models import Model  # noqa: E402
from napari_ganseg.plugin.commands import new_labels  # noqa: E402
from napari_ganseg.plugin.placement import Placement  # noqa: E402
from napari_ganseg.plugin.registry import placement_of  # noqa: E402
from napari_ganseg.plugin.results import show_result  # noqa: E402
from napari_ganseg.plugin.writer import save_layer  # noqa: E402

LEAST_VOXELS = 100
LEAST_DISAGREEMENT = 0.05  # a model that mirrors its labels along with the image would prove nothing
AFFINE_MM, CENTROID_MM = 1e-5, 0.01
ELSEWHERE = ("LPS", "ASR", "IRP")  # how a brain with no copy is stored again
OBLIQUE_DEGREES = (15.0, -10.0, 8.0)  # about R, A, S
SHIFT_VOXELS = (7, -5, 3)  # of the second scan, when two are selected


@dataclass(slots=True)
class Tally:
    """Checks done, and those that failed."""

    done: int = 0
    failed: int = 0

    def check(self, name: str, is_right: bool, figures: str = "") -> None:
        """Count one check and print it."""
        self.done += 1
        self.failed += not is_right
        print(f"{'ok  ' if is_right else 'FAIL'} {name} {figures}".rstrip(), flush=True)

    @contextmanager
    def guarding(self, name: str) -> Iterator[None]:
        """A fault inside is a check that failed, and the next ones go on."""
        try:
            yield
        except Exception as error:  # whatever it is, it must not hide the other checks
            self.check(name, False, f"({type(error).__name__}: {error})")


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the checks work: a viewer, a folder for what is saved, and the tally."""

    viewer: napari.Viewer
    folder: Path
    tally: Tally


@dataclass(slots=True)
class Answer:
    """Whoever is asked which scan labels belong to: names one by its file, or nobody."""

    path: Path | None = None
    questions: list[str] = field(default_factory=list)

    def __call__(self, question: str, places: Sequence[Placement]) -> Placement | None:
        """Choose."""
        self.questions.append(question)
        stored = [p for p in places if isinstance(p.stored, StoredGrid)]
        return next((p for p in stored if isinstance(p.stored, StoredGrid) and p.stored.path == self.path), None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every check; 0 when all agree."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.orientations", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--data", type=Path, help="a folder of NIfTI images; default: those under GANSEG_DATA")
    options = parser.parse_args(arguments)
    folder = (options.data or default_folder()).resolve()
    files = (
        sorted(p for p in folder.iterdir() if p.name.lower().endswith((".nii", ".nii.gz"))) if folder.is_dir() else []
    )
    if not files:
        sys.exit(f"There is no NIfTI file in {folder}.")
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        sys.exit("napari needs a display: xvfb-run -a python -m benchmarks.orientations")
    tally = Tally()
    with tempfile.TemporaryDirectory() as scratch:
        desk = Desk(napari.Viewer(show=False), Path(scratch).resolve(), tally)
        for brain in brains(files, desk):
            with tally.guarding(f"{brain[0].name} and its copies"):
                check_brain(desk, brain)
        desk.viewer.close()
    print(f"{tally.done - tally.failed} of {tally.done} agree")
    return 1 if tally.failed else 0


def default_folder() -> Path:
    """The project's own sixteen orientations of one brain."""
    root = os.environ.get("GANSEG_DATA")
    if not root:
        sys.exit("Give --data DIR, or set GANSEG_DATA.")
    return Path(root) / "odd_inputs" / "nifti_48_orientations"


def brains(files: Sequence[Path], desk: Desk) -> Iterator[list[Path]]:
    """Files grouped by their canonical array; one without a copy is stored again in other orientations."""
    groups: dict[str, list[Path]] = {}
    for path in files:
        with desk.tally.guarding(path.name):
            array = canonical(path)
            key = repr(array.shape).encode() + np.ascontiguousarray(array, dtype=np.float32).tobytes()
            groups.setdefault(hashlib.sha256(key).hexdigest(), []).append(path)
    for paths in groups.values():
        yield (
            paths if len(paths) > 1 else [*paths, *[stored_again(paths[0], codes, desk.folder) for codes in ELSEWHERE]]
        )


def stored_again(path: Path, codes: str, folder: Path) -> Path:
    """The same image with its axes in another order and direction."""
    image = nib.load(path)
    to = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes))
    copy = folder / f"{codes}_{path.name}"
    image.as_reoriented(to).to_filename(copy)
    return copy


def check_brain(desk: Desk, paths: Sequence[Path]) -> None:
    """All checks on the copies of one brain."""
    volume = read(paths[0])
    model = lopsided_model(volume)
    share = least_disagreement(model, volume)
    desk.tally.check(f"{paths[0].name}: the test model sees left from right", share >= LEAST_DISAGREEMENT,
                     f"({share:.0%} of the voxels at least)")  # fmt: skip
    expected = canonical(segmented(desk, opened(desk, paths[0]), model, paths[0]))
    least = min(int((expected == value).sum()) for value in range(1, CLASSES + 1))
    desk.tally.check(
        f"{paths[0].name}: the test model labels every class", least >= LEAST_VOXELS, f"({least} voxels at least)"
    )
    for path in paths:
        check_file(desk, path, model, expected)
    for path in (paths[0], paths[-1]):
        with desk.tally.guarding(f"{path.name}: oblique"):
            oblique = turned(path, desk.folder)
            check_saved(desk, oblique, segmented(desk, opened(desk, oblique), model, oblique), expected, "oblique")


def check_file(desk: Desk, path: Path, model: Model, expected: Any) -> None:
    """One stored orientation: opened by us, opened by another reader, labelled by hand."""
    with desk.tally.guarding(f"{path.name}: segmented"):
        check_saved(desk, path, segmented(desk, opened(desk, path), model, path), expected, "segmented")
    with desk.tally.guarding(f"{path.name}: another reader"):
        check_saved(desk, path, segmented(desk, by_another_reader(desk, path), model, path), expected, "another reader")
    checks: list[Callable[[Desk, Path], None]] = [check_one, check_two, check_none, check_command, check_other]
    for check in checks:
        with desk.tally.guarding(f"{path.name}: {check.__doc__}"):
            check(desk, path)


# --- through the viewer --------------------------------------------------------------------------------------------


def opened(desk: Desk, *paths: Path) -> Image:
    """Open files with our reader in an empty viewer; the first one's layer."""
    desk.viewer.layers.clear()
    for path in paths:
        desk.viewer.open(str(path), plugin="napari-ganseg", layer_type="image")
    return desk.viewer.layers[0]


def by_another_reader(desk: Desk, path: Path) -> Image:
    """An image that another reader opened, in the file's own axis order, without orientation."""
    image = nib.load(path)
    desk.viewer.layers.clear()
    with layer_source(path=str(path), reader_plugin="some-other-reader"):
        layer = Image(np.asanyarray(image.dataobj), scale=image.header.get_zooms()[:3], name=path.name)
    return desk.viewer.add_layer(layer)


def segmented(desk: Desk, layer: Image, model: Model, path: Path) -> Path:
    """Segment a layer as the widget does, and save its labels as the Save command does."""
    placement = placement_of(layer)
    labels = segmentation(placement.volume(layer.data), model, Settings(device="cpu", overlap=0.25)).result
    return saved(desk, show_result(desk.viewer, labels, layer, placement), path, Answer())


def saved(desk: Desk, layer: Labels, path: Path, answer: Answer) -> Path:
    """Save a layer.

    Raises:
        GansegError: it was asked which scan is meant, and nobody answered.
    """
    written = save_layer(layer, list(desk.viewer.layers), desk.folder / f"labels_{path.name}", answer)
    if written is None:
        raise GansegError(f"asked: {answer.questions}")
    return written


def canonical(path: Path) -> Any:
    """A file's array, brought to the closest canonical axes by nibabel."""
    return np.asanyarray(nib.as_closest_canonical(nib.load(path)).dataobj)


def turned(path: Path, folder: Path) -> Path:
    """The same voxels under an oblique affine, turned by less where the closest canonical axes would be others."""
    affine, turn = nib.load(path).affine, np.eye(4)
    for share in (1.0, 0.5, 0.2, 0.05):
        turn[:3, :3] = nib.eulerangles.euler2mat(*(share * np.deg2rad(OBLIQUE_DEGREES))[::-1])
        if np.array_equal(nib.io_orientation(turn @ affine), nib.io_orientation(affine)):
            break
    return written_with(path, turn @ affine, folder / f"oblique_{path.name}")


def written_with(path: Path, affine: Any, target: Path) -> Path:
    """The same voxels under another affine."""
    image = nib.load(path)
    nib.Nifti1Image(np.asanyarray(image.dataobj), affine).to_filename(target)
    return target


# --- what must agree -----------------------------------------------------------------------------------------------


def check_saved(desk: Desk, source: Path, labels: Path, expected: Any, name: str) -> None:
    """The same array in canonical axes, the source's affine, nibabel's centroids."""
    found = canonical(labels)
    is_same = found.shape == expected.shape and bool((found == expected).all())
    apart, centroids = affine_apart(source, labels), centroids_apart(labels)
    desk.tally.check(f"{source.name}: {name}", is_same and apart <= AFFINE_MM and centroids <= CENTROID_MM,
                     f"(same array {is_same}, affine {apart:.1e}, centroids {centroids:.1e} mm)")  # fmt: skip


def affine_apart(first: Path, second: Path) -> float:
    """Largest difference of two files' affines."""
    return float(np.abs(nib.load(first).affine - nib.load(second).affine).max())


def centroids_apart(path: Path) -> float:
    """Largest distance of our class centroids from nibabel's, in mm."""
    ours, image = read_labels(path), nib.load(path)
    stored, worst = np.asanyarray(image.dataobj), 0.0
    for value in ours.counts():
        mine = ours.to_mm(np.argwhere(ours.array == value)).mean(axis=0)
        theirs = apply_affine(image.affine, np.argwhere(stored == value)).mean(axis=0)
        worst = max(worst, float(np.linalg.norm(mine - theirs)))
    return worst


# --- labels made by hand -------------------------------------------------------------------------------------------


def check_one(desk: Desk, path: Path) -> None:
    """New Labels, the scan selected"""
    image = opened(desk, path)
    press_new_labels(desk, [image])
    check_painted(desk, image, path, Answer(), check_one.__doc__)


def check_two(desk: Desk, path: Path) -> None:
    """New Labels, two scans selected"""
    affine = nib.load(path).affine.copy()
    affine[:3, 3] += affine[:3, :3] @ SHIFT_VOXELS
    second = written_with(path, affine, desk.folder / f"second_{path.name}")
    image, answer = opened(desk, path, second), Answer(path)
    press_new_labels(desk, list(desk.viewer.layers))
    check_painted(desk, image, path, answer, check_two.__doc__)
    desk.tally.check(f"{path.name}: it was asked which of the two", len(answer.questions) == 1)


def check_none(desk: Desk, path: Path) -> None:
    """New Labels, nothing selected: asks, writes nothing, refuses the flat sheet in words"""
    opened(desk, path)
    press_new_labels(desk, [])
    layer, target = desk.viewer.layers[-1], desk.folder / "none.nii.gz"
    layer.data[10:20, 10:20] = 1
    silent, first = Answer(), Answer(path)
    written, message = save_layer(layer, list(desk.viewer.layers), target, silent), ""
    try:
        save_layer(layer, list(desk.viewer.layers), target, first)
    except GansegError as error:
        message = str(error)
    is_right = written is None and len(silent.questions) == len(first.questions) == 1
    is_right = is_right and "flat sheet" in message and "New labels for this scan" in message and not target.exists()
    desk.tally.check(f"{path.name}: {check_none.__doc__}", is_right)


def check_command(desk: Desk, path: Path) -> None:
    """New labels for this scan, nothing selected"""
    image = opened(desk, path)
    desk.viewer.layers.selection.clear()
    new_labels(desk.viewer)
    check_painted(desk, image, path, Answer(), check_command.__doc__)


def check_other(desk: Desk, path: Path) -> None:
    """New Labels on a scan that another reader opened"""
    image = by_another_reader(desk, path)
    press_new_labels(desk, [image])
    check_painted(desk, image, path, Answer(), check_other.__doc__)


def press_new_labels(desk: Desk, selected: Sequence[Any]) -> None:
    """Select layers and choose napari's own New Labels; its button is the same, but off with nothing selected."""
    desk.viewer.layers.selection = set(selected)
    get_app_model().commands.execute_command("napari.window.file.new_layer.new_labels").result()


def check_painted(desk: Desk, image: Image, path: Path, answer: Answer, name: str | None) -> None:
    """Brush a lopsided mark into the newest layer where the scan's voxels are; the file must hold it at their mm."""
    layer, spots = desk.viewer.layers[-1], mark(image.data.shape)
    layer.brush_size = 1
    for spot in spots:
        layer.paint(layer.world_to_data(image.data_to_world(spot)), 1)
    found = nib.load(stored := saved(desk, layer, path, answer))
    want = {tuple(p) for p in np.round(true_mm(image, spots, path), 3)}
    have = {tuple(p) for p in np.round(apply_affine(found.affine, np.argwhere(np.asanyarray(found.dataobj) == 1)), 3)}
    apart = affine_apart(path, stored)
    desk.tally.check(
        f"{path.name}: {name}", want == have and apart <= AFFINE_MM, f"({len(have)} voxels, affine {apart:.1e})"
    )


def true_mm(image: Image, spots: Sequence[tuple[int, ...]], path: Path) -> Any:
    """Where voxels of a layer are in the patient, by nibabel's word alone.

    Our layers show the canonical array as (z, y, x), those of another reader here the stored one.
    """
    source = nib.load(path)
    if image.source.reader_plugin == "napari-ganseg":
        return apply_affine(nib.as_closest_canonical(source).affine, [spot[::-1] for spot in spots])
    return apply_affine(source.affine, spots)


def mark(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Voxels of a small shape that no mirroring or swap of axes leaves as it is."""
    z, y, x = (n // 3 for n in shape)
    return [(z, y, x), (z + 1, y, x), (z, y + 1, x), (z, y + 2, x), (z, y, x + 1), (z, y, x + 2), (z, y, x + 3)]


if __name__ == "__main__":
    raise SystemExit(main())
