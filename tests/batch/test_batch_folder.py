"""A folder is segmented: every case gets labels and a record, or a cause."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from builders import Z_SCORE, saved
from PIL import Image

import napari_ganseg as ganseg
from napari_ganseg.batch import CaseResult, exit_code, segment_folder
from napari_ganseg.batch.manifest import read_manifest
from napari_ganseg.batch.record import voxels_sha256
from napari_ganseg.errors import ModelError, UsageError

Scan = Callable[..., Path]
Segment = Callable[..., tuple[CaseResult, ...]]
unix = pytest.mark.skipif(os.name == "nt", reason="no such names or files on Windows")


def statuses(results: tuple[CaseResult, ...]) -> dict[str, str]:
    return {result.name: result.status for result in results}


def whys(out: Path) -> list[str]:
    """Why each computed case was computed, in the manifest's order."""
    return [entry["why"] for entry in read_manifest(out) if entry["status"] == "done"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_ganseg.batch.load.POLL_S", 0.02)


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_the_labels_are_those_of_the_engine(scan: Scan, segment: Segment, model: Path, out: Path) -> None:
    path = scan("one/a.nii")
    (result,) = segment()
    expected = ganseg.segment(path, model, device="cpu")
    assert (result.name, result.status, result.source, result.output) == ("one/a", "done", path, out / "one/a.nii.gz")
    assert np.array_equal(ganseg.read_labels(result.output).array, expected.array)
    assert result.volumes_ml == pytest.approx(
        {"organ 1": expected.counts()[1] / 1e3, "organ 2": expected.counts()[2] / 1e3}
    )


def test_the_record_proves_what_was_made_from_what(scan: Scan, segment: Segment, out: Path) -> None:
    scan("a.nii")
    segment()
    sidecar = json.loads((out / "a.json").read_text())
    record = sidecar["record"]
    assert record["state"] == "done"
    assert [i["name"] for i in record["inputs"]] == ["a.nii"]
    assert record["output"]["voxels_sha256"] == voxels_sha256(ganseg.read_labels(out / "a.nii.gz").array)
    assert sidecar["provenance"]["model"] == record["models"][0]["name"] == "tiny"
    assert sorted(p.name for p in out.iterdir()) == ["a.json", "a.nii.gz", "manifest.jsonl"]


def test_progress_brings_each_case_as_it_ends(scan: Scan, scans: Path, out: Path, model: Path) -> None:
    scan("a.nii")
    scan("b.nii")
    run = segment_folder(scans, out, model, device="cpu")
    ended = [(p.done, p.total, p.case) for p in run if p.case]
    assert [(done, total) for done, total, _ in ended] == [(1, 2), (2, 2)]
    assert tuple(case for *_, case in ended) == run.result


def test_a_2d_models_pictures_are_labelled_as_pictures(
    scans: Path, segment: Segment, out: Path, tmp_path: Path
) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30), np.uint8)).save(scans / "a.png")
    (result,) = segment(saved(tmp_path, dims=2))
    assert (result.status, result.cause) == ("done", "")
    with Image.open(out / "a.png") as labels:
        assert labels.size == (30, 20)


def test_several_models_make_one_label_map(
    scan: Scan, segment: Segment, model: Path, out: Path, tmp_path: Path
) -> None:
    path, other = scan("a.nii"), saved(tmp_path, classes=1, seed=5, name="other", preprocessing=Z_SCORE)
    segment([model, other])
    first, second = (ganseg.segment(path, m, device="cpu").array for m in (model, other))
    assert np.array_equal(ganseg.read_labels(out / "a.nii.gz").array, np.where(first, first, second))
    assert segment([model, other])[0].status == "skipped"
    assert segment([model, other], later_models="cover")[0].status == "done"


