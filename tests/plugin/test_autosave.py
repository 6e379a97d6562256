"""Autosave and recovery: what was painted is found again, voxel for voxel, whatever ended the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hands import OBLIQUE, MakeScan, opened
from napari.components import ViewerModel
from napari.layers import Labels

import napari_ganseg as ganseg
from napari_ganseg.errors import FileError, UsageError
from napari_ganseg.io.names import sidecar_path
from napari_ganseg.plugin import autosave as module
from napari_ganseg.plugin import painting as paintings
from napari_ganseg.plugin.autosave import Autosave, autosave_of, forget, note_saved, recoverable, restore
from napari_ganseg.plugin.commands import new_labels_for
from napari_ganseg.plugin.layer_classes import write_classes
from napari_ganseg.plugin.layers import classes_of
from napari_ganseg.plugin.painting import entry_in, is_held, release, write_entry
from napari_ganseg.plugin.recovery import Painted, prune
from napari_ganseg.plugin.recovery_bar import RecoveryBar, in_words
from napari_ganseg.plugin.registry import placement_of
from napari_ganseg.plugin.transform import covers
from napari_ganseg.volume import LabelClass

Complaints = Callable[[], list[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of paintings; not made yet."""
    return tmp_path / "data" / "painted"


@pytest.fixture
def autosave(viewer: ViewerModel, folder: Path, qapp: Any) -> Iterator[Autosave]:
    """Watches the viewer; looks at it when a test says so."""
    made = Autosave(viewer, folder)
    yield made
    made.close()


@pytest.fixture
def layer(viewer: ViewerModel, make_scan: MakeScan, autosave: Autosave) -> Labels:
    """New labels on an oblique scan, watched."""
    (image,) = opened(viewer, make_scan(codes="PIL", affine=OBLIQUE))
    made = new_labels_for(viewer, image)
    autosave.watch(made, placement_of(image))
    return made


def stroke(layer: Labels, value: int = 1, at: tuple[int, ...] = (2, 4, 5)) -> None:
    layer.brush_size = 5
    layer.paint(at[-layer.ndim :], value)


def kept(autosave: Autosave) -> list[Path]:
    """Save, and see which files there are."""
    autosave.save_now()
    autosave.wait()
    return sorted(autosave.folder.glob("*.nii.gz"))


def left_behind(autosave: Autosave, layer: Labels) -> Painted:
    """What a session that painted a stroke leaves when it ends."""
    stroke(layer)
    autosave.close()
    return recoverable(autosave.folder)[0]


# --- when a file is written ----------------------------------------------------------------------------------------


def test_stroke_is_in_the_file_on_the_true_grid_with_its_classes(autosave: Autosave, layer: Labels) -> None:
    write_classes(layer, [LabelClass(1, "Left parotid", "#112233"), LabelClass(4, "not painted yet", "#445566")])
    stroke(layer)
    (path,) = kept(autosave)
    place, back = placement_of(layer), ganseg.read_labels(path)
    np.testing.assert_array_equal(back.array, place.upright(layer.data))
    np.testing.assert_allclose(back.affine, place.affine, atol=1e-5)
    assert nib.aff2axcodes(nib.load(path).affine) == ("P", "I", "L")
    assert back.classes == classes_of(layer)
    assert back.provenance["painted"]["layer"] == layer.name


def test_nothing_is_written_before_the_first_stroke(autosave: Autosave, layer: Labels, viewer: ViewerModel) -> None:
    viewer.dims.set_point(0, 3)
    layer.name = "renamed"
    assert kept(autosave) == []
    stroke(layer)
    assert len(kept(autosave)) == 1


def test_unchanged_layer_is_not_written_again(autosave: Autosave, layer: Labels, viewer: ViewerModel) -> None:
    stroke(layer)
    (path,) = kept(autosave)
    before = path.stat().st_ino
    viewer.dims.set_point(0, 3)
    layer.refresh()
    assert kept(autosave) == [path]
    assert path.stat().st_ino == before


def change_by_stroke(layer: Labels) -> None:
    stroke(layer, 2, (5, 8, 8))


