"""A lock file per case: whoever makes it works on the case; one whose process is dead is broken."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from napari_ganseg.batch.holder import Holder, holder_of, is_stale, this_process
from napari_ganseg.errors import FileError
from napari_ganseg.io.atomic import reason
from napari_ganseg.io.names import shown


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that is ours until released."""

    path: Path
    holder: Holder

    def release(self) -> None:
        """Remove the file, if it is still ours."""
        if holder_of(self.path) == self.holder:
            with suppress(OSError):
                self.path.unlink()


class Locks:
    """The locks a batch holds, by path; whatever happens, `release_all` lets go of them."""

    def __init__(self) -> None:
        self._held: dict[Path, Lock] = {}

    def take(self, path: Path) -> Holder | None:
        """Take a lock; say who holds it where that fails."""
        taken = take(path)
        if isinstance(taken, Holder):
            return taken
        self._held[path] = taken
        return None

    def release(self, path: Path) -> None:
        """Let go of a lock, if it is held."""
        if lock := self._held.pop(path, None):
            lock.release()

    def release_all(self) -> None:
        """Let go of every lock."""
        for path in list(self._held):
            self.release(path)


def take(path: Path) -> Lock | Holder:
    """Take a lock, or say who holds it.

    Raises:
        FileError: the file cannot be made.
    """
    me = this_process()
    try:
        if created(path, me) or (break_stale(path) and created(path, me)):
            return Lock(path, me)
        return holder_of(path) or Holder("", 0, time.time(), "")
    except OSError as error:
        raise FileError(f"Cannot make {shown(path)}: {reason(error, path.parent, 0)}") from error


def created(path: Path, me: Holder) -> bool:
    """Make the file, which must not be there yet."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    try:
        os.write(descriptor, json.dumps(asdict(me)).encode())
    finally:
        os.close(descriptor)
    return True


def break_stale(path: Path) -> bool:
    """Remove a lock whose process is dead, and what it left half-written; whether it is gone.

    Two that see the same dead lock must not remove it twice: the second would remove the first one's new lock. So
    breaking needs a lock of its own, under which the file is looked at again.
    """
    if not is_stale(holder_of(path)):
        return not path.exists()
    breaker = take(path.with_name(path.name + ".break"))
    if isinstance(breaker, Holder):
        return False
    try:
        holder = holder_of(path)
        if holder is None or not is_stale(holder):
            return holder is None
        sweep(path, holder.pid)
        path.unlink()
        return True
    finally:
        breaker.release()


def sweep(path: Path, pid: int) -> None:
    """Remove the temporary files that a dead process left for the files beside its lock."""
    for name in os.listdir(path.parent):
        is_temporary = name.startswith(f".{path.stem[:32]}") and f".tmp-{pid}-" in name
        if is_temporary:
            with suppress(OSError):
                (path.parent / name).unlink()
