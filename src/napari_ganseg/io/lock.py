"""A lock file per case: whoever makes it works on the case; one whose process is dead is broken."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from napari_ganseg.errors import ComputeError, FileError
from napari_ganseg.io.atomic import reason
from napari_ganseg.io.holder import Holder, holder_of, is_stale, this_process
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
    """The locks a batch holds, by path; whatever happens, `release_all` lets go of them.

    Args:
        worker: who takes them, where that is a worker of a cluster.
        gone: holders that are dead although they cannot be seen from here.
        deaths: after how many in a row a lock is not taken any more.
    """

    def __init__(self, worker: str = "", gone: Collection[Holder] = (), deaths: int | None = None) -> None:
        self._worker, self._gone, self._deaths = worker, gone, deaths
        self._held: dict[Path, Lock] = {}

    def take(self, path: Path) -> Holder | None:
        """Take a lock; say who holds it where that fails.

        Raises:
            ComputeError: too many processes in a row died with it.
        """
        taken = take(path, self._worker, self._gone)
        if isinstance(taken, Holder):
            return taken
        self._held[path] = taken
        died = taken.holder.deaths
        if self._deaths is not None and died >= self._deaths:
            raise ComputeError(f"{died} workers in a row died while they worked on it, perhaps for want of memory. "
                               "Give them more, and run again.")  # fmt: skip
        return None

    def release(self, path: Path) -> None:
        """Let go of a lock, if it is held."""
        if lock := self._held.pop(path, None):
            lock.release()

    def release_all(self) -> None:
        """Let go of every lock."""
        for path in list(self._held):
            self.release(path)


def take(path: Path, worker: str = "", gone: Collection[Holder] = ()) -> Lock | Holder:
    """Take a lock, or say who holds it.

    Args:
        path: of its file.
        worker: who takes it, where that is a worker of a cluster.
        gone: holders that are dead although they cannot be seen from here.

    Raises:
        FileError: the file cannot be made.
    """
    me = this_process(worker)
    try:
        if created(path, me):
            return Lock(path, me)
        deaths = break_stale(path, gone)
        if deaths is not None and created(path, me := replace(me, deaths=deaths)):
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


def break_stale(path: Path, gone: Collection[Holder] = ()) -> int | None:
    """Remove a lock whose process is dead, and what it left half-written.

    Gives how many have died with it in a row, 0 where somebody has let go of it, None where it is still held.

    Two that see the same dead lock must not remove it twice: the second would remove the first one's new lock. So
    breaking needs a lock of its own, under which the file is looked at again.
    """
    holder = holder_of(path)
    if holder not in gone and not is_stale(holder):
        return None if path.exists() else 0
    breaker = take(path.with_name(path.name + ".break"))
    if isinstance(breaker, Holder):
        return None
    try:
        holder = holder_of(path)
        if holder is None:
            return 0
        if holder not in gone and not is_stale(holder):
            return None
        sweep(path, holder)
        path.unlink()
        return holder.deaths + 1
    finally:
        breaker.release()


def sweep(path: Path, holder: Holder) -> None:
    """Remove the temporary files that a dead process left for the files beside its lock.

    Their names are cut, and a process of another machine may have the same number: then only what is surely its own.
    """
    start = f".{path.stem}."
    if len(start) > 33 and holder.host != socket.gethostname():
        return
    for name in os.listdir(path.parent):
        if name.startswith(start[:33]) and f".tmp-{holder.pid}-" in name:
            with suppress(OSError):
                (path.parent / name).unlink()