def change_by_undo(layer: Labels) -> None:
    layer.undo()


def change_by_new_array(layer: Labels) -> None:
    layer.data = layer.data[::-1].copy()


def change_by_plugin(layer: Labels) -> None:
    layer.data[7, 7, 7] = 9
    layer.refresh()


@pytest.mark.parametrize("change", [change_by_stroke, change_by_undo, change_by_new_array, change_by_plugin])
def test_every_way_to_change_labels_is_noticed(autosave: Autosave, layer: Labels, change: Any) -> None:
    layer.data[0, 0, 0] = 5
    stroke(layer)
    (path,) = kept(autosave)
    change(layer)
    assert kept(autosave) == [path]
    np.testing.assert_array_equal(ganseg.read_labels(path).array, placement_of(layer).upright(layer.data))


def test_labels_that_came_from_a_file_are_kept_once_they_differ(
    autosave: Autosave, viewer: ViewerModel, make_scan: MakeScan
) -> None:
    drawn = np.zeros((14, 12, 10), np.uint8)
    drawn[2:9, 3:8, 1:7] = 1
    (layer,) = opened(viewer, make_scan("labels.nii", array=drawn))
    autosave.watch(layer, placement_of(layer))
    autosave.watch(layer, placement_of(layer))
    layer.refresh()
    assert kept(autosave) == []
    stroke(layer, 2)
    assert len(kept(autosave)) == 1


def test_the_timer_saves(autosave: Autosave, layer: Labels) -> None:
    assert autosave.timer.isActive()
    assert autosave.timer.interval() == 300_000
    stroke(layer)
    autosave.timer.timeout.emit()
    autosave.wait()
    assert len(list(autosave.folder.glob("*.nii.gz"))) == 1


