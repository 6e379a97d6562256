"""How long a training step takes on this machine: measured once for each kind of network, and by every training.

python -m napari_ganseg.training.pace 3 [MODEL] [DEVICE]      # in a process of its own, since torch is slow to load
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from platformdirs import user_data_path

from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.models.file import name_of

STEPS = 3  # that are timed, after one that warms up


def pace_file() -> Path:
    """Where paces are remembered; it need not exist."""
    return Path(user_data_path("napari-ganseg", appauthor=False)) / "pace.json"


def key(dims: int, start: str, device: str) -> str:
    """What a pace is remembered under."""
    return f"{name_of(start) or 'from scratch'}, {dims}D, {device}"


def known_pace(dims: int, start: str, device: str) -> float | None:
    """Seconds of a step, as measured before; None where nobody did."""
    try:
        return float(json.loads(pace_file().read_bytes())[key(dims, start, device)])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def note_pace(dims: int, start: str, device: str, seconds: float) -> None:
    """Remember how long a step took."""
    paces: dict[str, float] = {}
    with suppress(OSError, ValueError, TypeError):
        paces = dict(json.loads(pace_file().read_bytes()))
    paces[key(dims, start, device)] = round(seconds, 4)
    pace_file().parent.mkdir(parents=True, exist_ok=True)
    write_bytes(pace_file(), json.dumps(paces, indent=1).encode())


def spare_threads() -> int:
    """All cores but one, which is the viewer's: a training that has to wait for a core at every step is far slower."""
    return max(1, (os.cpu_count() or 2) - 1)


def begin_measuring(dims: int, start: str, device: str) -> subprocess.Popen[str]:
    """Measure in another process, which remembers what it found."""
    command = [sys.executable, "-W", "ignore", "-m", "napari_ganseg.training.pace", str(dims), start, device]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)


def measured(dims: int, start: str, device_name: str) -> float:
    """Seconds of a step of the network that would be planned, on noise."""
    import torch

    from napari_ganseg.inference.device import choose_device
    from napari_ganseg.models import find_model
    from napari_ganseg.networks import build_generator
    from napari_ganseg.training.config import TrainConfig
    from napari_ganseg.training.planning import card_for_pace
    from napari_ganseg.training.samples import Batch
    from napari_ganseg.training.state import State
    from napari_ganseg.training.step import train_step

    device = choose_device(device_name)
    model = find_model(start) if start else None
    config = TrainConfig(card=model.card if model else card_for_pace(dims))
    card, size = config.card, config.batch_size
    generator = build_generator(
        card.arch, dims=card.dims, in_channels=len(card.channels), out_channels=card.out_channels, seed=0
    )
    state = State.start(generator.to(device), config)
    image = torch.zeros(size, len(card.channels), *card.patch)
    batch = Batch(image, torch.zeros(size, 1, *card.patch, dtype=torch.uint8), torch.zeros(size, card.out_channels) > 0)
    began = 0.0
    for step in range(STEPS + 1):
        if step == 1:
            began = time.perf_counter()
        train_step(state, batch.to(device), config, step)
    return (time.perf_counter() - began) / STEPS


def main(dims: str, start: str = "", device: str = "auto") -> None:
    """Measure and remember."""
    import torch

    torch.set_num_threads(spare_threads())
    note_pace(int(dims), start, device, measured(int(dims), start, device))


if __name__ == "__main__":
    main(*sys.argv[1:])
