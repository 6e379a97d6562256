"""A network's tensors by name, each once: MONAI's DynUNet lists most of its layers under two names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by their first name, shared ones once; views, not copies."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def fill_weights(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into a network; the names must be exactly those of `weights_of`.

    Raises:
        KeyError: a name is missing or unknown. RuntimeError: a shape differs.
    """
    import torch

    own = weights_of(network)
    if odd := set(own) ^ set(tensors):
        raise KeyError(f"weights do not fit the network: {min(odd)}")
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)