def test_writing_is_off_the_viewers_thread_one_at_a_time_from_a_copy(
    autosave: Autosave, layer: Labels, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, go, real = set[Any](), threading.Event(), module.keep

    def slow(*args: Any, **fields: Any) -> None:
        threads.add(threading.current_thread())
        assert go.wait(60)
        real(*args, **fields)

    monkeypatch.setattr(module, "keep", slow)
    other = new_labels_for(viewer, viewer.layers[0])
    autosave.watch(other, placement_of(other))
    for one in (layer, other):
        stroke(one)
    then = layer.data.copy()
    autosave.save_now()
    stroke(layer, 3, (6, 6, 6))
    autosave.save_now()  # still writing: nothing piles up
    assert len(autosave._running) == 2
    go.set()
    autosave.wait()
    arrays = [ganseg.read_labels(path).array for path in autosave.folder.glob("*.nii.gz")]
    assert any(np.array_equal(array, placement_of(layer).upright(then)) for array in arrays)
    assert len(threads) == 1
    assert threading.main_thread() not in threads
    kept(autosave)
    assert any(ganseg.read_labels(path).array.max() == 3 for path in autosave.folder.glob("*.nii.gz"))


def test_end_of_a_save_reaches_the_viewers_thread(autosave: Autosave, layer: Labels, qtbot: Any) -> None:
    stroke(layer)
    autosave.save_now()
    qtbot.waitUntil(lambda: not autosave._running, timeout=60_000)


def test_failure_is_said_once_and_tried_again(
    autosave: Autosave, layer: Labels, complaints: Complaints, tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    stroke(layer)
    for _ in range(3):
        kept(autosave)
    (said,) = complaints()
    assert said.startswith("What you paint cannot be kept safe: Cannot make the folder painted:")
    (tmp_path / "data").unlink()
    assert len(kept(autosave)) == 1


def test_labels_that_no_file_holds_are_said_and_hold_up_nobody(
    autosave: Autosave, viewer: ViewerModel, complaints: Complaints
) -> None:
    layer = viewer.add_labels(np.zeros((3, 4, 5), np.int64))
    autosave.watch(layer, placement_of(layer))
    layer.data = np.full((3, 4, 5), 2**40)
    assert kept(autosave) == []
    assert "do not fit 32-bit integers" in complaints()[0]


def test_multiscale_labels_are_refused(autosave: Autosave, layer: Labels) -> None:
    pyramid = [np.zeros((16, 16), np.uint8), np.zeros((8, 8), np.uint8)]
    with pytest.raises(UsageError, match="is a multiscale layer"):
        autosave.watch(Labels(pyramid, multiscale=True), placement_of(layer))


def test_replaced_array_of_another_shape_is_kept_where_it_lies(autosave: Autosave, layer: Labels) -> None:
    layer.data = np.ones((3, 3, 3), np.uint8)
    (path,) = kept(autosave)
    assert ganseg.read_labels(path).array.shape == (3, 3, 3)


# --- when it goes, when it stays -----------------------------------------------------------------------------------


def test_saving_to_a_file_removes_the_copy_and_the_next_stroke_brings_it_back(
    autosave: Autosave, layer: Labels
) -> None:
    stroke(layer)
    assert len(kept(autosave)) == 1
    stroke(layer, 2, (5, 8, 8))
    note_saved(layer)
    layer.refresh()
    assert kept(autosave) == []
    assert list(autosave.folder.iterdir()) == []
    layer.undo()
    assert len(kept(autosave)) == 1


def test_removed_layer_is_kept_as_it_was_last_and_offered(
    autosave: Autosave, layer: Labels, viewer: ViewerModel
) -> None:
    stroke(layer)
    kept(autosave)
    assert recoverable(autosave.folder) == []
    stroke(layer, 2, (5, 8, 8))
    viewer.layers.remove(layer)
    autosave.wait()
    (painted,) = recoverable(autosave.folder)
    assert ganseg.read_labels(painted.path).array.max() == 2


def test_unchanged_removed_layer_is_offered_too(autosave: Autosave, layer: Labels, viewer: ViewerModel) -> None:
    stroke(layer)
    kept(autosave)
    viewer.layers.clear()
    autosave.wait()
    assert len(recoverable(autosave.folder)) == 1


def test_end_keeps_what_was_painted_last(autosave: Autosave, layer: Labels) -> None:
    painted = left_behind(autosave, layer)
    assert (painted.name, painted.source) == (layer.name, "scan")
    assert not autosave.timer.isActive()
    np.testing.assert_array_equal(ganseg.read_labels(painted.path).array, placement_of(layer).upright(layer.data))


def test_erased_labels_stay_as_they_were_kept(autosave: Autosave, layer: Labels) -> None:
    stroke(layer)
    (path,) = kept(autosave)
    layer.undo()
    kept(autosave)
    assert ganseg.read_labels(path).array.any()


def test_there_is_one_per_viewer_as_long_as_that_lives(
    viewer: ViewerModel, qapp: Any, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr(module, "user_paintings", lambda: folder)
    assert autosave_of(viewer) is autosave_of(viewer)
    assert autosave_of(viewer).folder == folder
    assert autosave_of(ViewerModel()) is not autosave_of(viewer)


# --- who holds it --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "silent_s", "is_taken"),
    [({}, 0, True), ({"pid": 2**22 + 1}, 0, False), ({"started_s": -100.0}, 0, False),
     ({"host": "elsewhere"}, 0, True), ({"host": "elsewhere"}, 7200, False), ({"pid": "x"}, 0, False)],
)  # fmt: skip
def test_only_what_no_living_process_holds_is_offered(
    autosave: Autosave, layer: Labels, changes: dict[str, Any], silent_s: float, is_taken: bool
) -> None:
    stroke(layer)
    (path,) = kept(autosave)
    write_entry(path, {**entry_in(path), "holder": {**asdict(paintings.me()), **changes}})
    os.utime(sidecar_path(path), (time.time() - silent_s,) * 2)
    assert is_held(path) == is_taken
    assert len(recoverable(autosave.folder)) == (not is_taken)


def test_what_another_process_holds_is_not_released(autosave: Autosave, layer: Labels) -> None:
    stroke(layer)
    (path,) = kept(autosave)
    theirs = {**asdict(paintings.me()), "token": "theirs"}
    write_entry(path, {**entry_in(path), "holder": theirs})
    release(path)
    assert entry_in(path)["holder"] == theirs


def test_claim_is_there_before_the_labels(autosave: Autosave, layer: Labels, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(paintings, "write", lambda path, _: seen.append(is_held(path) and not path.exists()))
    stroke(layer)
    kept(autosave)
    assert seen == [True]


def test_damaged_or_missing_sidecar_hides_no_labels(autosave: Autosave, layer: Labels, viewer: ViewerModel) -> None:
    painted = left_behind(autosave, layer)
    sidecar_path(painted.path).write_text("{")
    (found,) = recoverable(autosave.folder)
    assert (found.name, found.source) == ("labels", "an unknown scan")
    sidecar_path(painted.path).unlink()
    (found,) = recoverable(autosave.folder)
    assert covers(restore(viewer, found), layer)


# --- restoring -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codes", ["RAS", "LSP", "AIL"])
def test_labels_return_to_their_open_scan_even_a_moved_one(
    autosave: Autosave, viewer: ViewerModel, make_scan: MakeScan, codes: str
) -> None:
    opened(viewer, make_scan("below.nii", codes=codes, affine=OBLIQUE))
    (image,) = opened(viewer, make_scan("own.nii", codes=codes, affine=OBLIQUE))
    opened(viewer, make_scan("above.nii", codes=codes, affine=OBLIQUE))
    layer = new_labels_for(viewer, image)
    write_classes(layer, [LabelClass(1, "Left parotid", "#112233")])
    autosave.watch(layer, placement_of(image))
    painted, data, classes = left_behind(autosave, layer), layer.data, classes_of(layer)
    viewer.layers.remove(layer)
    image.translate = np.asarray(image.translate) + 5
    back = restore(viewer, painted)
    np.testing.assert_array_equal(back.data, data)
    assert covers(back, image)
    assert placement_of(back).is_same_grid_as(placement_of(image))
    assert classes_of(back) == classes
    assert (back.name, viewer.layers.selection.active) == (layer.name, back)
    assert "painted" not in str(back.metadata)


def test_labels_return_by_themselves_and_are_saved_on_the_scans_grid_but_not_over_it(
    autosave: Autosave, layer: Labels, viewer: ViewerModel, tmp_path: Path
) -> None:
    painted, place, data = left_behind(autosave, layer), placement_of(layer), layer.data
    viewer.layers.clear()
    back = restore(viewer, painted)
    np.testing.assert_array_equal(back.data, data)
    np.testing.assert_allclose(placement_of(back).affine, place.affine, atol=1e-5)
    assert placement_of(back).source == "scan"
    (image,) = opened(viewer, tmp_path / "scan.nii.gz")
    assert covers(back, image)
    with pytest.raises(FileError, match="it would overwrite the input image"):
        ganseg.write(tmp_path / "scan.nii.gz", placement_of(back).label_map(back.data))


def test_flat_labels_return(autosave: Autosave, viewer: ViewerModel, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan("flat.nii", array=np.arange(30, dtype=np.int16).reshape(6, 5) - 7))
    layer = new_labels_for(viewer, image)
    autosave.watch(layer, placement_of(image))
    painted = left_behind(autosave, layer)
    assert covers(restore(viewer, painted), image)


def test_labels_of_an_array_return_to_the_array_of_their_name_alone(autosave: Autosave, viewer: ViewerModel) -> None:
    array = np.random.default_rng(0).random((5, 6, 7))
    own, other = viewer.add_image(array, name="own", scale=(3, 2, 1)), viewer.add_image(array, name="other")
    other.scale, other.translate = own.scale, (50, 60, 70)
    layer = new_labels_for(viewer, own)
    autosave.watch(layer, placement_of(own))
    painted = left_behind(autosave, layer)
    viewer.layers.remove(layer)
    back = restore(viewer, painted)
    assert covers(back, own)
    np.testing.assert_array_equal(back.data, layer.data)


def test_restored_labels_go_on_in_their_own_file(autosave: Autosave, layer: Labels, viewer: ViewerModel) -> None:
    painted = left_behind(autosave, layer)
    viewer.layers.remove(layer)
    back = restore(viewer, painted)
    assert recoverable(autosave.folder) == []
    again = Autosave(viewer, autosave.folder)
    again.watch(back, placement_of(back))
    assert kept(again) == [painted.path]
    stroke(back, 3, (6, 6, 6))
    assert kept(again) == [painted.path]
    assert ganseg.read_labels(painted.path).array.max() == 3
    again.close()
    assert len(recoverable(autosave.folder)) == 1


def test_what_somebody_else_restored_meanwhile_is_left_to_them(
    autosave: Autosave, layer: Labels, viewer: ViewerModel
) -> None:
    painted = left_behind(autosave, layer)
    restore(viewer, painted)
    for act in (lambda: restore(ViewerModel(), painted), lambda: forget(painted)):
        with pytest.raises(UsageError, match="is open in a viewer already"):
            act()


def test_forgotten_labels_leave_nothing(autosave: Autosave, layer: Labels) -> None:
    forget(left_behind(autosave, layer))
    assert list(autosave.folder.iterdir()) == []


def test_no_folder_is_nothing_to_recover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert recoverable(tmp_path / "none") == []
    monkeypatch.setattr("napari_ganseg.plugin.recovery.user_paintings", lambda: tmp_path / "none")
    assert recoverable() == []


# --- how much is kept ----------------------------------------------------------------------------------------------


def test_twenty_are_kept_for_thirty_days_and_none_that_is_open(
    autosave: Autosave, layer: Labels, viewer: ViewerModel
) -> None:
    painted = left_behind(autosave, layer)
    content, entry = painted.path.read_bytes(), entry_in(painted.path)
    for i in range(25):
        path = autosave.folder / f"p{i:02}.nii.gz"
        path.write_bytes(content)
        write_entry(path, {**entry, "when_s": time.time() - 3600 * (i + 1)})
    old, open_ = autosave.folder / "old.nii.gz", autosave.folder / "open.nii.gz"
    for path, holder in ((old, None), (open_, asdict(paintings.me()))):
        path.write_bytes(content)
        write_entry(path, {**entry, "when_s": time.time() - 31 * 86_400, "holder": holder})
    prune(autosave.folder)
    assert [p.path.name for p in recoverable(autosave.folder)][1:] == [f"p{i:02}.nii.gz" for i in range(19)]
    assert open_.exists()
    forget(painted)
    write_entry(autosave.folder / "p00.nii.gz", {**entry, "when_s": time.time() - 31 * 86_400})
    prune(autosave.folder)
    assert not (autosave.folder / "p00.json").exists()


def test_what_killed_writers_left_goes_after_a_day(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in (".20261120-a.nii.gz.tmp-77-ab", "20261120-a.json", ".b.json.tmp-77-ab", "new.json"):
        (folder / name).write_text("{")
        is_new = name == "new.json"
        os.utime(folder / name, (time.time() - (0 if is_new else 90_000),) * 2)
    prune(folder)
    assert [path.name for path in folder.iterdir()] == ["new.json"]


# --- a process is killed -------------------------------------------------------------------------------------------

PAINT = """
import sys
import numpy as np
from pathlib import Path
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QCoreApplication
from napari_ganseg.plugin.autosave import Autosave
from napari_ganseg.plugin.commands import new_labels_for
from napari_ganseg.plugin.reader import open_files
from napari_ganseg.plugin.registry import placement_of

application, viewer = QCoreApplication([]), ViewerModel()
((data, fields, _),) = open_files(sys.argv[1])
image = viewer.add_layer(Image(data, **fields))
autosave, layer = Autosave(viewer, Path(sys.argv[2])), new_labels_for(viewer, image)
autosave.watch(layer, placement_of(image))
layer.brush_size = 5
layer.paint((2, 4, 5), 1)
layer.paint((7, 8, 8), 200)
autosave.save_now()
autosave.wait()
np.save(sys.argv[3], layer.data)
print("kept", flush=True)
if sys.argv[4] == "exit":
    layer.paint((4, 4, 4), 3)
    sys.exit()
for i in range(10**9):
    layer.paint((i % 10, i % 12, i % 14), i % 250 + 1)
    if sys.argv[4] == "busy":
        autosave.save_now()
        autosave.wait()
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_killed_process_leaves_what_it_kept_to_the_next(
    viewer: ViewerModel, make_scan: MakeScan, folder: Path, tmp_path: Path, state: str
) -> None:
    scan, truth = make_scan(codes="PIL", affine=OBLIQUE), tmp_path / "truth.npy"
    command = [sys.executable, "-c", PAINT, str(scan), str(folder), str(truth), state]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "kept\n"
        assert recoverable(folder) == []
        process.kill()
    (painted,) = recoverable(folder)
    assert painted.source == "scan"
    (image,) = opened(viewer, scan)
    back = restore(viewer, painted)
    assert covers(back, image)
    expected = np.load(truth)
    if state == "idle":
        np.testing.assert_array_equal(back.data, expected)
    else:
        assert back.data.any()  # whichever stroke it was at: the file is whole, which reading it checks
    json.loads(sidecar_path(painted.path).read_bytes())


def test_process_that_ends_keeps_the_last_stroke(make_scan: MakeScan, folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PAINT, str(make_scan()), str(folder), str(tmp_path / "truth.npy"), "exit"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "Traceback" not in done.stderr
    (painted,) = recoverable(folder)
    assert (ganseg.read_labels(painted.path).array == 3).any()


# --- the bar -------------------------------------------------------------------------------------------------------


def yes(_: str) -> bool:
    return True


def test_bar_is_hidden_while_there_is_nothing(viewer: ViewerModel, autosave: Autosave, qtbot: Any) -> None:
    bar = RecoveryBar(viewer, autosave)
    qtbot.addWidget(bar)
    assert bar.isHidden()


def test_bar_offers_one_after_the_other(
    viewer: ViewerModel, autosave: Autosave, layer: Labels, make_scan: MakeScan, qtbot: Any
) -> None:
    left_behind(autosave, layer)
    (image,) = opened(viewer, make_scan("second.nii"))
    other = new_labels_for(viewer, image)
    autosave.watch(other, placement_of(image))
    left_behind(autosave, other)
    for one in (layer, other):
        viewer.layers.remove(one)
    autosave.wait()
    answers = [False, True]
    bar, back = RecoveryBar(viewer, autosave, ask=lambda _: answers.pop(0)), list[Labels]()
    qtbot.addWidget(bar)
    bar.restored.connect(back.append)
    assert "painted on second, " in bar.words.text()
    assert bar.words.text().endswith("were not saved. (1 more)")
    bar.restore_button.click()
    assert viewer.layers[-1] is back[0]
    assert "painted on scan, " in bar.words.text()
    bar.forget_button.click()
    assert not bar.isHidden()
    bar.forget_button.click()
    assert bar.isHidden()
    stroke(back[0], 7, (6, 6, 6))
    (path,) = kept(autosave)
    assert ganseg.read_labels(path).array.max() == 7


def test_damaged_file_is_one_message_and_can_be_forgotten(
    viewer: ViewerModel, autosave: Autosave, layer: Labels, qtbot: Any, complaints: Complaints
) -> None:
    painted = left_behind(autosave, layer)
    painted.path.write_bytes(painted.path.read_bytes()[:-30])
    bar = RecoveryBar(viewer, autosave, ask=yes)
    qtbot.addWidget(bar)
    bar.restore_button.click()
    (said,) = complaints()
    assert said.startswith("Cannot open ")
    bar.forget_button.click()
    assert bar.isHidden()


def test_the_day_is_said_unless_it_is_today() -> None:
    now = datetime(2026, 11, 20, 18, 0).astimezone()
    painted = Painted(Path("x"), "labels", "ct", now.replace(hour=14, minute=5))
    assert in_words(painted, now, 0) == "Labels painted on ct, 14:05, were not saved."
    before = replace(painted, when=painted.when - timedelta(days=1))
    assert in_words(before, now, 2) == f"Labels painted on ct, {before.when:%d %b}, 14:05, were not saved. (2 more)"
