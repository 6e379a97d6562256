"""The report of 60 cases in a real browser: no complaint on its console, sorts, under 10 MB; and its screenshot.

    pip install playwright && apt-get install chromium    # needed by this benchmark alone
    python -m benchmarks.report                 # 57 scans of GANSEG_DATA and 3 damaged ones, into /tmp/report60
    python -m benchmarks.report --phantoms      # phantoms alone, no patient's data; takes docs/images/report.png

A second call goes on from the cases that are done. The page is opened from disk with the network cut off; it is sorted
by mouse and by keyboard, searched, and a picture is enlarged. Exits 0 when every check holds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from napari_ganseg.batch import segment_folder
from napari_ganseg.io import read_labels
from napari_ganseg.metrics import Scores, evaluate
from napari_ganseg.report import report_folder, write_report

CASES, DAMAGED, LIMIT_MB = 60, 3, 10.0
PHANTOMS = 24
SCREENSHOT = Path(__file__).parents[1] / "docs" / "images" / "report.png"
SIZE = {"width": 1360, "height": 1500}
SEEDS = 400  # of the phantoms; the shipped samples have others


def main(arguments: Sequence[str] | None = None) -> int:
    """Segment, report, look; 0 when every check holds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--phantoms", action="store_true", help="phantoms alone, and the screenshot for docs")
    parser.add_argument("--folder", type=Path, help="where scans and labels go; default /tmp/report60 or its like")
    parser.add_argument("--browser", default=shutil.which("chromium"), help="a Chromium")
    options = parser.parse_args(arguments)
    cases = PHANTOMS if options.phantoms else CASES
    folder = options.folder or Path(f"/tmp/report{'_phantoms' if options.phantoms else CASES}")
    if not (folder / "scans").is_dir():
        make_phantoms(folder) if options.phantoms else copy_scans(folder)
    page, seconds = reported(folder)
    results = [*checked_files(page, cases), *looked_at(page, cases, options.browser)]
    for name, is_right in results:
        print(f"{'ok  ' if is_right else 'FAIL'} {name}")
    if options.phantoms:
        photograph(page, options.browser)
    right = sum(is_right for _, is_right in results)
    print(f"{right} of {len(results)} hold; {cases} cases, {megabytes(page):.2f} MB (limit {LIMIT_MB:g}), "
          f"report written in {seconds:.1f} s")  # fmt: skip
    return 0 if right == len(results) else 1


# --- the batch --------------------------------------------------------------------------------------------------------


def copy_scans(folder: Path) -> None:
    """57 MRI crops with their truth, and 3 files that are damaged."""
    root = os.environ.get("GANSEG_DATA")
    if not root:
        sys.exit("Set GANSEG_DATA to the folder of the project's data.")
    data = Path(root) / "hippocampus_mri"
    for kind in ("images", "labels"):
        (folder / ("scans" if kind == "images" else "truth")).mkdir(parents=True)
        for path in sorted((data / kind).glob("*.nii.gz"))[: CASES - DAMAGED]:
            shutil.copy(path, folder / ("scans" if kind == "images" else "truth"))
    damage(folder / "scans", next((folder / "scans").glob("*.nii.gz")).read_bytes())


