"""The tab Adapt in a real viewer: what it asks for, what it refuses, the job it writes, and before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from builders import kill_trainings, saved
from hands import AFFINE, MakeScan, opened

from napari_ganseg.errors import UsageError
from napari_ganseg.models import list_models
from napari_ganseg.plugin import finetune_widget, model_form, training_view
from napari_ganseg.plugin.adapt_form import USUAL, AdaptForm
from napari_ganseg.plugin.adapt_task import make_folder
from napari_ganseg.plugin.finetune_widget import FineTuneWidget
from napari_ganseg.plugin.layers import classes_of
from napari_ganseg.plugin.outcome_table import remarks_on
from napari_ganseg.plugin.registry import placement_of
from napari_ganseg.plugin.worker import CHILD, job_of
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.training.execution import read_unlabelled
from napari_ganseg.training.job import read_job
from napari_ganseg.training.outcome import ClassDice, Outcome
from napari_ganseg.volume import identity_affine

SHAPE = (20, 18, 16)  # x, y, z
KEPT = "Views of one scan agree by 0.90 in source scans, 0.80 in the new ones."
NOTHING = "The new scans look like the model's own; nothing to adapt."


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Runs and models of the test's own; one 3D model, one 2D."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("GANSEG_MODELS", str(tmp_path / "parents"))
    monkeypatch.setattr(model_form.Pace, "of", lambda *_: 1.0)
    monkeypatch.setattr("napari_ganseg.models.library.SHIPPED", tmp_path / "none")
    (tmp_path / "parents").mkdir()
    saved(tmp_path / "parents", classes=2)
    saved(tmp_path / "parents", dims=2, name="flat")
    yield tmp_path
    kill_trainings(tmp_path)


@pytest.fixture
def source(home: Path) -> Path:
    """Four labelled scans."""
    rng = np.random.default_rng(1)
    for place in ("images", "labels"):
        (home / "source" / place).mkdir(parents=True)
    for i in range(4):
        image, labels = rng.normal(0, 300, SHAPE).astype(np.float32), np.zeros(SHAPE, np.uint8)
        labels[4:9, 4:12, 4:12], labels[9:15, 4:12, 4:12] = 1, 2
        nib.save(nib.Nifti1Image(image, np.diag([2.0, 2, 2, 1])), home / "source" / "images" / f"case{i}.nii")
        nib.save(nib.Nifti1Image(labels, np.diag([2.0, 2, 2, 1])), home / "source" / "labels" / f"case{i}.nii")
    return home / "source"


@pytest.fixture
def desk(make_napari_viewer: Callable[..., Any], make_scan: MakeScan) -> Iterator[tuple[Any, FineTuneWidget]]:
    """A viewer with two scans, and the widget."""
    viewer = make_napari_viewer()
    for seed, codes in enumerate(("RAS", "LPI")):
        array = np.random.default_rng(seed).normal(0, 300, SHAPE).astype(np.float32)
        opened(viewer, make_scan(f"new{seed}.nii", codes, array))
    _, widget = viewer.window.add_plugin_dock_widget("napari-ganseg", "Fine-tune a model")
    widget.adapt.model.value = "tiny"
    yield viewer, widget
    widget.lessons.autosave.close()


def tick(form: AdaptForm, row: int, *, is_wanted: bool) -> None:
    """Click into a row's box."""
    item: Any = form.scans.item(row)
    kind = type(item.checkState())
    item.setCheckState(kind.Checked if is_wanted else kind.Unchecked)


def pretend(monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Outcome]) -> list[Path]:
    """An adaptation that ends at once, in place of the process; returns the run folders begun."""
    begun: list[Path] = []

    def begin(folder: Path) -> Run[Outcome]:
        def work(controls: Controls) -> Iterator[Progress]:
            begun.append(folder)
            yield Progress(1, 9, "training", {"loss": 0.5})
            return make(folder)

        return Run(work)  # type: ignore[arg-type]

    monkeypatch.setattr(training_view, "begin", begin)
    return begun


def adapted(folder: Path) -> Outcome:
    """As the process would: another model, in the library."""
    path = Path(read_job(folder).out)
    saved(path.parent, classes=2, seed=5, name=path.name.split(".")[0])
    classes = (ClassDice(1, "organ 1", 0.5, 0.7), ClassDice(2, "organ 2", 0.5, 0.7))
    return Outcome(str(path), "tiny", "held-out scans", classes, 0.5, 0.7, True, "Adapted: better.", KEPT)


def run(desk: tuple[Any, FineTuneWidget], qtbot: Any, source: Path) -> None:
    """Fill in, click, wait."""
    viewer, widget = desk
    widget.adapt.source.value = source
    widget.adapt.button.native.click()
    assert widget.tabs.currentIndex() == finetune_widget.TRAINING
    qtbot.waitUntil(lambda: job_of(viewer, CHILD) is None, timeout=120_000)
    qtbot.wait(20)


