"""The discriminator: judges patches of (image, segmentation) pairs; MONAI's PatchDiscriminator, aligned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class DiscriminatorArch:
    """Which discriminator, and how large.

    Attributes:
        name: its kind; a second scale, larger fields and other losses were tried and made no sure difference.
        channels: of the first layer; they double with every layer.
        layers: that halve the resolution; a logit then sees 7, 15 or 31 voxels along each axis for 1, 2 or 3.
    """

    name: Literal["patch"] = "patch"
    channels: Annotated[int, Field(ge=4, le=128)] = 16
    layers: Annotated[int, Field(ge=1, le=4)] = 2


def build_discriminator(arch: DiscriminatorArch, *, dims: int, in_channels: int, seed: int = 0) -> nn.Module:
    """Make a discriminator with fresh weights of its own seed.

    Kernels of 3 and a last one of 1 centre logit i on voxel 2 ** layers * i (MONAI's default of 4 shifts its map by
    several voxels); instance norm, since the default batch norm inverts the verdict in evaluation.
    """
    import torch
    from monai.networks.nets.patchgan_discriminator import PatchDiscriminator

    with torch.random.fork_rng(devices=[]):  # nobody else's random numbers are touched
        torch.default_generator.manual_seed(seed)
        critic: nn.Module = PatchDiscriminator(
            dims, arch.channels, in_channels, num_layers_d=arch.layers, kernel_size=3, last_conv_kernel_size=1,
            norm="INSTANCE",
        )  # fmt: skip
    return critic


def receptive_field(layers: int) -> int:
    """Voxels along an axis that one logit sees."""
    return int(2 ** (layers + 2)) - 1
