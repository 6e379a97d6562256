"""The Batch widget in a real viewer: a folder in, a row for each case, and every case opens with its labels."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hands import OBLIQUE, MakeScan
from napari.layers import Image, Labels

from napari_ganseg.batch import CaseResult
from napari_ganseg.errors import UsageError
from napari_ganseg.plugin import batch_widget
from napari_ganseg.plugin.batch_widget import BatchWidget
from napari_ganseg.plugin.case_opener import CaseOpener
from napari_ganseg.plugin.case_table import in_numbers, in_words
from napari_ganseg.plugin.transform import covers
from napari_ganseg.plugin.worker import Job, job_of
from napari_ganseg.run import Controls, Progress, Run

Complaints = Callable[[], list[str]]


class Office:
    """A viewer with the Batch widget docked, a folder chosen."""

    def __init__(self, viewer: Any, qtbot: Any, folder: Path) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        _, self.widget = viewer.window.add_plugin_dock_widget("napari-ganseg", "Segment a folder")
        assert isinstance(self.widget, BatchWidget)
        self.widget.folder.value, self.widget.model.value = folder, "tiny"

    def run(self) -> None:
        """Click and wait for the end."""
        self.widget.button.native.click()
        self.qtbot.waitUntil(lambda: job_of(self.viewer) is None, timeout=300_000)
        self.qtbot.wait(20)

    def column(self, number: int) -> list[str]:
        """Texts of a column."""
        table = self.widget.table
        return [table.item(row, number).text() for row in range(table.rowCount())]


@pytest.fixture
def folder(make_scan: MakeScan, tmp_path: Path) -> Path:
    """Two scans, one oblique and stored sideways, and a file that is none."""
    folder = tmp_path / "scans"
    folder.mkdir()
    make_scan("scans/a.nii.gz")
    make_scan("scans/b.nii.gz", codes="PIR", affine=OBLIQUE)
    (folder / "broken.nii.gz").write_bytes(b"nothing")
    return folder


@pytest.fixture
def office(make_napari_viewer: Any, qtbot: Any, models: Path, folder: Path) -> Office:
    return Office(make_napari_viewer(), qtbot, folder)


def waiting(controls: Controls) -> Generator[Progress, None, tuple[CaseResult, ...]]:
    """A batch that goes on until it is cancelled, and says so as fast as it can."""
    while True:
        controls.check()
        yield Progress(0, 3, "a.nii.gz: segmenting")


def case_of(folder: Path, name: str, status: Any = "done", **fields: Any) -> CaseResult:
    return CaseResult(name, folder / f"{name}.nii.gz", folder / "out" / f"{name}.nii.gz", status, **fields)


def test_every_case_gets_a_row_and_opens_with_its_labels(office: Office, folder: Path, complaints: Complaints) -> None:
    office.run()
    assert office.column(0) == ["broken", "a", "b"]
    assert office.column(1) == ["failed", "done", "done"]
    assert office.column(2)[0].startswith("Cannot open broken.nii.gz: ")
    assert " mL" in office.column(2)[1]
    assert (folder.with_name("scans-labels") / "b.nii.gz").is_file()
    assert office.widget.words.text().startswith("1 failed, 2 done. Labels and report.html are in ")
    assert office.widget.button.text == "Segment folder"
    office.widget.table.cellDoubleClicked.emit(2, 0)
    image, labels = office.viewer.layers
    assert isinstance(image, Image)
    assert isinstance(labels, Labels)
    assert covers(labels, image)
    assert labels.name == "b labels"
    office.widget.table.cellDoubleClicked.emit(0, 0)
    assert complaints()[-1] == office.column(2)[0]
    assert not office.viewer.layers


def test_cancel_ends_the_batch_and_another_job_is_waited_for(
    office: Office, monkeypatch: pytest.MonkeyPatch, complaints: Complaints
) -> None:
    monkeypatch.setattr(batch_widget, "make_run", lambda task: Run(waiting))
    button = office.widget.button
    button.native.click()
    assert button.text == "Cancel"
    with pytest.raises(UsageError, match=r"This viewer is busy \(Segment folder scans\)"):
        Job(office.viewer, lambda: Run(waiting), "Another", finish=str, on_done=print, on_failed=print)
    office.run()  # the second click cancels
    other = Job(office.viewer, lambda: Run(waiting), "Segment ct", finish=str, on_done=print, on_failed=print)
    assert (button.text, button.enabled) == ("Busy: Segment ct", False)
    other.cancel()
    office.qtbot.waitUntil(lambda: button.text == "Segment folder", timeout=20_000)
    assert button.enabled
    assert complaints() == []


def test_what_is_wrong_with_the_form_or_the_folder_is_one_message(
    office: Office, complaints: Complaints, tmp_path: Path
) -> None:
    office.widget.folder.value = office.widget.out.value = None
    office.run()
    assert complaints() == ["Choose the folder of scans first."]
    office.widget.folder.value = tmp_path / "nowhere"
    assert office.widget.out.value == tmp_path / "nowhere-labels"
    office.run()
    assert complaints()[1].startswith("Cannot read the folder nowhere: ")
    assert office.widget.words.text() == complaints()[1]


def test_next_case_takes_the_place_of_the_one_before_unless_it_was_edited(viewer: Any, folder: Path) -> None:
    from napari_ganseg.io import read, write
    from napari_ganseg.plugin.reader import open_file

    def open_with_our_reader(path: str, **_: Any) -> list[Any]:
        return [viewer._add_layer_from_data(*layer)[0] for layer in open_file(path)]

    (folder / "out").mkdir()
    for name in "ab":
        scan = read(folder / f"{name}.nii.gz")
        write(folder / "out" / f"{name}.nii.gz", _labels_on(scan))
    object.__setattr__(viewer, "open", open_with_our_reader)
    opener = CaseOpener(viewer)
    opener.open(case_of(folder, "a"))
    opener.open(case_of(folder, "b"))
    assert [layer.name for layer in viewer.layers] == ["b", "b labels"]
    viewer.layers[1].data[0, 0, 0] = 9
    opener.open(case_of(folder, "a"))
    assert [layer.name for layer in viewer.layers] == ["b", "b labels", "a", "a labels"]


def _labels_on(scan: Any) -> Any:
    from napari_ganseg.volume import LabelMap

    return LabelMap(array=np.ones(scan.shape, np.uint8), affine=scan.affine, stored=scan.stored)


def test_row_says_what_was_found_or_why_not(tmp_path: Path) -> None:
    assert in_words(case_of(tmp_path, "a", volumes_ml={"liver": 1234.5, "spleen": 0.0})) == "liver: 1234 mL"
    assert in_words(case_of(tmp_path, "a")) == "nothing found"
    assert in_words(case_of(tmp_path, "a", "failed", cause="It is damaged.")) == "It is damaged."
    assert in_numbers([case_of(tmp_path, "a"), case_of(tmp_path, "b", "failed")]) == "1 failed, 1 done"