def make_phantoms(folder: Path) -> None:
    """Phantoms with their truth: drawn with other seeds, shifted, made noisy; two shrunk, three damaged."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "sample_volumes"))
    from phantom_mri import make_mri

    (folder / "scans").mkdir(parents=True)
    (folder / "truth").mkdir()
    for number in range(PHANTOMS - DAMAGED):
        image, labels, affine = make_mri(SEEDS + number)
        rng = np.random.default_rng(number)
        noisy = image * rng.uniform(0.8, 1.2) + rng.normal(0, 0.02 * float(image.std()), image.shape)
        moved = affine.copy()
        moved[:3, 3] += rng.uniform(-20, 20, 3)
        if number % 10 == 5:  # as if the voxels were smaller than they are
            moved[:3, :3] *= 0.78
        for kind, array in (("scans", noisy.astype(np.int16)), ("truth", labels.astype(np.uint8))):
            made = nib.Nifti1Image(array, moved)
            made.header.set_xyzt_units("mm")
            nib.save(made, folder / kind / f"phantom_{number + 1:02}.nii.gz")
    damage(folder / "scans", (folder / "scans" / "phantom_01.nii.gz").read_bytes())


def damage(scans: Path, whole: bytes) -> None:
    """Three files that no batch can segment; the third would also like to run in a page."""
    (scans / "damaged_cut_short.nii.gz").write_bytes(whole[: len(whole) // 2])
    (scans / "damaged_text.nii.gz").write_text("not an image")
    (scans / "<img src=x onerror=alert(1)>.nii.gz").write_bytes(b"")


def reported(folder: Path) -> tuple[Path, float]:
    """Segment what is not yet done, and write the report with scores; its page, and the seconds of the report."""
    out = folder / "out"
    results = segment_folder(folder / "scans", out, "hippocampus-mri", device="cpu").result
    scores: dict[str, Scores] = {}
    for result in results:
        truth = folder / "truth" / result.output.name
        if result.is_good and truth.exists():
            scores[result.name] = evaluate(read_labels(result.output), read_labels(truth))
    report_folder(out, scores=scores)  # from the folder's memory alone, and it must not matter
    begun = time.perf_counter()
    return write_report(out, results, scores=scores), time.perf_counter() - begun


# --- the page ---------------------------------------------------------------------------------------------------------


def checked_files(page: Path, cases: int) -> Iterator[tuple[str, bool]]:
    """What can be said without a browser."""
    text = page.read_text("utf-8")
    yield f"under {LIMIT_MB:g} MB", megabytes(page) < LIMIT_MB
    yield "no address of elsewhere", "http://" not in text and "https://" not in text
    yield "three pictures for every case that is done", text.count("data:image/jpeg") == 3 * (cases - DAMAGED)
    yield "no case becomes markup", "<img src=x" not in text
    yield "table and summary lie beside it", all(page.with_name(n).exists() for n in ("cases.csv", "summary.json"))


def megabytes(page: Path) -> float:
    """Size of the page."""
    return page.stat().st_size / 1e6


@contextmanager
def opened(page: Path, browser: str | None, scheme: str = "light") -> Iterator[tuple[Any, list[str]]]:
    """The page in a browser without a network, and what its console complains of."""
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        context = chromium.new_context(viewport=SIZE, color_scheme=scheme, offline=True)
        view = context.new_page()
        view.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        view.on("pageerror", lambda e: complaints.append(str(e)))
        view.on("dialog", lambda d: (complaints.append(f"dialog: {d.message}"), d.dismiss()))
        view.on("request", lambda r: complaints.append(r.url) if r.url.startswith("http") else None)
        view.goto(page.resolve().as_uri())
        yield view, complaints
        chromium.close()


def looked_at(page: Path, cases: int, browser: str | None) -> Iterator[tuple[str, bool]]:
    """What the page does."""
    with opened(page, browser) as (view, complaints):
        yield f"{cases} rows, failures first", statuses(view) == ["failed"] * DAMAGED + ["done"] * (cases - DAMAGED)
        broken = view.evaluate("[...document.images].filter(i => !i.complete || !i.naturalWidth).length")
        yield "every picture shows", broken == 0
        yield from sorting(view)
        view.fill("input[type=search]", "damaged")
        yield "searching leaves what matches", view.locator("tbody tr:visible").count() == 2
        view.fill("input[type=search]", "")
        view.locator(".planes").first.click()
        yield "a picture is enlarged", view.locator("dialog .plane").count() == 3
        view.keyboard.press("Escape")
        yield "and put away", not view.locator("dialog").is_visible()
        yield f"no complaint on the console {complaints[:3] or ''}", not complaints


def statuses(view: Any) -> list[str]:
    """Status of every row, a case that was done before like one done now."""
    texts = view.locator("tbody .status").all_text_contents()
    return ["done" if text == "done before" else text for text in texts]


def sorting(view: Any) -> Iterator[tuple[str, bool]]:
    """By a click and by the keyboard."""
    heading = view.locator("thead th.number", has_text="Anterior").first
    column = heading.evaluate("th => th.cellIndex")
    heading.locator("button").click()
    values = numbers(view, column)
    yield "a click sorts, the largest first", values == sorted(values, reverse=True) and len(values) > DAMAGED
    yield "and says so", heading.get_attribute("aria-sort") == "descending"
    heading.locator("button").focus()
    view.keyboard.press("Enter")
    values = numbers(view, column)
    yield "a key turns it round", values == sorted(values) and heading.get_attribute("aria-sort") == "ascending"
    yield "what has no number comes last", statuses(view)[-DAMAGED:] == ["failed"] * DAMAGED
    view.locator("thead button", has_text="Status").click()
    yield "status sorts failures first", statuses(view)[:DAMAGED] == ["failed"] * DAMAGED


def numbers(view: Any, column: int) -> list[float]:
    """A column's numbers, from the top."""
    values = view.evaluate("c => [...document.querySelector('tbody').rows].map(r => r.cells[c].dataset.value)", column)
    return [float(value) for value in values if value]


def photograph(page: Path, browser: str | None) -> None:
    """The screenshot of the docs: light; a dark one beside the report."""
    for scheme, path in (("light", SCREENSHOT), ("dark", page.with_name("dark.png"))):
        with opened(page, browser, scheme) as (view, _):
            view.screenshot(path=str(path))


if __name__ == "__main__":
    raise SystemExit(main())
