"""While long work runs, memory that it frees stays with the process: the next tile needs as much again.

glibc gives large pieces back to the system at once, and gets them anew page by page, each filled with zeros; for a
network on a CPU that took a third to a half of the time (`benchmarks.speed`). A thread that had a heap of its own
before, as the viewer's may have, keeps only pieces up to 64 MB. Other systems' allocators are left as they are.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TypeVar

Y = TypeVar("Y")
T = TypeVar("T")

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -3, -4, -8  # of glibc's malloc.h
KEEPING = {ARENA_MAX: 1, MMAP_MAX: 0, TRIM_THRESHOLD: -1}  # new threads share one heap, and nothing leaves it
USUAL = {MMAP_THRESHOLD: 2**25, TRIM_THRESHOLD: 2**26, MMAP_MAX: 2**16}  # where glibc's own end up after large pieces

_lock = threading.RLock()  # a run that is collected while another one begins ends in the same thread
_runs: list[object] = []


def keeping(work: Generator[Y, None, T]) -> Generator[Y, None, T]:
    """The same work, with its memory kept until it ends."""
    with kept_memory():
        return (yield from work)


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep what is freed, and give it back when the last of those who asked has ended."""
    libc = glibc()
    if libc is None:
        yield
        return
    me = object()
    with _lock:
        _runs.append(me)
        _set(libc, KEEPING)
    try:
        yield
    finally:
        with _lock:
            _runs.remove(me)
            if not _runs:
                _set(libc, USUAL)
                trim()


def trim() -> None:
    """Give back what is free now."""
    if libc := glibc():
        libc.malloc_trim(0)


def glibc() -> ctypes.CDLL | None:
    """The C library if it is glibc and nobody has settled how its memory is handled."""
    settled = "GLIBC_TUNABLES" in os.environ or any(name.startswith("MALLOC_") for name in os.environ)
    if sys.platform != "linux" or settled or "malloc" in os.environ.get("LD_PRELOAD", ""):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None


def _set(libc: ctypes.CDLL, options: dict[int, int]) -> None:
    for option, value in options.items():
        libc.mallopt(option, value)
