"""Several processes that train one model, one per GPU: torchrun starts them, and each computes its share of a batch.

A mean of the processes' own losses is not the loss of their joined batch: Dice is over the whole batch, and means are
over known voxels. So the shares' outputs are joined and every process computes the loss of the whole. Going back, a
share's gradient is summed over the processes: world times too much, and the average over processes is exact.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from napari_ganseg.errors import UsageError
from napari_ganseg.inference.device import choose_device

T = TypeVar("T")
PATIENCE = timedelta(days=7)  # one may be paused by its user, or validate for long, while the others wait


@contextmanager
def together() -> Iterator[None]:
    """Join the processes that torchrun started, while it is inside; nothing where there is one."""
    if not are_launched():
        yield
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    try:
        yield
        dist.barrier()  # nobody leaves while another writes
    finally:
        dist.destroy_process_group()


def leave(code: int) -> int:
    """The exit code of a process that worked alone; one of several ends here, with nothing left to write.

    Seldom, a process of several was aborted while it ended ("terminate called without an active exception"): threads of
    torch's outlive the group. torchrun then takes the whole training for failed.
    """
    if are_launched():
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def are_launched() -> bool:
    """Whether torchrun started this process together with others."""
    return dist.is_available() and dist.is_torchelastic_launched() and int(os.environ["WORLD_SIZE"]) > 1


def are_several() -> bool:
    """Whether this process trains together with others."""
    return dist.is_available() and dist.is_initialized()


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if are_several() else 1


def rank() -> int:
    """Which of them this one is, from 0."""
    return dist.get_rank() if are_several() else 0


def is_first() -> bool:
    """Whether this process is the one that writes, validates and listens to the user."""
    return rank() == 0


def own(folder: Path | None) -> Path | None:
    """The folder for the process that may write there, None for the others."""
    return folder if is_first() else None


def part() -> slice:
    """Which samples of a batch are this process's."""
    return slice(rank(), None, world())


def check_size(batch_size: int) -> None:
    """Raise UsageError unless a batch can be shared out evenly."""
    if batch_size % world():
        raise UsageError(
            f"{world()} processes cannot share a batch of {batch_size} evenly; start as many as divide it, or change "
            "batch_size in the configuration."
        )


def device_for(name: str) -> torch.device:
    """The device of this process: each has a GPU of its own.

    Raises:
        UsageError: it is not there, or cannot work together with others.
    """
    if not are_several():
        return choose_device(name)
    local = int(os.environ.get("LOCAL_RANK", rank()))
    if local < torch.cuda.device_count():
        torch.cuda.set_device(local)  # before anything takes memory of the first one
    device = choose_device(name)
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"Several processes train on NVIDIA GPUs or processors, not on {device.type}: --device cpu.")
    return choose_device(f"cuda:{local}") if device.type == "cuda" else device


def parallel(network: nn.Module) -> nn.Module:
    """The network, such that its gradients are averaged over the processes; the same one where there is one."""
    if not are_several():
        return network
    device, options = next(network.parameters()).device, inspect.signature(DistributedDataParallel).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in options else "broadcast_buffers"  # torch renamed it
    leave: dict[str, Any] = {name: False}  # a batch norm's statistics must not change between forward and backward
    return DistributedDataParallel(network, [device] if device.type == "cuda" else None, **leave)


def joined(share: Tensor) -> Tensor:
    """The shares of all processes in the order of one process's batch, (n, ...) -> (n * world, ...); differentiable."""
    if not are_several():
        return share
    whole: Tensor = Join.apply(share.float() if share.is_floating_point() else share)
    return whole


class Join(torch.autograd.Function):
    """Gather shares; the gradient of a share is the sum of what all processes found for it."""

    @staticmethod
    def forward(_: Any, share: Tensor) -> Tensor:
        """(n, ...) -> (n * world, ...), first the first sample of every process."""
        share = share.contiguous()
        shares = [torch.empty_like(share) for _ in range(world())]
        dist.all_gather(shares, share)
        return torch.stack(shares, 1).flatten(0, 1)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        """(n * world, ...) -> (n, ...)."""
        summed = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed[part()]


def averaged(x: Tensor) -> Tensor:
    """The mean over the processes."""
    if not are_several():
        return x
    mean = x.clone()
    dist.all_reduce(mean)
    return mean / world()


def average_gradients(network: nn.Module) -> None:
    """What DistributedDataParallel does, for a network that is frozen in between and called several times a step."""
    if not are_several():
        return
    for parameter in network.parameters():
        if parameter.grad is not None:
            parameter.grad = averaged(parameter.grad)


def share_buffers(network: nn.Module) -> None:
    """Give every process the first one's statistics of a batch norm: each has seen only its share."""
    if are_several():
        for buffer in network.buffers():
            dist.broadcast(buffer, 0)


def most(count: int, device: torch.device) -> int:
    """The largest of the processes' counts."""
    if not are_several():
        return count
    largest = torch.tensor(count, device=device)
    dist.all_reduce(largest, dist.ReduceOp.MAX)
    return int(largest)


def from_first(work: Callable[[], T]) -> T:
    """What the first process makes of some work, for all of them; where it fails, all fail alike."""
    if not are_several():
        return work()
    told: list[Any] = [None, None]
    if is_first():
        try:
            told[0] = work()
        except Exception as error:
            told[1] = error
    dist.broadcast_object_list(told)
    if told[1] is not None:
        raise told[1]
    made: T = told[0]
    return made


@contextmanager
def first_speaks() -> Iterator[None]:
    """Let only the first process print, draw a bar and warn, while it is inside."""
    if is_first():
        yield
        return
    logging.getLogger("napari_ganseg").setLevel(logging.ERROR)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def agreed(found: T) -> T:
    """What the first process found: the others' numbers may differ in a last digit, and all must decide alike."""
    return from_first(lambda: found)


def wait_for_all() -> None:
    """Go on when every process has come this far."""
    if are_several():
        dist.all_reduce(torch.zeros(1))
