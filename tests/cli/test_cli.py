"""The command line: what it writes, prints and returns."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from builders import saved, write_scan

import napari_ganseg as ganseg
from napari_ganseg.cli import main
from napari_ganseg.models import read_card
from napari_ganseg.models.card import FieldOfView


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


# --- segment ----------------------------------------------------------------------------------------------------------


def test_segment_writes_labels_on_the_scans_grid_and_prints_the_table(
    scan: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("segment", scan, out, "--model", "tiny") == 0
    labels, source = nib.load(out), nib.load(scan)
    assert np.array_equal(labels.affine, source.affine)
    assert labels.shape == source.shape
    counts = ganseg.read_labels(out).counts()
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split() == ["1", "organ", "1", str(counts[1]), "voxels", f"{counts[1] * 0.002:.3f}", "mL"]
    assert rows[1].split()[:3] == ["2", "organ", "2"]
    assert rows[-1] == f"wrote {out}"


def test_segment_writes_names_and_provenance_beside(scan: Path, out: Path) -> None:
    assert run("segment", scan, out, "--model", "tiny", "--device", "cpu") == 0
    sidecar = json.loads((out.parent / "seg.json").read_text())
    assert [c["name"] for c in sidecar["classes"]] == ["organ 1", "organ 2"]
    assert sidecar["provenance"]["model"] == "tiny"
    assert sidecar["provenance"]["source"] == "scan.nii.gz"
    assert sidecar["provenance"]["device"] == "cpu"


def test_the_record_says_what_it_was_computed_in(scan: Path, out: Path) -> None:
    assert run("segment", scan, out, "--model", "tiny", "--precision", "float32", "--cpu-fallback") == 0
    made = json.loads((out.parent / "seg.json").read_text())["provenance"]
    assert (made["precision"], made["memory"]) == ("float32", "as planned")


def test_segment_is_what_python_gives(scan: Path, out: Path, library: Path) -> None:
    run("segment", scan, out, "--model", library / "tiny.ganseg.safetensors")
    assert np.array_equal(ganseg.read_labels(out).array, ganseg.segment(scan, "tiny").array)


def test_a_region_leaves_the_rest_empty(scan: Path, out: Path) -> None:
    assert run("segment", scan, out, "--model", "tiny", "--region", "2:14,:,5:") == 0
    array = ganseg.read_labels(out).array
    expected = ganseg.segment(scan, "tiny", region=[slice(2, 14), slice(None), slice(5, None)]).array
    assert np.array_equal(array, expected)
    assert not array[:2].any()
    assert array.any()


@pytest.mark.parametrize("text", ["5", "a:b", "1:2:3,:,:", "1:2;3:4", ""])
def test_a_region_that_is_none_is_wrong_usage(
    scan: Path, out: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        run("segment", scan, out, "--model", "tiny", "--region", text)
    assert end.value.code == 2
    assert "write it like 10:50,0:60,20:60" in capsys.readouterr().err


def test_a_region_of_two_axes_is_wrong_usage(scan: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("segment", scan, out, "--model", "tiny", "--region", "2:14,3:14") == 2
    assert "The region has 2 ranges; this image has 3 axes" in capsys.readouterr().err
    assert not out.exists()


def test_notes_go_to_standard_error(tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nib.save(nib.Nifti1Image(np.full((16, 16, 16), 7, np.int16), np.eye(4)), tmp_path / "flat.nii")
    assert run("segment", tmp_path / "flat.nii", out, "--model", "tiny") == 0
    printed = capsys.readouterr()
    assert "Note: The image has no contrast (every voxel is 7)" in printed.err
    assert "Note" not in printed.out
    assert not ganseg.read_labels(out).array.any()


def test_strict_refuses_and_writes_nothing(
    scan: Path, out: Path, library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(library, name="small", field_of_view=FieldOfView("a small crop", (2.0,) * 3, (4.0,) * 3))
    assert run("segment", scan, out, "--model", "small") == 0
    out.unlink()
    (out.parent / "seg.json").unlink()
    assert run("segment", scan, out, "--model", "small", "--strict") == 1
    assert "small knows a small crop. Choose a region" in capsys.readouterr().err
    assert not out.exists()
    assert not (out.parent / "seg.json").exists()


def test_one_frame_of_several(tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    series = write_scan(tmp_path / "series.nii", (12, 13, 14, 3))
    assert run("segment", series, out, "--model", "tiny") == 1
    assert "it holds 3 images along NIfTI axis 4; say which one" in capsys.readouterr().err
    assert run("segment", series, out, "--model", "tiny", "--frame", "2") == 0
    expected = ganseg.segment(ganseg.read(series, frame=2), "tiny").array
    assert np.array_equal(ganseg.read_labels(out).array, expected)
    assert run("segment", series, out, "--model", "tiny", "--frame", "3") == 1
    assert "there is no frame 3" in capsys.readouterr().err


def test_channels_are_taken_when_the_model_has_them_and_refused_when_not(
    tmp_path: Path, out: Path, library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(library, name="two", channels=("T1", "T2"))
    both = write_scan(tmp_path / "both.nii", (12, 13, 14, 2))
    assert run("segment", both, out, "--model", "two") == 0
    assert run("segment", both, out, "--model", "tiny", "--channels") == 2
    assert "tiny expects 1 channel(s) (image); this image has 2" in capsys.readouterr().err


def test_an_invalid_orientation_can_be_ignored(tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_scan(tmp_path / "broken.nii")
    content = bytearray(path.read_bytes())
    content[280:328] = np.zeros(12, np.float32).tobytes()  # srow_x, srow_y, srow_z
    content[252:256] = np.array([0, 1], np.int16).tobytes()  # only the sform counts
    path.write_bytes(content)
    assert run("segment", path, out, "--model", "tiny") == 1
    assert "Cannot open broken.nii: the orientation is invalid" in capsys.readouterr().err
    assert run("segment", path, out, "--model", "tiny", "--voxel-sizes-only") == 0
    assert ganseg.read_labels(out).array.any()


@pytest.mark.parametrize("is_linked", [False, True])
def test_the_scan_is_never_overwritten(
    scan: Path, tmp_path: Path, is_linked: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    target, before = scan, scan.read_bytes()
    if is_linked:
        target = tmp_path / "link.nii.gz"
        target.symlink_to(scan)
    assert run("segment", scan, target, "--model", "tiny") == 1
    assert "it would overwrite the input image. Choose another name" in capsys.readouterr().err
    assert scan.read_bytes() == before


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test where anything is computed."""

    def fail(*_: object) -> None:
        raise AssertionError("this was computed")

    monkeypatch.setattr("napari_ganseg.inference.engine.segmentation", fail)


