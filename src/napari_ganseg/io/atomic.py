"""Write a file so that its final name never holds a part of it."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_ganseg.errors import FileError
from napari_ganseg.io.names import amount, shown


@contextmanager
def replacing(path: Path, *, needed: int = 0) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success it is synced and replaces `path`, else it is removed.

    Args:
        path: the final name.
        needed: bytes the file may take, compared with the free space first.

    Raises:
        FileError: no space, no permission, or no such folder.
    """
    temporary = path.with_name(f".{path.name[:40]}.tmp-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        check_space(path.parent, needed)
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise FileError(f"Cannot write {shown(path)}: {reason(error, path.parent, needed)}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    with suppress(OSError):  # some network disks cannot; the file itself is safe
        sync_folder(path.parent)


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write bytes whole or not at all."""
    with replacing(path, needed=len(content)) as temporary:
        temporary.write_bytes(content)


def check_space(folder: Path, needed: int) -> None:
    """Raise OSError when the disk has not enough room."""
    if needed and shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, "no space")


def sync(path: Path) -> None:
    """Flush a file's bytes to the disk."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a rename to the disk, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reason(error: OSError, folder: Path, needed: int) -> str:
    """Say what hindered a write, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        cause = "no file may be that large there" if error.errno == errno.EFBIG else "the disk is full"
        room = f"{amount(needed)} needed, {amount(shutil.disk_usage(folder).free)} free"
        return f"{cause} ({room}). Free some space, or choose another folder; nothing was changed."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "you have no permission to write there. Choose another folder."
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"there is no folder {shown(folder)}. Make it first."
    return f"{error.strerror or error}."