def test_channels_in_files_of_their_own_are_laid_on_top_of_each_other(
    scan: Scan, segment: Segment, out: Path, tmp_path: Path
) -> None:
    model = saved(tmp_path, channels=("T1", "T2"), preprocessing=Z_SCORE)
    t1, t2 = scan("imagesTs/A_0000.nii.gz"), scan("imagesTs/A_0001.nii.gz")
    scan("imagesTs/B_0000.nii.gz")
    scan("imagesTs/C_0000.nii.gz")
    scan("imagesTs/C_0001.nii.gz", (12, 13, 15))
    good, single, uneven = segment(model)
    both = ganseg.read(t1).derive(array=np.stack([ganseg.read(t).array for t in (t1, t2)]), has_channels=True)
    assert np.array_equal(ganseg.read_labels(out / "labelsTs/A.nii.gz").array, ganseg.segment(both, model).array)
    assert good.status == "done"
    assert "expects 2 channel(s) (T1, T2); this image has 1" in single.cause
    assert "C_0001.nii.gz and C_0000.nii.gz differ in grid (15 x 13 x 12 at" in uneven.cause


def test_a_bids_derivative_says_that_it_is_one(scan: Scan, segment: Segment, out: Path, scans: Path) -> None:
    scan("sub-1/anat/sub-1_T1w.nii.gz")
    before = sorted(scans.rglob("*"))
    assert statuses(segment()) == {"sub-1/anat/sub-1_desc-T1w_dseg": "done"}
    assert json.loads((out / "dataset_description.json").read_text())["DatasetType"] == "derivative"
    assert sorted(scans.rglob("*")) == before


def test_a_frame_may_be_chosen(scan: Scan, segment: Segment) -> None:
    scan("a.nii", (12, 13, 14, 3))
    assert "it holds 3 images along NIfTI axis 4" in segment()[0].cause
    assert segment(frame=1)[0].status == "done"


# --- again ------------------------------------------------------------------------------------------------------------


def test_what_is_done_is_skipped_with_its_volumes(scan: Scan, segment: Segment) -> None:
    scan("a.nii")
    (first,), (second,) = segment(), segment(device="auto")
    assert (first.status, second.status) == ("done", "skipped")
    assert (second.volumes_ml, second.notes) == (first.volumes_ml, first.notes)


