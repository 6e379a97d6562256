"""The Fine-tune widget in a real viewer: paint, click, watch, take or leave the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import kill_trainings, saved
from hands import MakeScan, opened

from napari_ganseg.errors import UsageError
from napari_ganseg.models import list_models, load_model
from napari_ganseg.plugin import budget, finetune_task, finetune_widget, left_bar, model_form, training_view
from napari_ganseg.plugin.finetune_task import adopt, lesson_of, make_folder
from napari_ganseg.plugin.finetune_widget import FineTuneWidget
from napari_ganseg.plugin.worker import CHILD, job_of
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.training.cases import scan_folder
from napari_ganseg.training.follow import left_runs
from napari_ganseg.training.job import Job as TrainingJob
from napari_ganseg.training.job import read_job, write_job
from napari_ganseg.training.outcome import ClassDice, Outcome

BRIGHT = np.zeros((20, 18, 16), np.float32)
BRIGHT[4:16, 5:12, 5:12] = 300.0


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Runs, models, paces and paintings of the test's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("GANSEG_MODELS", str(tmp_path / "parents"))
    (tmp_path / "parents").mkdir()
    saved(tmp_path / "parents", classes=2)
    monkeypatch.setattr("napari_ganseg.plugin.pacing.begin_measuring", lambda *_: Still())
    yield tmp_path
    kill_trainings(tmp_path)


class Still:
    """A measurement that has ended."""

    def poll(self) -> int:
        return 0

    kill = wait = poll


@pytest.fixture
def desk(make_napari_viewer: Callable[..., Any], make_scan: MakeScan) -> Iterator[tuple[Any, FineTuneWidget]]:
    """A viewer with a scan and the widget."""
    viewer = make_napari_viewer()
    noise = np.random.default_rng(0).normal(0, 10, BRIGHT.shape).astype(np.float32)
    opened(viewer, make_scan(array=(BRIGHT + noise).T.copy()))
    _, widget = viewer.window.add_plugin_dock_widget("napari-ganseg", "Fine-tune a model")
    yield viewer, widget
    widget.lessons.autosave.close()


def paint(widget: FineTuneWidget, slices: list[int]) -> Any:
    """Paint the bright box on some slices, on a new layer."""
    widget.lessons.new_button.native.click()
    layer = widget.lessons.labels.value
    data = layer.data.copy()
    data[slices] = BRIGHT.astype(bool)[slices]
    layer.data = data
    return layer


def outcome(model: str, *, is_better: bool = True, parent: str = "tiny") -> Outcome:
    classes = (ClassDice(1, "organ 1", 0.5, 0.7 if is_better else 0.4),)
    return Outcome(model, parent, "1 of 2 cases", classes, 0.5, 0.7, is_better, "In a sentence.", "all")


def test_from_paint_to_a_model_in_every_list(
    desk: tuple[Any, FineTuneWidget], qtbot: Any, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    """The whole way, with a real process that trains."""
    viewer, widget = desk
    _, segment = viewer.window.add_plugin_dock_widget("napari-ganseg", "Segment CT or MRI")
    monkeypatch.setattr(model_form, "BUDGETS", (budget.Budget("Quick look", 8),))
    paint(widget, [4, 6, 8, 10, 12, 14, 15])
    widget.lessons.meaning.value = "range"
    widget.model.start.value, widget.model.name.value = "", "box"
    widget.reset_choices()
    widget.model.button.native.click()
    assert widget.tabs.currentIndex() == finetune_widget.TRAINING
    assert "Busy" not in segment.button.text  # one may segment meanwhile
    for _ in range(2):
        widget.model.button.native.click()  # three clicks start one training
    assert len(left_runs()) <= 1
    widget.view.cancel_button.click()
    qtbot.waitUntil(lambda: job_of(viewer, CHILD) is None, timeout=120_000)
    assert widget.view.words.text() == "Cancelled; nothing was kept."
    widget.model.button.native.click()
    qtbot.waitUntil(lambda: job_of(viewer, CHILD) is None, timeout=120_000)
    assert widget.view.words.text() == "Done."
    assert "box" in segment.model.choices
    assert segment.model.value == "box"
    model = load_model(home / "data" / "napari-ganseg" / "models" / "box.ganseg.safetensors")
    assert model.card.provenance.command == "Fine-tune in napari"
    assert "slices 8" in model.card.provenance.split
    assert widget.view.curves.series["dice"].values
    widget.view.take_button.click()  # throw it away
    assert "box" not in segment.model.choices


def test_what_unpainted_means_is_said_in_full_and_follows_the_view(desk: tuple[Any, FineTuneWidget]) -> None:
    viewer, widget = desk
    assert widget.lessons.means.value.startswith("Slices with any paint are complete, the others unknown.")
    assert widget.lessons.means.value.endswith("(Slices as you see them now: axial.)")
    viewer.dims.order = (1, 0, 2)
    assert widget.lessons.means.value.endswith("coronal.)")
    widget.lessons.meaning.value = "painted"
    assert widget.lessons.means.value == "Only painted voxels are known."


def test_nothing_painted_is_said_and_nothing_starts(
    desk: tuple[Any, FineTuneWidget], monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, widget = desk
    told: list[str] = []
    monkeypatch.setattr("napari_ganseg.plugin.job_button.show_error", told.append)
    widget.lessons.new_button.native.click()
    widget.model.button.native.click()
    assert told == ["Nothing is painted in scan labels. Paint each structure with its own label first."]
    assert job_of(viewer, CHILD) is None


@pytest.mark.parametrize(
    ("name", "message"), [("tiny", "There is a model called tiny already"), ("a b", "letters, digits")]
)
def test_a_name_that_cannot_be_is_said(desk: tuple[Any, FineTuneWidget], name: str, message: str) -> None:
    _, widget = desk
    paint(widget, [5, 6, 7])
    widget.model.name.value = name
    with pytest.raises(UsageError, match=message):
        widget.model.task()


def test_the_suggested_name_is_free(desk: tuple[Any, FineTuneWidget]) -> None:
    _, widget = desk
    widget.model.start.value = "tiny"
    assert widget.model.name.value == "tiny-2"


@pytest.mark.parametrize("codes", ["RAS", "LPI", "ASL"])
def test_a_lesson_reaches_the_disk_where_it_was_painted(
    viewer: Any, make_scan: MakeScan, codes: str, home: Path
) -> None:
    """What was painted in a viewer is read back on the image's own voxels, whatever the file's orientation."""
    from napari_ganseg.plugin.commands import new_labels_for

    (image,) = opened(viewer, make_scan(codes=codes))
    layer = new_labels_for(viewer, image)
    bright = np.asarray(image.data) > np.median(image.data)
    layer.data = bright.astype(np.uint8)
    task = finetune_task.FineTune("box", [lesson_of(image, layer, "background")], steps=3)
    folder = make_folder(task)
    job = read_job(folder)
    (verdict,) = scan_folder(job.data[0])
    assert verdict.case is not None
    assert np.array_equal(
        verdict.case.annotation.labels.array != 0, verdict.case.image.array > np.median(verdict.case.image.array)
    )
    assert (job.steps, job.only_better) == (3, True)


def test_two_pairs_of_one_name_are_two_cases(desk: tuple[Any, FineTuneWidget]) -> None:
    viewer, widget = desk
    paint(widget, [5, 6, 7])
    widget.lessons.add_button.native.click()
    paint(widget, [8, 9])
    widget.lessons.add_button.native.click()
    assert [lesson.case for lesson in widget.model.task().lessons] == ["scan.nii", "scan-2.nii"]
    viewer.layers.remove(widget.lessons.labels.value)
    assert len(widget.model.task().lessons) == 1


def test_a_model_that_is_not_better_is_used_only_on_request(home: Path) -> None:
    aside = saved(home, name="aside")
    models = home / "data" / "napari-ganseg" / "models"
    models.mkdir(parents=True)
    one = outcome(str(aside), is_better=False)
    assert adopt(one, is_wanted=True) == models / aside.name
    assert load_model(models / aside.name).card.name == "aside"
    adopt(one, is_wanted=False)
    assert not (models / aside.name).exists()
    assert aside.exists()


def test_a_better_model_is_laid_aside_and_taken_back(home: Path) -> None:
    models = home / "data" / "napari-ganseg" / "models"
    models.mkdir(parents=True)
    path = saved(models, name="liver.v2")
    one = outcome(str(path))
    adopt(one, is_wanted=False)
    assert [card.name for card in list_models() if card.name == "liver.v2"] == []
    adopt(one, is_wanted=True)
    assert load_model(path).card.name == "liver.v2"
    assert list(models.iterdir()) == [path]


def test_a_name_with_a_dot_stays_whole(desk: tuple[Any, FineTuneWidget]) -> None:
    _, widget = desk
    told: list[str] = []
    widget.view.taken.connect(told.append)
    widget.view.show_outcome(outcome("/x/liver.v2.ganseg.safetensors"))
    assert told == ["liver.v2"]


def test_the_choice_is_one_click_and_back(desk: tuple[Any, FineTuneWidget], monkeypatch: pytest.MonkeyPatch) -> None:
    _, widget = desk
    asked: list[bool] = []
    monkeypatch.setattr(training_view, "adopt", lambda one, is_wanted: asked.append(is_wanted) or Path(one.model))
    widget.view.show_outcome(outcome("/x/new.ganseg.safetensors", is_better=False))
    assert widget.view.take_button.text() == "Use new all the same"
    widget.view.take_button.click()
    assert widget.view.take_button.text() == "Keep tiny instead"
    widget.view.take_button.click()
    assert asked == [True, False]


def test_a_training_that_was_left_is_offered_and_followed(
    desk: tuple[Any, FineTuneWidget], qtbot: Any, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    viewer, widget = desk
    folder = home / "data" / "napari-ganseg" / "runs" / "liver-20261120-101010-000001"
    write_job(folder, TrainingJob(("/data",), "/models/liver.ganseg.safetensors"))
    widget.left.refresh()
    assert widget.left.words.text() == "The training of liver was interrupted."

    def pretended(_: Path) -> Run[Outcome]:
        def work(controls: Controls) -> Iterator[Progress]:
            yield Progress(3, 9, "training", {"loss": 0.5})
            return outcome("/models/liver.ganseg.safetensors")

        return Run(work)  # type: ignore[arg-type]

    monkeypatch.setattr(training_view, "begin", pretended)
    widget.left.go_button.click()
    qtbot.waitUntil(lambda: job_of(viewer, CHILD) is None)
    assert widget.view.words.text() == "Done."
    assert not widget.left.isVisibleTo(widget)


def test_two_viewers_train_side_by_side(
    make_napari_viewer: Callable[..., Any], qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: dict[str, bool] = {"one": False, "two": False}

    def pretended(folder: Path) -> Run[Outcome]:
        def work(controls: Controls) -> Iterator[Progress]:
            while not ends[folder.name.split("-")[0]]:
                yield Progress(3, 9, "training", {"loss": 0.5})
            return outcome("/models/new.ganseg.safetensors")

        return Run(work)  # type: ignore[arg-type]

    monkeypatch.setattr(training_view, "begin", pretended)
    views = {}
    for name in ends:
        viewer = make_napari_viewer()
        _, widget = viewer.window.add_plugin_dock_widget("napari-ganseg", "Fine-tune a model")
        widget.view.go_on(Path(f"/runs/{name}-20261120-101010-000001"))
        views[name] = viewer, widget
    ends["one"] = True
    qtbot.waitUntil(lambda: views["one"][1].view.words.text() == "Done.")
    assert job_of(views["two"][0], CHILD) is not None
    ends["two"] = True
    qtbot.waitUntil(lambda: views["two"][1].view.words.text() == "Done.")
    for _, widget in views.values():
        widget.lessons.autosave.close()


def test_a_left_training_can_be_thrown_away(home: Path, qtbot: Any) -> None:
    folder = home / "data" / "napari-ganseg" / "runs" / "liver-20261120-101010-000001"
    write_job(folder, TrainingJob(("/data",), "/models/liver.ganseg.safetensors"))
    bar = left_bar.LeftBar(ask=lambda _: True)
    qtbot.addWidget(bar)
    bar.forget_button.click()
    assert not folder.exists()
    assert left_runs() == []


def test_closing_the_viewer_leaves_the_training_running(
    desk: tuple[Any, FineTuneWidget], qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower that nobody needs any more lets go of its Run without cancelling it."""
    viewer, widget = desk
    told: list[str] = []

    def work(controls: Controls) -> Iterator[Progress]:
        while True:
            if controls.is_cancelling:
                told.append("cancelled")
                return
            yield Progress(1, 9, "training")

    monkeypatch.setattr(training_view, "begin", lambda _: Run(work))  # type: ignore[arg-type]
    widget.view.go_on(Path("/runs/liver-20261120-101010-000001"))
    qtbot.waitUntil(lambda: widget.view.words.text().startswith("Step 1"))
    job = job_of(viewer, CHILD)
    assert job is not None
    asked = " ".join(viewer.window._task_status_manager.get_status())  # napari shows these and asks before it closes
    assert "Training liver (it goes on by itself when napari closes)" in asked
    job._work.abandon()
    qtbot.waitUntil(lambda: job_of(viewer, CHILD) is None)
    assert told == []


def test_new_labels_take_the_parents_classes_and_unpainted_ones_stay_unknown(
    desk: tuple[Any, FineTuneWidget],
) -> None:
    _, widget = desk
    widget.lessons.new_button.native.click()
    assert [c.name for c in widget.lessons.classes.classes()] == []
    widget.model.start.value = "tiny"
    assert [c.name for c in widget.lessons.classes.classes()] == ["organ 1", "organ 2"]
    layer = widget.lessons.labels.value
    layer.data = np.where(BRIGHT > 0, 1, 0).astype(np.uint8)
    widget.lessons.meaning.value = "background"
    (lesson,) = widget.model.task().lessons
    assert lesson.annotation.missing == {2}
    folder = make_folder(widget.model.task())
    (verdict,) = scan_folder(folder / "data")
    assert verdict.case is not None
    assert verdict.case.annotation.missing == {2}
