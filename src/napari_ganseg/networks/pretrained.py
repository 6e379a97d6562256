"""Encoders filled with weights learned elsewhere: torchvision's from ImageNet, or those of a file."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

from platformdirs import user_cache_path

from napari_ganseg.errors import FileError, ModelError, UsageError
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.io.names import amount, shown
from napari_ganseg.networks.foreign import read_state_dict
from napari_ganseg.networks.weights import fill_weights, weights_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from napari_ganseg.networks.resnet_unet import ResNetUNet

IMAGENET = "imagenet"
TIMEOUT_S = 30
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Published:
    """A file on the web that we know: its bytes and SHA-256 leave no choice to whoever answers."""

    url: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]


# torchvision's IMAGENET1K_V1; the first eight digits of the SHA-256 stand in its file names
PUBLISHED = {
    "ResNet18": Published(
        "https://download.pytorch.org/models/resnet18-f37072fd.pth", 46_830_571,
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    ),
    "ResNet34": Published(
        "https://download.pytorch.org/models/resnet34-b627a593.pth", 87_319_819,
        "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
    ),
}  # fmt: skip


def fill_encoder(network: nn.Module, source: str | Path, may_download: bool = False) -> None:
    """Fill the encoder of a ResNet18 or ResNet34 generator in place; its decoder stays as it is.

    Args:
        network: from `build_generator`.
        source: "imagenet", or the path of a `.pth`, `.pt` or `.safetensors` file with torchvision's names.
        may_download: whether ImageNet weights that are not on this machine yet may be fetched.

    Raises:
        UsageError: the network has no such encoder, or a download was not allowed.
        ModelError: the file cannot be trusted or does not fit. FileError: the download cannot be stored.
    """
    resnet = with_encoder(network)
    path = imagenet_file(resnet.name, may_download) if source == IMAGENET else Path(source)
    own = weights_of(resnet.encoder)
    tensors = fitted(read_state_dict(path), own)
    check_fit(path, tensors, own)
    fill_weights(resnet.encoder, tensors)


def with_encoder(network: nn.Module) -> ResNetUNet:
    """The network, if it has an encoder that can be filled."""
    from napari_ganseg.networks.resnet_unet import ResNetUNet

    if not isinstance(network, ResNetUNet):
        raise UsageError(
            f"Only ResNet18 and ResNet34 take encoder weights, not {type(network).__name__}. "
            "Choose one of them, or start without."
        )
    return network


def imagenet_file(name: str, may_download: bool) -> Path:
    """The file of ImageNet weights on this machine, fetched first if need be."""
    published = PUBLISHED[name]
    path = user_weights() / published.name
    if path.is_file() and is_published(path.read_bytes(), published):
        return path
    if not may_download:
        raise UsageError(
            f"The ImageNet weights of {name} are not on this machine: {amount(published.size)} would be downloaded "
            f"from download.pytorch.org (torchvision's, BSD-3-Clause; ImageNet's pictures are for non-commercial "
            "research). Allow it with --allow-download, or give the path of a file instead."
        )
    store(path, download(published))
    return path


def user_weights() -> Path:
    """The folder for downloaded weights; it need not exist."""
    return Path(user_cache_path("napari-ganseg", appauthor=False)) / "weights"


def is_published(content: bytes, published: Published) -> bool:
    """Whether these are the bytes that were published."""
    return hashlib.sha256(content).hexdigest() == published.sha256


def download(published: Published) -> bytes:
    """The file's bytes, no more than it has, checked before anything touches the disk."""
    logger.info("Downloading %s (%s)", published.url, amount(published.size))
    try:
        with urlopen(published.url, timeout=TIMEOUT_S) as response:
            content: bytes = response.read(published.size + 1)
    except (OSError, HTTPException) as error:
        raise ModelError(
            f"Cannot download {published.url}: {error}. Try again, or give the path of a file instead."
        ) from error
    if not is_published(content, published):
        raise ModelError(
            f"Cannot use {published.url}: what came is not the file that torchvision published (checksum differs); "
            "nothing was kept. Try again, or give the path of a file instead."
        )
    return content


def store(path: Path, content: bytes) -> None:
    """Keep a download for the next time, in a folder of the user's own."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"Cannot make the folder {shown(path.parent)} for downloads: {error.strerror}. "
            "Give the path of a file instead."
        ) from error
    write_bytes(path, content)


def fitted(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The file's tensors without the classifier; counters of old files that lack them, and other channels, are made."""
    counters = {name: t for name, t in own.items() if name.endswith("num_batches_tracked")}
    made = counters | {name: t for name, t in tensors.items() if not name.startswith("fc.")}
    if "conv1.weight" in made:
        made["conv1.weight"] = spread(made["conv1.weight"], own["conv1.weight"].shape[1])
    return made


def spread(weight_oiyx: Tensor, channels: int) -> Tensor:
    """A first convolution for RGB made into one for any number of channels: the mean over RGB, times 3 / channels.

    The sum over the input channels stays, and with it the size of what comes out: the rule of timm's
    `adapt_input_conv` (Wightman; it repeats R, G, B instead of their mean, but a scan's channels are no colours).
    """
    if weight_oiyx.dim() != 4 or weight_oiyx.shape[1] != 3 or channels == 3:
        return weight_oiyx
    return weight_oiyx.mean(1, keepdim=True).expand(-1, channels, -1, -1) * (3 / channels)


def check_fit(path: Path, tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Compare every name, shape and type."""
    if odd := min(set(own) ^ set(tensors), default=""):
        what = "missing" if odd in own else "unknown"
        raise ModelError(f"Cannot use {shown(path)}: it does not fit the encoder ({shown(odd)} is {what}).")
    for name, tensor in tensors.items():
        wanted = own[name]
        if tensor.shape != wanted.shape or tensor.dtype != wanted.dtype:
            raise ModelError(
                f"Cannot use {shown(path)}: {name} is {tensor.dtype} {list(tensor.shape)}, "
                f"but the encoder has {wanted.dtype} {list(wanted.shape)}."
            )