def test_the_form_offers_models_open_scans_a_name_and_the_usual_steps(desk: tuple[Any, FineTuneWidget]) -> None:
    _, widget = desk
    form = widget.adapt
    assert form.model.choices == ("flat", "tiny")  # an adaptation never starts from scratch
    assert [image.name for image in form.scans.chosen()] == ["new0", "new1"]
    assert form.count.text() == "2 new scans."
    assert form.name.value == "tiny-adapted"
    assert form.budget.value.steps == USUAL
    assert "only the scanner differs" in form.assumes.text()


def test_a_scan_without_its_tick_stays_out_and_too_few_are_said_before_the_click(
    desk: tuple[Any, FineTuneWidget],
) -> None:
    viewer, widget = desk
    tick(widget.adapt, 0, is_wanted=False)
    assert widget.adapt.count.text().startswith("One new scan is not enough: adapting needs 2 or more.")
    with pytest.raises(UsageError, match="One new scan is not enough"):
        widget.adapt.task()
    viewer.add_labels(np.zeros(SHAPE, np.uint8))  # the lists are filled anew; the tick stays away
    assert [image.name for image in widget.adapt.scans.chosen()] == ["new1"]
    tick(widget.adapt, 0, is_wanted=True)
    assert widget.adapt.count.text() == "2 new scans."


def test_scans_of_other_dimensions_are_left_out_in_words(desk: tuple[Any, FineTuneWidget]) -> None:
    _, widget = desk
    widget.adapt.model.value = "flat"
    assert widget.adapt.scans.chosen() == []
    assert widget.adapt.name.value == "flat-adapted"
    with pytest.raises(UsageError, match=r"There is no new scan yet.* 2 open images are left out: flat takes 2D scans"):
        widget.adapt.task()


def test_a_folder_of_scans_counts_with_the_open_ones(desk: tuple[Any, FineTuneWidget], source: Path) -> None:
    _, widget = desk
    widget.adapt.folder.value = source / "images"
    assert widget.adapt.count.text() == "6 new scans: 2 open here, 4 in the folder."


