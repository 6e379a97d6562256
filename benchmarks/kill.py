"""What a batch leaves behind when cases are damaged, when it is killed, and when it is not alone.

Run by `python -m benchmarks.batch --kill`. The command line runs in forks of this process, which has torch imported but
has not computed yet: one import for all of them.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import napari_ganseg.batch.compute  # noqa: F401
from napari_ganseg.batch.manifest import read_manifest
from napari_ganseg.cli import main as command
from napari_ganseg.io.names import stem

MODEL = "hippocampus-mri"
Point = tuple[str, str, int]  # a function of the batch, and at which of its calls to die
POINTS = (
    # module, function, calls before the one that dies: fixed, for each case that shall be whole, for each whole before
    ("batch.load", "read_scan", (4, 1, 0), "while a scan is read"),
    ("batch.compute", "merge", (3, 1, 0), "while a case is computed"),
    ("batch.save", "write_labels", (2, 1, 0), "before an output is written"),
    ("io.atomic", "sync", (2, 3, 0), "with a file half-written"),
    ("batch.folder", "add_line", (4, 1, 1), "before a line of the manifest"),
)
FORK = multiprocessing.get_context("fork") if os.name != "nt" else None


@dataclass(frozen=True, slots=True)
class Check:
    """One line of what must hold."""

    words: str
    holds: bool


def main(scans: Sequence[Path], place: Path, cases: int) -> int:
    """Print every check; 0 when all hold."""
    if FORK is None:
        sys.exit("This benchmark needs fork, which Windows does not have.")
    damaged = put(scans[:cases], place / "in")
    checks = []
    for check in all_checks(place, cases, damaged):
        print(f"{'ok  ' if check.holds else 'FAIL'} {check.words}", flush=True)
        checks.append(check)
    good = sum(check.holds for check in checks)
    print(f"{cases} cases, {len(damaged)} damaged, killed at {len(POINTS)} points, two processes, two workers: "
          f"{good} of {len(checks)} lines hold")  # fmt: skip
    return 0 if good == len(checks) else 1


def all_checks(place: Path, cases: int, damaged: set[str]) -> Iterator[Check]:
    """Damaged cases; kills; two processes; an output that was cut; a worker that was killed."""
    whole = place / "whole"
    code, said = ended(begun(place, whole))
    named = {line.split()[1].rstrip(":") for line in said.splitlines() if line.startswith("FAILED")}
    yield Check(f"{len(voxels(whole))} done, {len(named)} named, exit code {code}",
                (len(voxels(whole)), named, code) == (cases - len(damaged), damaged, 3))  # fmt: skip
    yield from killed(place, whole, cases)
    yield shared(place, whole)
    yield cut(place, whole)
    yield clustered(place, whole)


def put(scans: Sequence[Path], folder: Path) -> set[str]:
    """Copies of the scans, three of them damaged: empty, cut, and with a byte changed; gives their names."""
    folder.mkdir()
    for path in scans:
        shutil.copyfile(path, folder / path.name)
    copies = sorted(folder.iterdir())
    chosen = copies[3], copies[len(copies) // 2], copies[-2]
    damages: tuple[Callable[[bytes], bytes], ...] = (
        lambda _: b"", lambda b: b[: len(b) // 2], lambda b: b[:200] + bytes([b[200] ^ 255]) + b[201:],
    )  # fmt: skip
    for path, damage in zip(chosen, damages, strict=True):
        path.write_bytes(damage(path.read_bytes()))
    return {stem(path) for path in chosen}


# --- processes --------------------------------------------------------------------------------------------------------


def begun(place: Path, out: Path, point: Point | None = None) -> tuple[BaseProcess, Path]:
    """The command on the folder in a process of its own, which dies at a point; and where it says something."""
    assert FORK is not None
    said = place / f"said-{time.monotonic_ns()}"
    process = FORK.Process(target=child, args=(place / "in", out, said, point))
    process.start()
    return process, said


def child(scans: Path, out: Path, said: Path, point: Point | None) -> None:
    """In the process: die at the point, else give the command's exit code."""
    if point:
        die_at(*point)
    with open(said, "w") as file, redirect_stderr(file), redirect_stdout(file):
        code = command(["segment", str(scans), str(out), "--model", MODEL, "--device", "cpu"])
    os._exit(code)


def die_at(module: str, name: str, count: int) -> None:
    """SIGKILL this process at so many calls of a function."""
    home = import_module(f"napari_ganseg.{module}")
    original, calls = getattr(home, name), []

    def counting(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)

    setattr(home, name, counting)


