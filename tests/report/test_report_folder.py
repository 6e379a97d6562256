"""A report tells what became of every case, runs nothing, and survives whatever lies in the folder."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from builders import write_scan

from napari_ganseg.batch import CaseResult
from napari_ganseg.batch.manifest import add_line
from napari_ganseg.errors import FileError, UsageError
from napari_ganseg.io import read, write
from napari_ganseg.metrics import evaluate
from napari_ganseg.report import report_folder, write_report
from napari_ganseg.volume import LabelClass, LabelMap

VOID = {"meta", "link", "img", "input", "br"}
CLASSES = (LabelClass(1, "Box", "#e6550d"), LabelClass(2, "=Rod", "#3182bd"))


class Page(HTMLParser):
    """Tags, texts and whether every tag is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def done(folder: Path, name: str, side: int = 6) -> CaseResult:
    """A case with a box of some size, and its labels in the output folder."""
    source = write_scan(folder / f"{name}.nii")
    volume = read(source)
    array = np.zeros(volume.shape, np.uint8)
    array[4 : 4 + side, 3:9, 2:7] = 1
    labels = LabelMap(array=array, affine=volume.affine, stored=volume.stored, classes=CLASSES)
    output = folder / "out" / f"{name}.nii.gz"
    write(output, labels)
    volumes = {c.name: float((array == c.value).sum() * labels.voxel_ml) for c in CLASSES}
    return CaseResult(name, source, output, "done", "", 1.5, volumes)


def broken(folder: Path, name: str = "<script>alert(1)") -> CaseResult:
    """A case that failed."""
    return CaseResult(name, folder / "gone.nii", folder / "out" / "x.nii.gz", "failed", "Cannot open <b>it</b>.", 0.1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an empty output folder."""
    (tmp_path / "out").mkdir()
    return tmp_path


def rows(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "cases.csv").read_text("utf-8-sig").splitlines()))


def test_every_case_and_class_has_a_row_that_no_spreadsheet_runs(folder: Path) -> None:
    write_report(folder / "out", [broken(folder, "=1+1"), done(folder, "a")])
    found = rows(folder / "out")
    assert [(r["case"], r["class"]) for r in found] == [("'=1+1", ""), ("a", "Box"), ("a", "'=Rod")]
    assert found[1]["voxels"] == "180"
    assert float(found[1]["volume_ml"]) == pytest.approx(0.36)
    assert "dice" not in found[0]


def test_the_summary_counts_and_measures(folder: Path) -> None:
    write_report(folder / "out", [broken(folder), *(done(folder, f"c{n}", n) for n in (4, 5, 6))])
    summary = json.loads((folder / "out" / "summary.json").read_bytes())
    assert summary["status"] == {"done": 3, "skipped": 0, "failed": 1, "cancelled": 0}
    box = summary["classes"]["Box"]
    assert (box["min_ml"], box["median_ml"], box["mean_ml"], box["max_ml"]) == (0.24, 0.3, 0.3, 0.36)


def test_the_page_is_well_formed_and_its_names_are_no_markup(folder: Path) -> None:
    page = Page(write_report(folder / "out", [done(folder, "a"), broken(folder)]))
    assert not page.open
    assert len(page.all("script")) == 1
    assert page.all("b") != []
    assert any("<script>alert(1)" in text for text in page.texts)
    assert page.texts.index("<script>alert(1)") < page.texts.index("a")


def test_the_page_needs_nothing_from_elsewhere_and_allows_nothing(folder: Path) -> None:
    path = write_report(folder / "out", [done(folder, "a")])
    addresses = [t.get(key) or "" for _, t in Page(path).tags for key in ("src", "href") if key in t]
    assert addresses
    assert all(address.startswith("data:") for address in addresses)
    assert not re.search(r"https?://|url\(|@import", path.read_text("utf-8"))
    assert "default-src 'none'" in path.read_text("utf-8")


def test_columns_sort_by_buttons_and_have_scopes(folder: Path) -> None:
    headings = Page(write_report(folder / "out", [done(folder, "a")])).all("th")
    assert all(h["scope"] in ("col", "row") for h in headings)
    assert [h.get("aria-sort") for h in headings if h["scope"] == "col"].count("none") == 7


def test_a_case_has_three_pictures_with_the_patients_sides(folder: Path) -> None:
    images = Page(write_report(folder / "out", [done(folder, "a")])).all("img")
    assert [i["alt"] for i in images] == [
        "axial plane, R at the left", "coronal plane, R at the left", "sagittal plane, A at the left",
    ]  # fmt: skip


def test_a_picture_that_cannot_be_made_says_why(folder: Path) -> None:
    gone, cut = done(folder, "gone"), done(folder, "cut")
    gone.source.unlink()
    cut.output.write_bytes(cut.output.read_bytes()[:100])
    texts = " ".join(Page(write_report(folder / "out", [gone, cut, done(folder, "a")])).texts)
    assert texts.count("No picture: ") == 2


def test_scores_add_dice(folder: Path) -> None:
    result = done(folder, "a")
    page = write_report(folder / "out", [result], scores={"a": evaluate(result.output, result.output)})
    assert float(rows(folder / "out")[0]["dice"]) == 1.0
    assert "Dice 1.000" in page.read_text("utf-8")


def test_a_report_is_rebuilt_from_the_folder_alone(folder: Path) -> None:
    out = folder / "out"
    results = [broken(folder, "b"), done(folder, "a")]
    for result in results:
        add_line(out, result, {})
    write_report(out, sorted(results, key=lambda r: r.name))
    before = (out / "cases.csv").read_bytes()
    report_folder(out)
    assert (out / "cases.csv").read_bytes() == before


def test_lines_that_lead_out_of_the_folder_are_left_out(folder: Path) -> None:
    add_line(folder / "out", CaseResult("../a", folder / "a.nii", folder / "a.nii.gz", "done"), {})
    with pytest.raises(UsageError, match="nothing to report"):
        report_folder(folder / "out")


@pytest.mark.parametrize("name", ["cases.csv", "report.html", "summary.json"])
def test_somebody_elses_file_is_not_replaced(folder: Path, name: str) -> None:
    (folder / "out" / name).write_text("mine")
    with pytest.raises(FileError, match="is not of a report; rename it"):
        write_report(folder / "out", [broken(folder)])
    assert (folder / "out" / name).read_text() == "mine"


def test_a_report_replaces_an_older_one(folder: Path) -> None:
    write_report(folder / "out", [broken(folder)])
    assert "a" in {row["case"] for row in rows(write_report(folder / "out", [done(folder, "a")]).parent)}