def test_what_is_done_is_skipped_without_loading_the_model(
    scan: Scan, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan("a.nii")
    segment()
    monkeypatch.delattr("napari_ganseg.batch.folder.load")
    assert segment()[0].status == "skipped"


@pytest.mark.parametrize("cut", [lambda b: b[:-40], lambda b: b[:200] + bytes([b[200] ^ 1]) + b[201:], lambda b: b""])
def test_an_output_that_was_cut_or_changed_is_made_again(
    scan: Scan, segment: Segment, out: Path, cut: Callable[[bytes], bytes]
) -> None:
    scan("a.nii")
    segment()
    whole = (out / "a.nii.gz").read_bytes()
    (out / "a.nii.gz").write_bytes(cut(whole))
    assert segment()[0].status == "done"
    assert (out / "a.nii.gz").read_bytes() == whole
    assert whys(out) == ["new", "the output was cut or changed"]


def test_an_output_that_is_gone_is_made_again(scan: Scan, segment: Segment, out: Path) -> None:
    scan("a.nii")
    segment()
    (out / "a.nii.gz").unlink()
    assert segment()[0].status == "done"
    assert whys(out) == ["new", "the output is gone"]


def test_a_changed_scan_model_or_parameter_means_computing_again(
    scan: Scan, segment: Segment, out: Path, tmp_path: Path
) -> None:
    scan("a.nii")
    segment()
    scan("a.nii", spacing=2.0)
    segment()
    other = saved(tmp_path, classes=2, seed=3, preprocessing=Z_SCORE)
    segment(other)
    segment(other, overlap=0.25)
    assert segment(other, overlap=0.25)[0].status == "skipped"
    assert whys(out) == ["new", "the scan changed", "the model changed", "the parameters changed"]


@pytest.mark.parametrize(
    "sidecar", [None, {"software": "napari-ganseg", "classes": []}, {"software": "napari-ganseg", "record": 3}]
)
def test_a_file_without_a_record_is_not_touched_unless_told(
    scan: Scan, segment: Segment, out: Path, sidecar: dict[str, object] | None
) -> None:
    scan("a.nii")
    out.mkdir()
    (out / "a.nii.gz").write_bytes(b"somebody's work")
    if sidecar:
        (out / "a.json").write_text(json.dumps(sidecar))
    (result,) = segment()
    assert result.status == "failed"
    assert result.cause.startswith("a.nii.gz is there already without a record of this batch")
    assert (out / "a.nii.gz").read_bytes() == b"somebody's work"
    assert segment(overwrite=True)[0].status == "done"
    assert segment()[0].status == "skipped"


def test_a_json_file_of_somebody_else_is_not_touched_either(scan: Scan, segment: Segment, out: Path) -> None:
    scan("a.nii")
    out.mkdir()
    (out / "a.json").write_text('{"EchoTime": 0.003}')
    assert segment()[0].cause.startswith("a.json is there already and is not ours, or is damaged.")
    assert (out / "a.json").read_text() == '{"EchoTime": 0.003}'


def test_labels_corrected_in_napari_are_kept(scan: Scan, segment: Segment, out: Path) -> None:
    scan("a.nii")
    segment()
    labels = ganseg.read_labels(out / "a.nii.gz")
    ganseg.write(out / "a.nii.gz", labels.derive(array=np.zeros_like(labels.array)))
    assert "may be somebody's work" in segment()[0].cause


def test_outputs_inside_the_input_are_not_segmented(scan: Scan, segment: Segment, scans: Path, model: Path) -> None:
    scan("a.nii")
    for _ in range(2):
        results = segment_folder(scans, scans / "labels", model, device="cpu").result
        assert [r.name for r in results] == ["a"]
    assert [r.name for r in segment()] == ["a"]


# --- bad cases --------------------------------------------------------------------------------------------------------


def test_one_bad_case_is_named_and_the_rest_is_done(scan: Scan, segment: Segment, scans: Path) -> None:
    scan("a.nii")
    (scans / "b.nii").write_bytes(b"")
    scan("c.nii")
    results = segment()
    assert statuses(results) == {"a": "done", "b": "failed", "c": "done"}
    assert results[1].cause == "Cannot open b.nii: the file is empty (0 bytes)."
    assert exit_code(results) == 3


@unix
def test_a_pipe_and_a_broken_link_do_not_hold_the_batch_up(scan: Scan, segment: Segment, scans: Path) -> None:
    os.mkfifo(scans / "a.nii")
    (scans / "b.nii").symlink_to(scans / "nothing.nii")
    results = segment()
    assert [r.cause for r in results] == [
        "Cannot open a.nii: this is not a regular file.", "Cannot open b.nii: missing file b.nii.",
    ]  # fmt: skip
    assert exit_code(results) == 4


@pytest.mark.parametrize("is_declared", [True, False])
def test_a_label_map_among_the_scans_is_named(scans: Path, segment: Segment, is_declared: bool) -> None:
    array = np.zeros((12, 13, 14), np.uint8)
    array[3:9, 3:9, 3:9] = 1
    image = nib.Nifti1Image(array, np.eye(4))
    if is_declared:
        image.header.set_intent("label")
    nib.save(image, scans / "a.nii")
    assert segment()[0].cause == "a.nii is a label map, not a scan; leave it out with a pattern."


def test_a_case_that_a_strict_model_refuses_is_named(segment: Segment, scans: Path) -> None:
    nib.save(nib.Nifti1Image(np.full((12, 13, 14), 7, np.int16), np.eye(4)), scans / "a.nii")
    assert "The image has no contrast" in segment(strict=True)[0].cause
    (result,) = segment()
    assert result.status == "done"
    assert any("no contrast" in note for note in result.notes)


def test_a_disk_that_fails_is_named(scan: Scan, segment: Segment, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise OSError(5, "Input/output error", str(path))

    scan("a.nii")
    monkeypatch.setattr("napari_ganseg.batch.save.sha256_of", fail)
    assert segment()[0].cause.startswith("a.nii.gz: Input/output error. Make sure that it can be read and written")
    monkeypatch.undo()
    assert segment()[0].status == "done"
    assert whys(out) == ["broken off while writing"]


@pytest.mark.parametrize("stage", ["load.read_scan", "compute.merge", "save.write_labels"])
def test_a_fault_nobody_thought_of_is_the_cases_alone(
    scan: Scan, segment: Segment, out: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:

    def fail(*_: object, **__: object) -> None:
        monkeypatch.undo()
        raise ZeroDivisionError("oh")

    scan("a.nii")
    scan("b.nii")
    monkeypatch.setattr(f"napari_ganseg.batch.{stage}", fail)
    first, second = segment()
    assert first.cause == "Unexpected fault (ZeroDivisionError: oh). Please report it; the other cases went on."
    assert second.status == "done"
    assert sorted(p.name for p in out.iterdir()) == ["b.json", "b.nii.gz", "manifest.jsonl"]


def test_a_scan_that_changes_while_it_is_read_is_not_trusted(
    scan: Scan, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = scan("a.nii")
    monkeypatch.setattr("napari_ganseg.batch.load.read_scan", lambda *_, **__: path.write_bytes(b"other"))
    assert segment()[0].cause == "a.nii changed while it was read; run again when it is complete."


@unix
@pytest.mark.parametrize(
    "name", ["a\nb.nii", "ü %s {x}.nii.gz", "-x.nii", os.fsdecode(b"\xff.nii"), "x" * 240 + ".nii"]
)
def test_file_names_may_be_anything(scan: Scan, segment: Segment, out: Path, name: str) -> None:
    scan(name)
    (result,) = segment()
    assert (result.status, result.cause) == ("done", "")
    assert read_manifest(out)[0]["name"] == result.name
    assert segment()[0].status == "skipped"


# --- before anything is computed --------------------------------------------------------------------------------------


def test_nothing_is_computed_when_two_scans_have_one_output(scan: Scan, segment: Segment, out: Path) -> None:
    scan("a.nii")
    scan("a.nii.gz")
    with pytest.raises(UsageError, match=r"a\.nii and a\.nii\.gz would have the same output"):
        segment()
    assert not out.exists()


@pytest.mark.parametrize(
    ("models", "kind", "words"),
    [
        ("nobody", ModelError, 'no model "nobody"'),
        ([], UsageError, "at least one model"),
        (["MODEL", "MODEL"], UsageError, "given twice"),
        (["MODEL", "TWO"], UsageError, "different numbers of channels"),
        ([3], UsageError, "by name or by the path"),
    ],
)
def test_models_that_cannot_be_used_are_named(
    scan: Scan, segment: Segment, model: Path, tmp_path: Path, models: object, kind: type[Exception], words: str
) -> None:
    scan("a.nii")
    files = {"MODEL": model, "TWO": saved(tmp_path, channels=("a", "b"))}
    given = [files.get(m, m) for m in models] if isinstance(models, list) else models
    with pytest.raises(kind, match=words):
        segment(given)


def test_a_model_that_is_replaced_meanwhile_ends_the_batch(
    scan: Scan, segment: Segment, model: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan("a.nii")
    mine = tmp_path / model.name
    mine.write_bytes(model.read_bytes())
    monkeypatch.setattr("napari_ganseg.batch.folder.make_folder", lambda _: saved(tmp_path, classes=1))
    with pytest.raises(ModelError, match=r"tiny\.ganseg\.safetensors was replaced while the batch began"):
        segment(mine)
    assert not list(out.rglob("*.lock"))
