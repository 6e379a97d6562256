"""The manifest: whole lines are read, whatever lies between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_ganseg.batch.manifest import NAME, add_line, read_manifest
from napari_ganseg.batch.result import CaseResult
from napari_ganseg.errors import FileError

RESULT = CaseResult("a\n%s", Path("a.nii"), Path("a.nii.gz"), "done", seconds=1.23456)


def test_a_line_says_what_became_of_a_case(tmp_path: Path) -> None:
    add_line(tmp_path, RESULT, {"why": "new", "format": 1, "output": {"sha256": "00"}})
    (entry,) = read_manifest(tmp_path)
    assert (entry["name"], entry["status"], entry["why"], entry["seconds"]) == ("a\n%s", "done", "new", 1.235)
    assert entry["output"] == {"sha256": "00"}


@pytest.mark.parametrize(
    "junk", [b'{"name": "b", "sta', b"[1]\n", b"\xff\xfe\n", b'{"name": 3}\n', b"[" * 100000, b"\n\n"]
)
def test_what_is_no_whole_line_of_ours_is_ignored(tmp_path: Path, junk: bytes) -> None:
    add_line(tmp_path, RESULT, {})
    with open(tmp_path / NAME, "ab") as file:
        file.write(junk)
    add_line(tmp_path, RESULT, {})
    assert len(read_manifest(tmp_path)) == 2


def test_where_there_is_none_it_is_empty(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) == []


def test_where_it_cannot_be_written_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"Cannot write manifest\.jsonl: there is no folder nowhere"):
        add_line(tmp_path / "nowhere", RESULT, {})
