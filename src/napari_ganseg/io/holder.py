"""Who holds a lock, and whether that process still lives."""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

SAME_START_S = 3.0  # two readings of one process's start may differ: the machine's own start comes in whole seconds
UNREADABLE_S = 60.0  # a lock without content is being made, unless it is older than this


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock.

    Attributes:
        host: the machine; empty where the file does not say.
        pid: the process.
        started_s: its start, in seconds after the machine's: a clock set back does not change it. Where the file does
            not say who holds it, when it was made.
        token: unique to this taking.
        worker: which worker of which Dask cluster it is, if any.
        deaths: how many processes in a row died while they held the lock, before this one.
    """

    host: str
    pid: int
    started_s: float
    token: str
    worker: str = ""
    deaths: int = 0

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.host else "an unknown process"


def this_process(worker: str = "") -> Holder:
    """Ourselves, with a new token."""
    return Holder(socket.gethostname(), os.getpid(), started_s(os.getpid()), secrets.token_hex(8), worker)


def holder_of(path: Path) -> Holder | None:
    """Who holds a lock; None where there is none."""
    try:
        made_s, text = path.stat().st_mtime, path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        content = json.loads(text)
        who = str(content["host"]), int(content["pid"]), float(content["started_s"]), str(content["token"])
        return Holder(*who, str(content.get("worker", "")), int(content.get("deaths", 0)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Holder("", 0, made_s, "")


def is_stale(holder: Holder | None) -> bool:
    """Whether a holder is gone for certain: a process of another machine never is."""
    if holder is None:
        return False
    if not holder.host:
        return time.time() - holder.started_s > UNREADABLE_S
    if holder.host != socket.gethostname():
        return False
    try:
        is_dead = psutil.Process(holder.pid).status() == psutil.STATUS_ZOMBIE
        return is_dead or abs(started_s(holder.pid) - holder.started_s) > SAME_START_S
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def started_s(pid: int) -> float:
    """When a process began, in seconds after the machine did."""
    booted = psutil.boot_time()  # before the process, which may keep an older reading
    return float(psutil.Process(pid).create_time() - booted)
