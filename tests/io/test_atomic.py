"""A final name never holds a part of a file."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from napari_ganseg.errors import FileError
from napari_ganseg.io import atomic
from napari_ganseg.io.atomic import replacing, write_bytes

Usage = namedtuple("Usage", "free")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file with old content."""
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    return path


def test_a_file_is_replaced_as_a_whole(target: Path) -> None:
    with replacing(target) as temporary:
        temporary.write_bytes(b"ne")
        assert target.read_bytes() == b"old"
        assert temporary.parent == target.parent
    assert target.read_bytes() == b"ne"
    assert os.listdir(target.parent) == ["out.bin"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), RuntimeError("x")])
def test_any_exception_leaves_the_old_file_and_no_other(target: Path, error: BaseException) -> None:
    def break_off(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise error

    with pytest.raises(type(error)), replacing(target) as temporary:
        break_off(temporary)
    assert target.read_bytes() == b"old"
    assert os.listdir(target.parent) == ["out.bin"]


ERRORS = [
    (
        errno.ENOSPC,
        r"the disk is full \(3 bytes needed, .* free\)\. Free some space, or choose another folder; nothing was",
    ),
    (errno.EDQUOT, r"the disk is full \(3 bytes needed, "),
    (errno.EFBIG, r"no file may be that large there \(3 bytes needed, .* free\)\. Free some space"),
    (errno.EACCES, r"you have no permission to write there\. Choose another folder\.$"),
    (errno.EROFS, r"you have no permission to write there\. Choose another folder\.$"),
    (errno.EIO, r"Input/output error\.$"),
]


@pytest.mark.parametrize(("number", "text"), ERRORS, ids=[errno.errorcode[n] for n, _ in ERRORS])
@pytest.mark.parametrize("step", ["sync", "replace"])
def test_a_failing_disk_leaves_the_old_file_and_no_other(
    target, monkeypatch, step: str, number: int, text: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*{"sync": (atomic, "sync"), "replace": (os, "replace")}[step], fail)
    with pytest.raises(FileError, match=f"^Cannot write out.bin: {text}"):
        write_bytes(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(target.parent) == ["out.bin"]


def test_too_little_space_is_seen_before_writing(target: Path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1_500_000))
    with (
        pytest.raises(FileError, match=r"the disk is full \(2\.0 MB needed, 1\.5 MB free\)"),
        replacing(target, needed=2_000_000),
    ):
        pytest.fail("it began to write")


def test_a_missing_folder_is_named(tmp_path) -> None:
    with pytest.raises(FileError, match=r"^Cannot write x: there is no folder gone\. Make it first\.$"):
        write_bytes(tmp_path / "gone" / "x", b"new")


def test_a_disk_that_cannot_sync_a_folder_does_not_matter(target: Path, monkeypatch) -> None:
    def fail(_: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(atomic, "sync_folder", fail)
    write_bytes(target, b"new")
    assert target.read_bytes() == b"new"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count characters")
def test_the_longest_name_can_be_written(tmp_path) -> None:
    for name in ("x" * 255, "\U0001f9e0" * 63):
        write_bytes(tmp_path / name, b"new")
        assert (tmp_path / name).read_bytes() == b"new"


KILLED = """
import os, signal, sys
from pathlib import Path
from napari_ganseg.io import atomic
atomic.sync = lambda path: os.kill(os.getpid(), signal.SIGKILL)
atomic.write_bytes(Path(sys.argv[1]), b"new")
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
def test_a_killed_process_leaves_the_old_file(target: Path) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, target], check=False).returncode == -9
    assert target.read_bytes() == b"old"
    assert [p.name[:12] for p in target.parent.glob(".*")] == [".out.bin.tmp"]