def ended(started: tuple[BaseProcess, Path]) -> tuple[int | None, str]:
    """Exit code and words of a process, once it has ended."""
    process, said = started
    process.join()
    return process.exitcode, said.read_text() if said.exists() else ""


def voxels(out: Path) -> dict[str, str]:
    """Hash of each finished case's voxels, as its record has it."""
    records = {path.stem: json.loads(path.read_bytes()).get("record", {}) for path in out.glob("*.json")}
    return {n: record["output"]["voxels_sha256"] for n, record in records.items() if record.get("state") == "done"}


def times(out: Path) -> dict[str, int]:
    """When each finished case's output was written."""
    return {name: (out / f"{name}.nii.gz").stat().st_mtime_ns for name in voxels(out)}


def computed(out: Path) -> list[str]:
    """Cases that the manifest calls done, as often as it does."""
    return [entry["name"] for entry in read_manifest(out) if entry["status"] == "done"]


# --- checks -----------------------------------------------------------------------------------------------------------


def killed(place: Path, whole: Path, cases: int) -> Iterator[Check]:
    """One folder, killed at each point in turn and begun again."""
    out, step, had = place / "killed", max(1, cases // 8 - 1), dict[str, int]()
    for module, name, (fixed, each, before), words in POINTS:
        code, _ = ended(begun(place, out, (module, name, fixed + each * step + before * len(had))))
        now = times(out)
        yield Check(f"killed {words} (exit {code}): {len(now)} whole, {len(had)} of them untouched since the last time",
                    code == -signal.SIGKILL and had.items() <= now.items() and len(now) > len(had))  # fmt: skip
        had = now
    code, _ = ended(begun(place, out))
    names, left = computed(out), [p.name for p in out.iterdir() if p.suffix == ".lock" or ".tmp-" in p.name]
    yield Check(f"begun again: exit {code}, an unbroken run's voxels, no case computed twice, {len(left)} leftovers",
                code == 3 and voxels(out) == voxels(whole) and had.items() <= times(out).items()
                and len(names) == len(set(names)) and not left)  # fmt: skip


def shared(place: Path, whole: Path) -> Check:
    """Two processes on one folder."""
    out = place / "shared"
    codes = [ended(process)[0] for process in [begun(place, out), begun(place, out)]]
    names, processes = computed(out), {e["pid"] for e in read_manifest(out) if e["status"] == "done"}
    return Check(f"two processes on one folder (exits {codes}): {len(names)} computed by {len(processes)}, each once",
                 codes == [3, 3] and sorted(names) == sorted(voxels(whole)) and len(processes) == 2
                 and voxels(out) == voxels(whole))  # fmt: skip


def cut(place: Path, whole: Path) -> Check:
    """An output that was cut short after the fact."""
    before, name = times(whole), min(voxels(whole))
    path = whole / f"{name}.nii.gz"
    content = path.read_bytes()
    path.write_bytes(content[:-40])
    ended(begun(place, whole))
    changed = {n for n, t in times(whole).items() if t != before[n]}
    return Check(f"an output cut short is made again, and {len(changed - {name})} others are",
                 changed == {name} and path.read_bytes() == content)  # fmt: skip


def clustered(place: Path, whole: Path) -> Check:
    """Two Dask workers, one of them killed with a case under way."""
    from napari_ganseg.batch import exit_code, segment_folder

    out, victim = place / "clustered", 0
    with two_workers() as cluster:
        run = segment_folder(place / "in", out, MODEL, device="cpu", cluster=cluster)
        ends = (p for p in run if p.case and p.case.status == "done")
        for _ in range(3):
            next(ends)
        while not victim:
            victim = holder(out)
        os.kill(victim, signal.SIGKILL)
        results = run.result
    return Check(f"two workers, one killed (exit code {exit_code(results)}): the same voxels",
                 exit_code(results) == 3 and voxels(out) == voxels(whole))  # fmt: skip


def holder(out: Path) -> int:
    """A process that works on a case; 0 where there is none."""
    for lock in out.glob("hippo*.lock"):
        try:
            return int(json.loads(lock.read_bytes())["pid"])
        except (OSError, ValueError):
            continue
    return 0


@contextmanager
def two_workers() -> Iterator[Any]:
    """A cluster on this machine, whose workers share one import of torch."""
    import dask

    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        from distributed import LocalCluster
        from distributed.utils import get_mp_context

        get_mp_context()
        preload = ["distributed", "napari_ganseg.batch.compute", "monai.networks.nets"]
        multiprocessing.get_context("forkserver").set_forkserver_preload(preload)
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=60) as cluster:
            yield cluster
