"""What a batch costs over the bare engine, whether its memory stays, what workers bring, and what a kill leaves.

    python -m benchmarks.batch              # throughput, memory, 1 against 2 Dask workers
    python -m benchmarks.batch --kill       # damaged cases, SIGKILL at five points, two processes, a killed worker
    ... --quick                             # each with fewer cases

Needs GANSEG_DATA. Throughput is wall-clock time of `segment_folder` over that of reading, computing and writing the
same cases one after the other, with the same functions and a model that is loaded already; the two take turns, so that
whatever else the machine does meets both. Exits 0 when the ratio reaches 0.9 and memory grows by less than 5 % after
the first 30 of 300 cases. The workers' figure has no bar: on a machine with two busy cores it says little.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import psutil
import torch

from benchmarks import kill
from napari_ganseg.batch import segment_folder
from napari_ganseg.inference import segment
from napari_ganseg.io import read, write
from napari_ganseg.models import Card, find_model, save_model
from napari_ganseg.networks import Arch, build_generator

Work = Callable[[Path, Path], None]
MODEL = "hippocampus-mri"
RATIO, GROWTH, SETTLED = 0.9, 0.05, 30  # goals; cases after which memory has settled


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: cases of a turn, turns, cases whose memory is watched, cases of each cluster."""

    cases: int
    turns: int
    watched: int
    clustered: int


FULL, QUICK = Size(12, 6, 300, 24), Size(4, 2, 90, 6)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for; 0 when its lines hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer cases")
    parser.add_argument("--kill", action="store_true", help="damaged cases, kills, and folders that are shared")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        return kill.main(scans(), place, 12 if options.quick else 60) if options.kill else costs(place, options.quick)


def scans() -> list[Path]:
    """The real crops, of patients of any fold: nothing is learned here."""
    folder = Path(os.environ.get("GANSEG_DATA", "")) / "hippocampus_mri" / "images"
    return sorted(folder.glob("*.nii.gz")) or sys.exit("Set GANSEG_DATA to the folder of the project's data.")


def costs(place: Path, is_quick: bool) -> int:
    """Throughput, memory and workers."""
    size = QUICK if is_quick else FULL
    ratio, seconds = throughput(place, size)
    growth, settled = memory(place, size.watched)
    print(f"memory: {settled:.0f} MB after {SETTLED} cases, {growth:+.1%} after {size.watched}", flush=True)
    one, two = on_workers(place, size.clustered)
    print(f"throughput {ratio:.2f} of the bare engine's (goal {RATIO}), {seconds:.2f} s a case; "
          f"memory {settled:.0f} MB, {growth:+.1%} from case {SETTLED} to {size.watched} (goal {GROWTH:.0%}); "
          f"1 Dask worker {one:.2f} s a case, 2 {two:.2f} s ({one / two:.2f} times faster)")  # fmt: skip
    return 0 if ratio >= RATIO and growth < GROWTH else 1


# --- throughput -------------------------------------------------------------------------------------------------------


def throughput(place: Path, size: Size) -> tuple[float, float]:
    """The batch's throughput over the bare engine's, and the batch's seconds a case, each first in half the turns."""
    folder, numbers = put(place / "in", scans()[: size.cases]), count()
    one_by_one(folder, place / "warm")
    bare, batch = [], []
    for turn in range(size.turns):
        for work, seconds in ((one_by_one, bare), (as_batch, batch))[:: 1 if turn % 2 else -1]:
            seconds.append(timed(work, folder, place / f"turn{next(numbers)}"))
        print(f"turn {turn + 1}: one by one {bare[-1]:.1f} s, as a batch {batch[-1]:.1f} s", flush=True)
    return sum(bare) / sum(batch), sum(batch) / size.turns / size.cases


def put(folder: Path, paths: Sequence[Path]) -> Path:
    """A folder with copies of some scans."""
    folder.mkdir()
    for path in paths:
        shutil.copyfile(path, folder / path.name)
    return folder


def timed(work: Work, folder: Path, out: Path) -> float:
    """Wall-clock seconds."""
    begun = time.perf_counter()
    work(folder, out)
    return time.perf_counter() - begun


def one_by_one(folder: Path, out: Path) -> None:
    """Read, compute, write, case by case."""
    out.mkdir()
    model = find_model(MODEL)
    for path in sorted(folder.iterdir()):
        write(out / path.name, segment(read(path), model, device="cpu"))


def as_batch(folder: Path, out: Path) -> None:
    """The same as a batch."""
    results = segment_folder(folder, out, MODEL, device="cpu").result
    assert all(result.status == "done" for result in results)


# --- memory -----------------------------------------------------------------------------------------------------------


def memory(place: Path, cases: int) -> tuple[float, float]:
    """Growth of this process after the first cases, as a share, and the megabytes it had then."""
    folder, rng, sizes = place / "many", np.random.default_rng(0), []
    folder.mkdir()
    for number in range(cases):
        array = rng.normal(0, 200, rng.integers(16, 33, 3)).astype(np.float32)
        nib.save(nib.Nifti1Image(array, np.eye(4)), folder / f"{number:03d}.nii")
    for progress in segment_folder(folder, place / "many-out", tiny_model(place), device="cpu"):
        if progress.case:
            assert progress.case.status == "done", progress.case.cause
            sizes.append(psutil.Process().memory_info().rss / 2**20)
    return sizes[-1] / sizes[SETTLED - 1] - 1, sizes[SETTLED - 1]


def tiny_model(place: Path) -> Path:
    """A model with few weights, which are random."""
    arch = Arch("DynUNet", (4, 8, 8), ((2, 2, 2), (2, 2, 2)))
    card: Card = replace(find_model(MODEL).card, name="tiny", arch=arch, patch=(16, 16, 16))
    path = place / "tiny.ganseg.safetensors"
    save_model(path, card, build_generator(arch, dims=3, in_channels=1, out_channels=card.out_channels, seed=0))
    return path


# --- workers ----------------------------------------------------------------------------------------------------------


def on_workers(place: Path, cases: int) -> tuple[float, float]:
    """Seconds a case on one Dask worker and on two, which have loaded the model before."""
    from distributed import Client

    folder = put(place / "in-clustered", scans()[:cases])
    with kill.two_workers() as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2)
        clustered(folder, place / "warm-clustered", client)
        two = timed(partial(clustered, client=client), folder, place / "two")
        cluster.scale(1)
        while len(client.nthreads()) > 1:
            time.sleep(0.1)
        return timed(partial(clustered, client=client), folder, place / "one") / cases, two / cases


def clustered(folder: Path, out: Path, client: Any) -> None:
    """The batch on a cluster."""
    results = segment_folder(folder, out, MODEL, device="cpu", cluster=client).result
    assert all(result.is_good for result in results)


if __name__ == "__main__":
    sys.exit(main())
