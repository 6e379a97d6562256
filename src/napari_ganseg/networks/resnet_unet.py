"""A U-Net whose encoder is torchvision's ResNet-18 or ResNet-34, for 2D."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torchvision
from monai.networks.nets.basic_unet import TwoConv, UpCat
from torch import Tensor, nn

Backbone: TypeAlias = Literal["ResNet18", "ResNet34"]
STAGES = ("layer1", "layer2", "layer3", "layer4")
SKIPS = (64, 64, 128, 256)  # the encoder's channels at 1/2, 1/4, 1/8 and 1/16 of the resolution
DEEPEST = 512


class ResNetUNet(nn.Module):
    """Class logits of the input's size; `encoder` holds torchvision's modules under torchvision's names.

    The decoder is the U-Net's (Ronneberger 2015): nearest upsampling, the skip, two convolutions, instance norm.
    A ResNet starts at half the resolution, so two convolutions of their own (`stem`) bring the finest skip. In
    training a batch of one needs tiles larger than 32 x 32: batch norm cannot work on a single value.

    Args:
        name: which encoder.
        features: the decoder's channels, the finest first; the encoder's 512 are not among them.
        in_channels, out_channels: of the input (batch, in_channels, y, x) and of the logits.
    """

    def __init__(self, name: Backbone, features: Sequence[int], in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.name = name
        self.stem = TwoConv(2, in_channels, features[0], **norm_and_act())
        self.encoder = resnet_encoder(name, in_channels)
        below, skips = (*features[1:], DEEPEST), (features[0], *SKIPS)
        self.decoder = nn.ModuleList(
            UpCat(2, *sizes, upsample="nontrainable", pre_conv=None, interp_mode="nearest", align_corners=None,
                  **norm_and_act())
            for sizes in zip(below, skips, features, strict=True)
        )  # fmt: skip
        self.head = nn.Conv2d(features[0], out_channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(batch, in_channels, y, x) to (batch, out_channels, y, x)."""
        *skips, x = self.stem(image), *self.encode(image)
        for block, skip in zip(reversed(self.decoder), reversed(skips), strict=True):
            x = block(x, skip)
        logits: Tensor = self.head(x)
        return logits

    def encode(self, image: Tensor) -> list[Tensor]:
        """The encoder's maps from 1/2 to 1/32 of the resolution."""
        encoder = self.encoder
        maps = [encoder["relu"](encoder["bn1"](encoder["conv1"](image)))]
        x = encoder["maxpool"](maps[0])
        for stage in STAGES:
            x = encoder[stage](x)
            maps.append(x)
        return maps


def resnet_encoder(name: Backbone, in_channels: int) -> nn.ModuleDict:
    """A fresh ResNet without its classifier, its first convolution as torchvision makes it for RGB."""
    resnet = {"ResNet18": torchvision.models.resnet18, "ResNet34": torchvision.models.resnet34}[name](weights=None)
    if in_channels != 3:
        resnet.conv1 = nn.Conv2d(in_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(resnet.conv1.weight, mode="fan_out", nonlinearity="relu")
    return nn.ModuleDict({part: getattr(resnet, part) for part in ("conv1", "bn1", "relu", "maxpool", *STAGES)})


def norm_and_act() -> dict[str, object]:
    """What follows the decoder's convolutions, as in MONAI's BasicUNet; the norm makes a bias useless."""
    leaky = ("LeakyReLU", {"negative_slope": 0.1, "inplace": True})
    return {"act": leaky, "norm": ("instance", {"affine": True}), "bias": False}