@pytest.mark.usefixtures("never")
@pytest.mark.parametrize(
    ("target", "message"),
    [("seg.jpg", "the name must end in .nii or .nii.gz"), ("none/seg.nii", "there is no folder none. Make it first"),
     ("seg.png", "pictures hold 2D labels"),
     ("models", "the name must end in .nii"), ("folder.nii", "a folder has that name")],
)  # fmt: skip
def test_a_target_that_cannot_be_written_is_refused_before_computing(
    scan: Path, tmp_path: Path, target: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.nii").mkdir()
    assert run("segment", scan, tmp_path / target, "--model", "tiny") == 1
    assert message in capsys.readouterr().err


def test_an_unknown_model_lists_those_there_are(scan: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("segment", scan, out, "--model", "liver") == 1
    assert capsys.readouterr().err == (
        'napari-ganseg: There is no model "liver". Models found: tiny. Give one of these, or the path of a '
        ".ganseg.safetensors file.\n"
    )


def test_a_device_that_is_not_there_is_wrong_usage(
    scan: Path, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert run("segment", scan, out, "--model", "tiny", "--device", "cuda") == 2
    assert 'There is no device "cuda" here' in capsys.readouterr().err
    assert not out.exists()


def test_a_missing_scan_is_named(tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("segment", tmp_path / "none.nii", out, "--model", "tiny") == 1
    assert capsys.readouterr().err == "napari-ganseg: Cannot open none.nii: missing file none.nii.\n"


def test_an_interrupt_leaves_nothing(
    scan: Path, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_ganseg.cli.segment.with_bar", interrupted)
    assert run("segment", scan, out, "--model", "tiny") == 130
    assert "nothing half-written was left" in capsys.readouterr().err
    assert not out.exists()


# --- evaluate ---------------------------------------------------------------------------------------------------------


def test_evaluate_prints_dice_per_class_and_the_mean(
    scan: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("segment", scan, out, "--model", "tiny")
    labels = ganseg.read_labels(out)
    bare = labels.derive(classes=(), array=np.where(labels.array == 2, 0, labels.array), stored=labels.stored)
    ganseg.write(tmp_path / "truth.nii.gz", bare)
    capsys.readouterr()
    assert run("evaluate", out, tmp_path / "truth.nii.gz") == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split()[:2] == ["class", "Dice"]
    assert rows[1].split()[:3] == ["organ", "1", "1.000"]
    assert rows[2].split()[:3] == ["organ", "2", "0.000"]
    assert "0.500" in rows[-1]


def test_evaluate_refuses_another_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, shape in (("a.nii", (4, 5, 6)), ("b.nii", (4, 5, 7))):
        nib.save(nib.Nifti1Image(np.ones(shape, np.uint8), np.eye(4)), tmp_path / name)
    assert run("evaluate", tmp_path / "a.nii", tmp_path / "b.nii") == 1
    assert "6x5x4 at 1 x 1 x 1 mm against 7x5x4 at" in capsys.readouterr().err


# --- models and doctor ------------------------------------------------------------------------------------------------


def test_models_lists_the_sound_and_the_damaged(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (library / "bad.ganseg.safetensors").write_bytes(b"nothing of the kind")
    assert run("models") == 0
    assert capsys.readouterr().out.splitlines() == [
        "bad.ganseg.safetensors",
        "    CANNOT BE USED: Cannot load bad.ganseg.safetensors: it is no model file (its header is too long or cut).",
        "tiny (3D any, BSD-3-Clause)",
        "    for tests",
        "    1 organ 1, 2 organ 2",
    ]


def test_models_shows_one_whole_card(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "tiny", "--json") == 0
    card = json.loads(capsys.readouterr().out)
    assert card["name"] == "tiny"
    assert set(card) == set(read_card(library / "tiny.ganseg.safetensors").__dataclass_fields__)


def test_models_shows_a_card_to_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "tiny") == 0
    assert "# tiny\n\nfor tests\n\n## Finds\n\n- 1 organ 1\n- 2 organ 2\n" in capsys.readouterr().out


def test_models_says_why_a_card_cannot_be_shown(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (library / "bad.ganseg.safetensors").write_bytes(b"nothing of the kind")
    assert run("models", "bad") == 1
    assert run("models", "none") == 1
    assert "Cannot load bad" in capsys.readouterr().err


@pytest.mark.parametrize(("is_fine", "code"), [(True, 0), (False, 1)])
def test_doctor_says_what_to_mend(
    is_fine: bool, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_ganseg import doctor

    found = doctor.Finding("Qt", is_fine, "PyQt6 6.11", "" if is_fine else "pip install it")
    monkeypatch.setattr(doctor, "check_all", lambda: [found])
    assert run("doctor") == code
    expected = "ok   Qt: PyQt6 6.11\n" if is_fine else "FIX  Qt: PyQt6 6.11\n       -> pip install it\n"
    assert capsys.readouterr().out == expected


# --- the command itself -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["segment"], ["segment", "a.nii", "b.nii"]])
def test_wrong_usage_ends_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: napari-ganseg" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["segment", "evaluate", "train", "models", "doctor"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"usage: napari-ganseg {command}" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"napari-ganseg {ganseg.__version__}\n"
