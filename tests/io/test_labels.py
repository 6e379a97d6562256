"""Class names in the label table and in the sidecar."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import nibabel as nib
import numpy as np
import pytest

from napari_ganseg import io
from napari_ganseg.io.labels import MAX_SIDECAR, colour_for, parse_label_table, sidecar_bytes
from napari_ganseg.io.names import sidecar_path
from napari_ganseg.volume import LabelClass, LabelMap

NAMES = ["Left & right", "a < b > c", "ends ]]> early", "<![CDATA[x]]>", "Ober\u00adschenkel", "Печень 肝 \U0001f9e0",
         '"quoted"', "it's", "&amp;", "%s{x}", "a  b", "-"]  # fmt: skip


@pytest.fixture
def named(make, regions) -> LabelMap:
    """A label map read from a file, with awkward names."""
    labels = io.read_labels(make("source.nii", regions))
    classes = tuple(LabelClass(v, name, colour_for(v)) for v, name in enumerate(NAMES, start=1))
    return labels.derive(classes=classes, provenance={"model": "x", "path": "b\udcff.nii"})


def test_names_and_colours_survive_writing(named: LabelMap, tmp_path) -> None:
    again = io.read_labels(io.write(tmp_path / "seg.nii.gz", named))
    assert again.classes == named.classes
    assert again.provenance == named.provenance


@pytest.mark.parametrize("lost", ["sidecar", "table"])
def test_either_of_sidecar_and_table_is_enough(named: LabelMap, tmp_path, lost: str) -> None:
    path = io.write(tmp_path / "seg.nii", named)
    if lost == "sidecar":
        sidecar_path(path).unlink()
    else:
        nib.save(nib.Nifti1Image(np.asanyarray(nib.load(path).dataobj), np.eye(4)), path)
    assert io.read_labels(path).classes == named.classes


def test_the_file_itself_outranks_a_stale_sidecar(named: LabelMap, tmp_path) -> None:
    path = io.write(tmp_path / "seg.nii", named)
    stale = named.derive(classes=(LabelClass(1, "old", "#000000"),))
    sidecar_path(path).write_bytes(sidecar_bytes(stale))
    assert io.read_labels(path).classes == named.classes


def test_three_hundred_classes_are_kept(tmp_path) -> None:
    classes = tuple(LabelClass(v, f"class {v}", colour_for(v)) for v in range(1, 301))
    labels = LabelMap(array=np.arange(301).repeat(8).reshape(301, 2, 4), classes=classes)
    again = io.read_labels(io.write(tmp_path / "seg.nii.gz", labels))
    assert again.array.dtype == np.uint16
    assert np.array_equal(again.array, labels.array)
    assert again.classes == classes


def test_other_programs_read_the_table_as_caret_xml(named: LabelMap, tmp_path) -> None:
    header = nib.load(io.write(tmp_path / "seg.nii.gz", named)).header
    (extension,) = header.extensions
    assert extension.get_code() == 30
    table = ElementTree.fromstring(extension.content.rstrip(b"\0")).find("VolumeInformation/LabelTable")
    assert [e.text for e in table] == NAMES
    assert [int(e.get("Key")) for e in table] == list(range(1, len(NAMES) + 1))
    assert all(0 <= float(e.get(c)) <= 1 for e in table for c in ("Red", "Green", "Blue", "Alpha"))
    assert header.get_intent()[0] == "label"


def test_unnamed_labels_get_numbers_and_colours(make, regions, tmp_path) -> None:
    labels = io.read_labels(make("source.nii", regions))
    again = io.read_labels(io.write(tmp_path / "seg.nii", labels))
    assert [(c.value, c.name) for c in again.classes] == [(1, "label 1"), (2, "label 2"), (3, "label 3")]


def test_an_empty_map_without_classes_needs_no_table(tmp_path) -> None:
    path = io.write(tmp_path / "seg.nii", LabelMap(array=np.zeros((3, 4, 5), np.uint8)))
    assert not nib.load(path).header.extensions
    assert isinstance(io.read_any(path), LabelMap)


def test_the_sidecar_is_plain_ascii_json_with_volumes(named: LabelMap, tmp_path) -> None:
    content = sidecar_path(io.write(tmp_path / "seg.nii", named)).read_bytes()
    first = json.loads(content.decode("ascii"))["classes"][0]
    voxels = int((named.array == 1).sum())
    assert (first["voxels"], first["ml"]) == (voxels, round(voxels * 0.0014, 6))


def test_characters_that_xml_cannot_hold_are_left_out(make, regions, tmp_path) -> None:
    labels = io.read_labels(make("source.nii", regions))
    odd = labels.derive(classes=(LabelClass(1, "a\0b\x1bc\ud800d\uffffe\nf", "#000000"),))
    assert io.read_labels(io.write(tmp_path / "seg.nii", odd)).classes[0].name == "abcdef"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_provenance_that_is_no_json_is_refused_before_anything_is_written(named, tmp_path, value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        io.write(tmp_path / "seg.nii", named.derive(provenance={"loss": value}))
    assert not (tmp_path / "seg.nii").exists()


FOREIGN = [
    b"",
    b"[]",
    b"{",
    b'{"software": "dcm2niix"}',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"software": "napari-ganseg", "provenance": 3}',
    b'{"software": "napari-ganseg", "classes": [], "x": "' + b"y" * MAX_SIDECAR + b'"}',
]


@pytest.mark.parametrize("content", FOREIGN, ids=lambda c: ascii(c[:30]))
def test_a_foreign_or_broken_sidecar_is_neither_used_nor_overwritten(make, regions, tmp_path, content, caplog) -> None:
    make("seg.nii", regions)
    (tmp_path / "seg.json").write_bytes(content)
    labels = io.read_labels(tmp_path / "seg.nii")
    assert labels.classes == ()
    io.write(tmp_path / "seg.nii", labels)
    assert (tmp_path / "seg.json").read_bytes() == content
    assert "seg.json is not ours and stays as it is" in caplog.text


@pytest.mark.parametrize(
    "entry",
    ["3", "{}", '{"value": 0, "name": "x"}', '{"value": true, "name": "x"}', '{"value": 1.0, "name": "x"}',
     '{"value": 1, "name": 2}', "null"],
)  # fmt: skip
def test_entries_of_a_sidecar_that_are_no_classes_are_passed_over(make, regions, tmp_path, entry: str) -> None:
    good = '{"value": 2, "name": "Spleen", "colour": "red"}'
    (tmp_path / "seg.json").write_text(f'{{"software": "napari-ganseg", "classes": [{entry}, {good}]}}')
    assert io.read_labels(make("seg.nii", regions)).classes == (LabelClass(2, "Spleen", colour_for(2)),)


def table(rows: str) -> bytes:
    return f"<CaretExtension><LabelTable>{rows}</LabelTable></CaretExtension>".encode()


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (table('<Label Key="1" Red="1" Green="0" Blue="0.5">A</Label>'), ["A"]),
        (table('<Label Key="0">???</Label><Label Key="3"><![CDATA[B & C]]></Label>'), ["B & C"]),
        (b"\0" * 8 + table('<Label Key="1">A</Label>') + b"\0" * 9, ["A"]),
        (table('<Label Key="1" Red="nan" Green="inf" Blue="-5"> A </Label>'), ["A"]),
        (table('<Label Key="1">A</Label>') + table('<Label Key="2">B</Label>'), ["A"]),
        (table('<Label Key="99999999999999">A</Label>'), []),
        (table('<Label Key="x">A</Label>'), []),
        (table('<Label Key="1" Red="x" Green="0" Blue="0">A</Label>'), []),
        (table('<Label Key="1">A</Label>')[:-20], []),
        (table("<Label"), []),
        (b'<!DOCTYPE x [<!ENTITY a "b">]>' + table("<!ENTITY>"), []),
        (table("<!-- x --><Label Key='1'>&a;</Label>"), []),
        (b"</CaretExtension><CaretExtension>", []),
        (b"", []),
    ],
)
def test_label_tables_of_others_are_read_or_passed_over(content: bytes, names: list[str]) -> None:
    classes = parse_label_table(content)
    assert [c.name for c in classes] == names
    assert all(len(c.colour) == 7 for c in classes)


def test_a_class_always_has_the_same_colour_and_neighbours_differ() -> None:
    colours = [colour_for(v) for v in range(1, 21)]
    assert len(set(colours)) == 20
    assert colour_for(21) == colour_for(1)
    assert colour_for(-3)
