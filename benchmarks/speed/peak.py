"""The most memory that one way takes, in a fresh process: an allocator that served another way would keep some of it.

python -m benchmarks.speed.peak '{"way": "ours", "shape": [128, 128, 96], "classes": 25, "network": "unet"}'
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil
import torch

from benchmarks.speed.subjects import PATCH, Network, Subject, subject_of
from benchmarks.speed.timing import timed
from benchmarks.speed.ways import COMMON, HALF, OURS, Way, common, half, ours, quiet

CALLS: dict[str, Way] = {COMMON: common, HALF: half, OURS: ours}
SMALL = (32, 32, 32)
HIGH_WATER = Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True)
class Peak:
    """Of one call.

    Attributes:
        beyond: bytes at the worst moment less those before the call and those of the labels.
        total: bytes of the whole process at that moment; on a GPU of its tensors.
        wall, cpu: seconds.
        is_reckoned: no measurement but arithmetic, since it would not fit.
    """

    beyond: int
    total: int
    wall: float = 0.0
    cpu: float = 0.0
    is_reckoned: bool = False


def peak_of(way: str, shape: Sequence[int], classes: int, network: Network = "one convolution",
            device: str = "cpu", patch: Sequence[int] = PATCH) -> Peak:  # fmt: skip
    """Measure a way in a process of its own, or reckon where MONAI's scores do not fit."""
    least = reckoned(shape, classes, patch)
    if way != OURS and device == "cpu" and least.total > room():
        return least
    wish = {"way": way, "shape": [*shape], "classes": classes, "network": network, "device": device, "patch": [*patch]}
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.speed.peak", json.dumps(wish)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{way} at {'x'.join(map(str, shape))} with {classes} classes: {done.stderr[-2000:]}")
    return Peak(**json.loads(done.stdout.splitlines()[-1]))


def reckoned(shape: Sequence[int], classes: int, patch: Sequence[int] = PATCH) -> Peak:
    """What MONAI's call needs at the least: all scores and weights in float32, and a window or the argmax in int64."""
    voxels, window = torch.Size(shape).numel(), torch.Size(patch).numel()
    beyond = 4 * voxels * (classes + 2) + max(8 * voxels, 4 * window * (classes + 1))
    return Peak(beyond, beyond + 5 * voxels, is_reckoned=True)


def room() -> float:
    """Bytes that a measurement may take."""
    return 0.9 * float(psutil.virtual_memory().available)


def main(wish: str) -> None:
    """Measure in this process, and print."""
    told = json.loads(wish)
    way = told.pop("way")
    with quiet():
        CALLS[way](subject_of(**told | {"shape": SMALL, "patch": SMALL}))
        subject = subject_of(**told) if way == OURS else with_image_alone(subject_of(**told))
        trim()
        print(json.dumps(asdict(measured(CALLS[way], subject))))


def trim() -> None:
    """Give back what making the scan left behind, so that none of it hides what the call takes; glibc alone can."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def with_image_alone(subject: Subject) -> Subject:
    """With one copy of the scan in memory, the one that MONAI is given."""
    image = subject.image
    lean = replace(subject, volume=subject.volume.derive(array=image[0, 0].cpu().numpy()))
    lean.__dict__["image"] = image
    return lean


def measured(call: Way, subject: Subject) -> Peak:
    """The peak of one call."""
    labels = torch.Size(subject.volume.shape).numel()
    before = now(subject.device)
    forget_peak(subject.device)
    seconds = timed(lambda: call(subject), subject.device)
    total = highest(subject.device)
    return Peak(max(0, total - before - labels), total, round(seconds.wall, 3), round(seconds.cpu, 3))


def now(device: torch.device) -> int:
    """Bytes in use."""
    return torch.cuda.memory_allocated() if device.type == "cuda" else psutil.Process().memory_info().rss


def forget_peak(device: torch.device) -> None:
    """Begin anew; Linux alone can for a process, elsewhere the peak counts from its start."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):
        HIGH_WATER.write_text("5")


def highest(device: torch.device) -> int:
    """Bytes at the worst moment since."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(sys.argv[1])
