"""Which device computes: chosen automatically, or as the user says."""

from __future__ import annotations

import re

import torch

from napari_ganseg.errors import UsageError


def choose_device(name: str = "auto") -> torch.device:
    """Turn "auto", "cpu", "cuda", "cuda:1" or "mps" into a device that works.

    Raises:
        UsageError: the device is not there.
    """
    names = device_names()
    if name == "auto":
        return torch.device(names[1])
    is_first, is_further = name.removesuffix(":0") in names[1:], re.fullmatch(r"cuda:\d+", name) and works(name)
    if not is_first and not is_further:
        raise UsageError(f'There is no device "{name}" here. Choose one of {", ".join(names)}.')
    return torch.device(name)


def device_names() -> list[str]:
    """What may be asked for, the fastest first after "auto"."""
    names = ["auto"]
    if works("cuda"):
        names.append("cuda")
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def works(name: str) -> bool:
    """Whether a GPU is visible and answers: a broken driver is found here, not in the middle of a scan."""
    if not torch.cuda.is_available():
        return False
    try:
        return bool(torch.ones(1, device=name).item() == 1)
    except RuntimeError:
        return False
