"""The generator: an image in, class logits out; networks by name, their sizes bounded."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

if TYPE_CHECKING:
    from torch import nn

MAX_PARAMETERS = 500_000_000
Features = Annotated[int, Field(ge=1, le=1024)]
Stride = Annotated[int, Field(ge=1, le=4)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Arch:
    """Which network, and how large.

    Attributes:
        name: MONAI's class; ResNet18 and ResNet34, for 2D only, are U-Nets on torchvision's encoders.
        features: channels per level, the finest first; for a ResNet the decoder's five and the encoder's 512.
        strides: per step down, one number per spatial axis (z, y, x) or (y, x).
        residual_units: UNet only; convolutions per residual block.
    """

    name: Literal["UNet", "DynUNet", "SegResNet", "ResNet18", "ResNet34"]
    features: Annotated[tuple[Features, ...], Field(min_length=2, max_length=8)]
    strides: tuple[tuple[Stride, ...], ...]
    residual_units: Annotated[int, Field(ge=0, le=4)] = 2

    def __post_init__(self) -> None:
        if len(self.strides) != len(self.features) - 1:
            raise ValueError(
                f"{len(self.features)} levels need {len(self.features) - 1} strides, not {len(self.strides)}"
            )


def build_generator(arch: Arch, *, dims: int, in_channels: int, out_channels: int, seed: int = 0) -> nn.Module:
    """Make the network with fresh weights of its own seed, after counting its parameters without allocating them.

    Input (batch, in_channels, z, y, x) or (batch, in_channels, y, x), sizes divisible by `divisor(arch)`; the output
    is the same with `out_channels` logits.

    Raises:
        ValueError: the arguments do not fit together, or the network would be larger than 5e8 parameters.
    """
    import torch

    outline(arch, dims=dims, in_channels=in_channels, out_channels=out_channels)
    with torch.random.fork_rng(devices=[]):  # nobody else's random numbers are touched
        torch.default_generator.manual_seed(seed)
        return make(arch, dims, in_channels, out_channels)


def outline(arch: Arch, *, dims: int, in_channels: int, out_channels: int) -> nn.Module:
    """The network without memory for its weights: their names, shapes and types alone; raises as `build_generator`."""
    import torch

    if any(len(stride) != dims for stride in arch.strides):
        raise ValueError(f"a {dims}D network needs {dims} numbers per stride")
    with torch.device("meta"):
        network = make(arch, dims, in_channels, out_channels)
    parameters = sum(p.numel() for p in network.parameters())
    if parameters > MAX_PARAMETERS:
        raise ValueError(f"the network has {parameters:,} parameters; the limit is {MAX_PARAMETERS:,}")
    return network


def divisor(arch: Arch) -> tuple[int, ...]:
    """What a tile's size must divide by, per axis."""
    return tuple(math.prod(along) for along in zip(*arch.strides, strict=True))


def make(arch: Arch, dims: int, in_channels: int, out_channels: int) -> nn.Module:
    """Translate the configuration to the network's own arguments."""
    from monai.networks import nets

    sizes = (dims, in_channels, out_channels)
    network: nn.Module
    if arch.name == "UNet":
        network = nets.UNet(*sizes, arch.features, arch.strides, num_res_units=arch.residual_units)
    elif arch.name == "DynUNet":
        strides = ((1,) * dims, *arch.strides)
        network = nets.DynUNet(*sizes, [3] * len(strides), strides, strides[1:], filters=arch.features)
    elif arch.name == "SegResNet":
        check_segresnet(arch)
        blocks, first = (1, *[2] * (len(arch.features) - 1)), arch.features[0]
        network = nets.SegResNet(dims, first, *sizes[1:], blocks_down=blocks, blocks_up=(1,) * (len(blocks) - 1))
    else:
        from napari_ganseg.networks.resnet_unet import ResNetUNet

        check_resnet(arch, dims)
        network = ResNetUNet(arch.name, arch.features[:-1], in_channels, out_channels)
    return network


def check_segresnet(arch: Arch) -> None:
    """Refuse numbers that SegResNet would ignore."""
    if any(s != 2 for stride in arch.strides for s in stride):
        raise ValueError("SegResNet halves every axis at every level; its strides are all 2")
    if any(fine * 2 != coarse for fine, coarse in pairwise(arch.features)):
        raise ValueError("SegResNet doubles its features at every level")


def check_resnet(arch: Arch, dims: int) -> None:
    """Refuse three dimensions, and numbers that a ResNet's encoder would ignore."""
    if dims != 2:
        raise ValueError(f"{arch.name} is for 2D only; choose UNet, DynUNet or SegResNet for 3D")
    if arch.strides != ((2, 2),) * 5:
        raise ValueError(f"{arch.name} halves both axes five times; its strides are five times (2, 2)")
    if arch.features[-1] != 512:
        raise ValueError(f"{arch.name} ends in 512 features, not {arch.features[-1]}; the five before are free")
