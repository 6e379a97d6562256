"""The door every image file comes through: what it is, how large it may be, and whether its bytes are whole."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import psutil
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from napari_ganseg.errors import FileError, GansegError
from napari_ganseg.io.names import shown

MAX_TAIL = 2**20  # bytes that may follow the image; more is no padding
MAX_DEFLATE = 1032  # deflate cannot shrink further than this (zlib's documentation)
MEMORY_SHARE = 0.6  # of the free memory, for one image

READ_ERRORS = (
    OSError, EOFError, zlib.error, ValueError, KeyError, OverflowError, MemoryError, TypeError, ImageFileError,
    HeaderDataError,
)  # fmt: skip


@contextmanager
def opening(path: str | Path) -> Iterator[None]:
    """Turn whatever goes wrong inside into one FileError that begins with `Cannot open FILE:`."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileError(f"Cannot open {shown(path)}: missing file {shown(error.filename or path)}.") from error
    except PermissionError as error:
        raise FileError(f"Cannot open {shown(path)}: you have no permission to read it.") from error
    except GansegError as error:
        raise FileError(f"Cannot open {shown(path)}: {error}") from error
    except gzip.BadGzipFile as error:
        raise FileError(f"Cannot open {shown(path)}: {gzip_fault(error)}") from error
    except zlib.error as error:
        raise FileError(f"Cannot open {shown(path)}: the compressed data are damaged ({error}).") from error
    except EOFError as error:
        text = "the compressed file ends too early (download again)."
        raise FileError(f"Cannot open {shown(path)}: {text}") from error
    except MemoryError as error:
        raise FileError(f"Cannot open {shown(path)}: there is not enough memory.") from error
    except READ_ERRORS as error:
        text = str(error) or type(error).__name__
        raise FileError(f"Cannot open {shown(path)}: it cannot be read ({text}).") from error


def gzip_fault(error: gzip.BadGzipFile) -> str:
    """Say in words what Python's gzip found."""
    if "CRC" in str(error) or "length" in str(error):
        return "the compressed data are damaged (checksum differs)."
    return "the compressed data are followed by something else, or damaged (download again)."


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file, inflated when its content (not its name) is gzip.

    Raises:
        FileError: a directory, a device, an empty file, or a kind of file that is not an image.
    """
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise FileError(directory_fault(path))
    if not stat.S_ISREG(status.st_mode):
        raise FileError("this is not a regular file.")
    if status.st_size == 0:
        raise FileError("the file is empty (0 bytes).")
    with open(path, "rb") as file:
        start = file.read(512)
    check_start(start)
    return gzip.open(path, "rb") if start[:2] == b"\x1f\x8b" else open(path, "rb")  # type: ignore[return-value]


def check_start(start: bytes) -> None:
    """Refuse by name what people mistake for a NIfTI file."""
    text = start.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        raise FileError("this is a web page, not an image (download the file itself).")
    if text.startswith(b"version https://git-lfs"):
        raise FileError("this is a git-LFS pointer, not an image (run 'git lfs pull').")
    if start[128:132] == b"DICM":
        raise FileError("this is a DICOM file, not NIfTI; convert its folder with dcm2niix or 3D Slicer first.")


def directory_fault(path: Path) -> str:
    """Say what to do with a folder: mostly someone dropped a DICOM series."""
    for entry in sorted(path.iterdir())[:20]:
        if entry.is_file():
            with open(entry, "rb") as file:
                if file.read(132)[128:] == b"DICM":
                    return "this is a DICOM folder; convert it with dcm2niix or 3D Slicer, then open the NIfTI file."
    return "this is a folder, not a NIfTI file; open the files in it one by one, or convert DICOM with dcm2niix."


def check_size(path: Path, *, start: int, size: int, is_gzip: bool) -> None:
    """Compare what the header promises with the file and the memory, before anything is allocated.

    Args:
        path: the file that holds the voxels.
        start: where the voxels begin, in bytes of the inflated file.
        size: how many bytes they take.
        is_gzip: whether the file is compressed.
    """
    on_disk = os.stat(path).st_size
    if is_gzip and start + size > MAX_DEFLATE * on_disk:
        raise FileError(f"the file is damaged: {start + size:,} bytes expected, it cannot hold more than "
                        f"{MAX_DEFLATE * on_disk:,}.")  # fmt: skip
    if not is_gzip and start + size > on_disk:
        raise FileError(f"the file is damaged: {start + size:,} bytes expected, {on_disk:,} found.")
    if not is_gzip and on_disk > start + size + MAX_TAIL:
        raise FileError(f"the header does not fit the file: {start + size:,} bytes expected, {on_disk:,} found.")
    check_memory(size)


def check_memory(size: int) -> None:
    """Refuse an image that would need more than a good part of the free memory."""
    free = psutil.virtual_memory().available
    if size > MEMORY_SHARE * free:
        raise FileError(f"it needs {amount(size)} of memory, {amount(free)} are free (limit "
                        f"{amount(MEMORY_SHARE * free)}). Close other programs, or crop the image first.")  # fmt: skip


def amount(size: float) -> str:
    """Bytes for people: 8.0 GB, 70.4 TB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def read_exactly(stream: BinaryIO, size: int) -> bytearray:
    """Read `size` bytes or raise EOFError with what was found."""
    buffer = bytearray(size)
    view, done = memoryview(buffer), 0
    while done < size:
        got = stream.readinto(view[done:])  # type: ignore[attr-defined]
        if not got:
            raise FileError(f"the file is damaged: {size:,} bytes of voxels expected, {done:,} found.")
        done += got
    return buffer


def read_to_end(stream: BinaryIO) -> int:
    """Read the rest, so that the gzip checksum is compared; return how long it was.

    Raises:
        FileError: more follows than padding could be.
    """
    tail = 0
    while chunk := stream.read(2**16):
        tail += len(chunk)
        if tail > MAX_TAIL:
            raise FileError("the header does not fit the file: much more data follow than it says.")
    return tail
