"""The door every image file comes through: what it is, how large it may be, and whether its bytes are whole."""

from __future__ import annotations

import gzip
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import psutil
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from napari_ganseg.errors import FileError, GansegError
from napari_ganseg.io.names import amount, shown

GZIP = b"\x1f\x8b\x08"
MAX_TAIL = 2**20  # bytes that may follow the image; more is no padding
MAX_DEFLATE = 1032  # deflate cannot shrink further than this (zlib's documentation)
MEMORY_SHARE = 0.6  # of the free memory, for one image
LOOKED_AT = 200  # entries of a folder, to tell whether it holds DICOM

Stream = BinaryIO | gzip.GzipFile
READ_ERRORS = (
    OSError, EOFError, zlib.error, ValueError, KeyError, OverflowError, MemoryError, TypeError, ImageFileError,
    HeaderDataError,
)  # fmt: skip


@contextmanager
def opening(path: str | Path) -> Iterator[None]:
    """Turn whatever goes wrong inside into one FileError that begins with `Cannot open FILE:`."""
    try:
        yield
    except (*READ_ERRORS, GansegError) as error:
        raise FileError(f"Cannot open {shown(path)}: {fault(error, path)}") from error


def fault(error: Exception, path: str | Path) -> str:
    """Say in words what went wrong."""
    match error:
        case GansegError():
            return str(error)
        case FileNotFoundError():
            return f"missing file {shown(error.filename or path)}."
        case PermissionError():
            return "you have no permission to read it."
        case gzip.BadGzipFile() if "CRC" in str(error) or "length" in str(error):
            return "the compressed data are damaged (checksum differs)."
        case gzip.BadGzipFile():
            return "the compressed data are damaged or followed by something else (download again)."
        case zlib.error():
            return "the compressed data are damaged (download again)."
        case EOFError():
            return "the compressed file ends too early (download again)."
        case MemoryError():
            return "there is not enough memory."
        case OSError():
            return f"it cannot be read ({error.strerror or error})."
    return f"it cannot be read ({str(error) or type(error).__name__})."


def open_regular(path: Path) -> Stream:
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
    return gzip.open(path, "rb") if start.startswith(GZIP) else open(path, "rb")


def check_start(start: bytes) -> None:
    """Refuse by name what people mistake for a NIfTI file."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head")) or (text.startswith(b"<?xml") and b"<html" in text):
        raise FileError("this is a web page, not an image (download the file itself).")
    if text.startswith(b"version https://git-lfs"):
        raise FileError("this is an LFS pointer, not an image (run 'git lfs pull').")
    if start[128:132] == b"DICM":
        raise FileError("this is a DICOM file, not NIfTI; convert its folder with dcm2niix or 3D Slicer first.")


def directory_fault(path: Path) -> str:
    """Say what to do with a folder: mostly someone dropped a DICOM series."""
    if holds_dicom(path):
        return "this is a DICOM folder; convert it with dcm2niix or 3D Slicer, then open the NIfTI file."
    return "this is a folder, not a NIfTI file; open the files in it one by one, or convert DICOM with dcm2niix."


def holds_dicom(path: Path) -> bool:
    """Whether one of a folder's first files is DICOM."""
    for entry in islice(path.rglob("*"), LOOKED_AT):
        if entry.is_file():
            with open(entry, "rb") as file:
                if file.read(132)[128:] == b"DICM":
                    return True
    return False


def check_size(stream: Stream, *, start: int, size: int, needed: int) -> None:
    """Compare what the header promises with the file and the memory, before anything is allocated.

    Args:
        stream: the file that holds the voxels.
        start: where the voxels begin, in bytes of the inflated file.
        size: how many bytes they take.
        needed: how many bytes of memory reading takes.
    """
    free, on_disk = free_memory(), os.fstat(stream.fileno()).st_size
    if size > psutil.virtual_memory().total:
        raise FileError(f"{amount(size)} are needed; limit {amount(MEMORY_SHARE * free)}.")
    if isinstance(stream, gzip.GzipFile):
        if start + size > MAX_DEFLATE * on_disk:
            raise EOFError
    elif start + size > on_disk:
        raise FileError(f"the file is damaged: {start + size:,} bytes expected, {on_disk:,} found.")
    elif on_disk > start + size + MAX_TAIL:
        raise FileError(f"the header does not fit the file: {start + size:,} bytes expected, {on_disk:,} found.")
    check_memory(needed)


def check_memory(needed: int) -> None:
    """Refuse what would take more than a good part of the free memory."""
    free = free_memory()
    if needed > MEMORY_SHARE * free:
        raise FileError(
            f"needs {amount(needed)}, {amount(free)} free. Open a crop? Cut one out first, or close other programs."
        )


def free_memory() -> int:
    """Bytes this process may still take."""
    free = psutil.virtual_memory().available
    if sys.platform != "win32":
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            free = min(free, limit - psutil.Process().memory_info().vms)
    return max(0, int(free))


def read_exactly(stream: Stream, size: int) -> bytearray:
    """Read `size` bytes.

    Raises:
        FileError: the stream ends before.
    """
    buffer = bytearray(size)
    view, done = memoryview(buffer), 0
    expected = stream.tell() + size
    while done < size:
        got = stream.readinto(view[done:])  # type: ignore[union-attr]
        if not got:
            raise FileError(f"the file is damaged: {expected:,} bytes expected, {stream.tell():,} found.")
        done += got
    return buffer


def read_to_end(stream: Stream) -> None:
    """Read the rest, so that the gzip checksum is compared.

    Raises:
        FileError: more follows than padding could be.
    """
    tail = 0
    while chunk := stream.read(2**16):
        tail += len(chunk)
        if tail > MAX_TAIL:
            raise FileError("the header does not fit the file: much more data follow than it says.")
