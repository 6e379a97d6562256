"""A batch that was killed anywhere goes on to the same labels; two processes share a folder."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_ganseg.batch import segment_folder
from napari_ganseg.batch.manifest import read_manifest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks after torch is imported")
CASES = "abcdef"
POINTS = {
    "while the second scan is read": ("load", "read_scan", 2),
    "while the second is computed": ("compute", "merge", 2),
    "before the second output is written": ("save", "write_labels", 2),
    "with the second output half-written": ("io", "sync", 5),
    "before the second record is written": ("save", "sha256_of", 2),
    "before the first line of the manifest": ("folder", "add_line", 1),
}
# Forked after torch is imported and before it computes: one import for all.
SCRIPT = """
import json, os, signal, sys, time
import torch
from napari_ganseg.batch import compute, folder, load, save, segment_folder
from napari_ganseg.io import atomic as io
torch.set_num_threads(1)
scans, model, jobs = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

def kill_at(module, name, count):
    original, calls = getattr(module, name), []
    def counting(*args, **kwargs):
        calls.append(1)
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)
    setattr(module, name, counting)

def meet_and_go_slowly():
    original = compute.merge
    compute.merge = lambda *args: (time.sleep(0.05), original(*args))[1]
    open(f"{scans}/ready-{os.getpid()}", "x").close()
    while sum(name.startswith("ready") for name in os.listdir(scans)) < 2:
        time.sleep(0.01)

for out, point in jobs:
    if os.fork() == 0:
        kill_at(globals()[point[0]], *point[1:]) if point else meet_and_go_slowly()
        results = segment_folder(scans, out, model, device="cpu").result
        os._exit(0 if all(r.is_good for r in results) else 1)
for _ in jobs:
    print(os.wait()[1], flush=True)
"""


@dataclass(frozen=True)
class Batches:
    """What was segmented, with what, and where to."""

    scans: Path
    model: Path
    outs: dict[str, Path]

    def segment(self, words: str) -> dict[str, str]:
        """Segment here; status by case."""
        results = segment_folder(self.scans, self.outs[words], self.model, device="cpu").result
        return {result.name: result.status for result in results}


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Batches:
    """Batches killed at each point, two that shared a folder, and one without accident, which is for here."""
    top = tmp_path_factory.mktemp("killed")
    (top / "in").mkdir()
    for seed, name in enumerate(CASES):
        array = np.random.default_rng(seed).normal(0, 200, (12, 13, 14)).astype(np.float32)
        nib.save(nib.Nifti1Image(array, np.eye(4)), top / "in" / f"{name}.nii")
    made = Batches(top / "in", model, {words: top / words for words in (*POINTS, "shared", "unbroken")})
    jobs = [(made.outs[words], point) for words, point in POINTS.items()] + [(made.outs["shared"], None)] * 2
    command = [sys.executable, "-c", SCRIPT, str(made.scans), str(model), json.dumps(jobs, default=str)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ["0"] * 2 + ["9"] * len(POINTS), done.stderr
    assert made.segment("unbroken") == dict.fromkeys(CASES, "done")
    return made


def voxels(out: Path) -> dict[str, str]:
    """Hash of each finished case's voxels, as its record has it."""
    records = {p.stem: json.loads(p.read_text())["record"] for p in out.glob("*.json")}
    return {name: r["output"]["voxels_sha256"] for name, r in records.items() if r["state"] == "done"}


@pytest.mark.parametrize("words", POINTS)
def test_a_batch_killed_anywhere_goes_on_to_the_same_labels(batches: Batches, words: str) -> None:
    out = batches.outs[words]
    had = voxels(out)
    assert batches.segment(words) == {name: "skipped" if name in had else "done" for name in CASES}
    assert voxels(out) == voxels(batches.outs["unbroken"])
    left = {p.name for p in out.iterdir()} - {"manifest.jsonl"}
    assert left == {f"{name}.{suffix}" for name in CASES for suffix in ("nii.gz", "json")}


def test_two_processes_on_one_folder_compute_each_case_once(batches: Batches) -> None:
    done = [entry for entry in read_manifest(batches.outs["shared"]) if entry["status"] == "done"]
    assert sorted(entry["name"] for entry in done) == list(CASES)
    assert len({entry["pid"] for entry in done}) == 2
    assert voxels(batches.outs["shared"]) == voxels(batches.outs["unbroken"])
