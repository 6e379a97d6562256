"""Connect to a Dask cluster; distributed is imported here at the earliest, so that nobody else needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from napari_ganseg.errors import UsageError
from napari_ganseg.io.names import shown

Client: TypeAlias = Any  # distributed.Client; typed loosely, since it need not be installed
Cluster: TypeAlias = Any  # an address, a Client, or a distributed cluster such as LocalCluster
TIMEOUT_S = 20.0


@contextmanager
def connected(cluster: Cluster) -> Iterator[Client]:
    """A client of a cluster: the one given, or one of our own that is closed at the end.

    Raises:
        UsageError: distributed is not installed, no scheduler answers, or the client is asynchronous.
    """
    distributed = imported()
    if isinstance(cluster, distributed.Client):
        check_client(cluster)
        yield cluster
        return
    try:
        client = distributed.Client(cluster, timeout=TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"No Dask scheduler answers at {shown(str(cluster))} ({error}). Give the address that 'dask "
                         "scheduler' prints, such as tcp://node1:8786.") from error  # fmt: skip
    with client:
        yield client


def imported() -> Any:
    """The package distributed, an optional extra."""
    try:
        import distributed
    except ImportError as error:
        raise UsageError("A cluster needs dask.distributed, which is not installed. "
                         'Run: pip install "napari-ganseg[cluster]"') from error  # fmt: skip
    return distributed


def check_client(client: Client) -> None:
    """Refuse a client that cannot be waited for, or is closed."""
    if client.asynchronous:
        raise UsageError("The client is asynchronous; give a client made with asynchronous=False, or the address.")
    if client.status != "running":
        raise UsageError(f"The Dask client is {client.status}; connect again, or give the scheduler's address.")