def test_without_labelled_scans_the_answer_is_a_plain_no(
    desk: tuple[Any, FineTuneWidget], monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, widget = desk
    told: list[str] = []
    monkeypatch.setattr("napari_ganseg.plugin.job_button.show_error", told.append)
    widget.adapt.button.native.click()
    assert told == [
        "Adapting tiny needs labelled scans like those it was trained on, which no model file holds: choose a folder "
        "with images/ and labels/. Without any, label three of the new scans and fine-tune: in the tab Teach."
    ]
    assert job_of(viewer, CHILD) is None


@pytest.mark.parametrize(
    ("field", "place", "message"),
    [
        ("source", "nowhere", "There is no folder .*nowhere"),
        ("source", "parents", "needs the folders images and labels"),
        ("folder", "nowhere", "cannot be read"),
        ("folder", "parents", "There are no scans in"),
    ],
)
def test_a_folder_that_cannot_be_meant_is_said(
    desk: tuple[Any, FineTuneWidget], home: Path, source: Path, field: str, place: str, message: str
) -> None:
    _, widget = desk
    widget.adapt.source.value = source
    getattr(widget.adapt, field).value = home / place
    with pytest.raises(UsageError, match=message):
        widget.adapt.task()


@pytest.mark.parametrize(("name", "message"), [("tiny", "a model called tiny already"), ("a b", "letters, digits")])
def test_a_name_that_no_model_can_have_is_said(
    desk: tuple[Any, FineTuneWidget], source: Path, name: str, message: str
) -> None:
    _, widget = desk
    widget.adapt.source.value, widget.adapt.name.value = source, name
    with pytest.raises(UsageError, match=message):
        widget.adapt.task()


def test_the_job_names_everything_and_the_scans_lie_where_they_lay(
    desk: tuple[Any, FineTuneWidget], source: Path, home: Path
) -> None:
    viewer, widget = desk
    widget.adapt.source.value, widget.adapt.folder.value = source, source / "images"
    folder = make_folder(widget.adapt.task())
    job = read_job(folder)
    assert job.data == (str(source),)
    assert job.targets == (str(folder / "target"), str(source / "images"))
    assert job.start == str(home / "parents" / "tiny.ganseg.safetensors")
    assert job.out == str(home / "data" / "napari-ganseg" / "models" / "tiny-adapted.ganseg.safetensors")
    assert (job.steps, job.only_better) == (USUAL, True)
    volumes = read_unlabelled(job.targets[:1], 1)
    for volume, image in zip(volumes, viewer.layers, strict=True):
        expected = placement_of(image).volume(image.data)
        assert np.allclose(volume.array, expected.array)
        assert np.allclose(volume.affine, expected.affine, atol=1e-3)
        assert not np.allclose(volume.affine, identity_affine())
        assert np.allclose(sorted(volume.spacing_mm), sorted(np.diag(AFFINE)[:3]))


def test_an_outcome_without_a_model_is_its_verdict_and_nothing_to_take(
    desk: tuple[Any, FineTuneWidget], qtbot: Any, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, widget = desk
    outcome = Outcome("", "tiny", "", (), None, None, False, NOTHING, KEPT)
    pretend(monkeypatch, lambda _: outcome)
    run(desk, qtbot, source)
    view = widget.view
    assert (view.table.verdict.text(), view.table.remarks.text()) == (NOTHING, KEPT)
    assert not view.table.isHidden()
    assert view.table.table.isHidden()
    assert view.take_button.isHidden()
    assert view.both.isHidden()
    assert view.curves.isHidden()
    assert remarks_on(outcome) == [f"kept: {KEPT}"]  # as a training says it


def test_an_adapted_model_is_taken_laid_aside_and_taken_again(
    desk: tuple[Any, FineTuneWidget], qtbot: Any, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, widget = desk
    pretend(monkeypatch, adapted)
    run(desk, qtbot, source)
    assert "tiny-adapted" in widget.adapt.model.choices
    assert widget.adapt.name.value == "tiny-adapted-2"
    assert widget.view.take_button.text() == "Keep tiny instead"
    widget.view.take_button.click()
    assert [card.name for card in list_models()] == ["flat", "tiny"]
    assert widget.view.take_button.text() == "Use tiny-adapted all the same"
    compare(desk, qtbot)  # also while it is laid aside
    assert "new0 [disagreement]" in viewer.layers
    widget.view.take_button.click()
    assert "tiny-adapted" in [card.name for card in list_models()]


def compare(desk: tuple[Any, FineTuneWidget], qtbot: Any) -> None:
    """Show before and after on the first scan."""
    viewer, widget = desk
    widget.view.both.image.value = viewer.layers["new0"]
    widget.view.both.button.native.click()
    assert job_of(viewer) is not None  # not in the viewer's thread
    qtbot.waitUntil(lambda: job_of(viewer) is None, timeout=60_000)
    qtbot.wait(20)


def test_before_and_after_lie_on_the_image_with_what_differs(
    desk: tuple[Any, FineTuneWidget], qtbot: Any, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, widget = desk
    pretend(monkeypatch, adapted)
    run(desk, qtbot, source)
    assert not widget.view.both.isHidden()
    image = viewer.layers["new0"]
    image.translate = (5, 6, 7)  # wherever it has been moved to
    compare(desk, qtbot)
    compare(desk, qtbot)  # nobody touched the layers: they are replaced
    names = ["new0 [tiny]", "new0 [tiny-adapted]", "new0 [disagreement]"]
    assert [layer.name for layer in viewer.layers][2:] == names
    before, after, differing = (viewer.layers[name] for name in names)
    for layer in (before, after, differing):
        assert np.allclose(layer.scale, image.scale)
        assert np.allclose(layer.translate, image.translate)
        assert placement_of(layer).is_same_grid_as(placement_of(image))
    assert (before.visible, after.visible, differing.visible) == (False, True, True)
    assert np.array_equal(differing.data != 0, before.data != after.data)
    assert [(c.value, c.name, c.colour) for c in classes_of(differing)] == [(1, "differs", "#ff00c8")]
    rows = widget.view.both.table.texts()
    assert [row[0] for row in rows] == ["organ 1", "organ 2"]
    overlap = 2 * ((before.data == 1) & (after.data == 1)).sum() / ((before.data == 1).sum() + (after.data == 1).sum())
    assert rows[0][1] == f"{overlap:.3f}"
    assert [float(cell) for cell in rows[0][2:]] == [
        pytest.approx((layer.data == 1).sum() * np.prod(layer.scale) / 1000, abs=1e-3) for layer in (before, after)
    ]
    assert "differ in" in widget.view.both.words.text()


def test_an_image_that_goes_meanwhile_drops_the_comparison(
    desk: tuple[Any, FineTuneWidget], qtbot: Any, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, widget = desk
    told: list[str] = []
    monkeypatch.setattr("napari_ganseg.plugin.before_after.show_warning", told.append)
    pretend(monkeypatch, adapted)
    run(desk, qtbot, source)
    widget.view.both.image.value = viewer.layers["new0"]
    widget.view.both.button.native.click()
    viewer.layers.remove("new0")
    qtbot.waitUntil(lambda: job_of(viewer) is None, timeout=60_000)
    assert told == ['"new0" was removed while it was being segmented; the result was dropped.']
    assert len(viewer.layers) == 1


def test_an_adaptation_that_was_left_is_offered_and_ends_as_one(
    desk: tuple[Any, FineTuneWidget], qtbot: Any, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, widget = desk
    widget.adapt.source.value = source
    folder = make_folder(widget.adapt.task())
    widget.left.refresh()
    assert widget.left.words.text() == "The training of tiny-adapted was interrupted."
    begun = pretend(monkeypatch, adapted)
    widget.left.go_button.click()
    qtbot.waitUntil(lambda: job_of(viewer, CHILD) is None)
    assert begun == [folder]
    assert widget.view.take_button.text() == "Keep tiny instead"
    assert not widget.view.both.isHidden()
