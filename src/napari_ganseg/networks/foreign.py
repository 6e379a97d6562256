"""Weights from elsewhere, in a `.pt`, `.pth` or `.safetensors` file: read as numbers, never as code."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ganseg.errors import ModelError
from napari_ganseg.io.names import shown

if TYPE_CHECKING:
    from torch import Tensor

MAX_FILE = 4 * 2**30
READ_ERRORS = (
    OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError, MemoryError, EOFError,
    zipfile.BadZipFile,
)  # fmt: skip


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read weights by name from a file that may have been made to do harm.

    A `.pt` or `.pth` must be in torch's zip format with nothing compressed, and hold one dictionary of plain, finite
    tensors that own exactly their numbers. It is read with `weights_only=True`; there is no second attempt without,
    since whoever made the file would choose when that happens.

    Raises:
        ModelError: beginning with `Cannot load NAME:`, naming the fault.
    """
    try:
        content = content_of(path)
        return plain_tensors(safetensors_of(content) if path.suffix == ".safetensors" else checkpoint_of(content))
    except ModelError as error:
        raise ModelError(f"Cannot load {shown(path)}: {error}") from error
    except FileNotFoundError as error:
        raise ModelError(f"Cannot load {shown(path)}: there is no such file.") from error
    except READ_ERRORS as error:
        raise ModelError(f"Cannot load {shown(path)}: it cannot be read ({error}).") from error


def content_of(path: Path) -> bytes:
    """The bytes of a regular file of a sensible size; they are read once, so that what is checked is what is loaded."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ModelError("it is not a regular file.")
    if not 0 < status.st_size <= MAX_FILE:
        raise ModelError(f"{status.st_size:,} bytes is no size of a file of weights.")
    return path.read_bytes()


def safetensors_of(content: bytes) -> object:
    """What a safetensors file holds."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(content)
    except SafetensorError as error:
        raise ModelError(f"the file is damaged or no safetensors file ({error}).") from error


def checkpoint_of(content: bytes) -> object:
    """What a torch checkpoint holds, if that is only tensors and containers."""
    import torch

    check_archive(content)
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a hostile file chooses which; torch's own text would recommend weights_only=False
        raise ModelError(
            "it is damaged or holds other things than weights, which could run code and are not read. Save the weights "
            "alone, torch.save(model.state_dict(), ...), or as .safetensors."
        ) from error


def check_archive(content: bytes) -> None:
    """Torch's zip format with every member stored as it is, so that nothing unpacks to more than the file's size."""
    if not content.startswith(b"PK\x03\x04"):
        raise ModelError(
            "it is not in torch's zip format; torch before 1.6 wrote plain pickles. Save it again with a newer torch, "
            "or as .safetensors."
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ModelError("it is compressed, which torch never does. Save it again with torch.save.")
    if sum(member.file_size for member in members) > len(content):
        raise ModelError(f"its parts claim to be larger than the file ({len(content):,} bytes).")
    if len({member.filename for member in members}) < len(members):
        raise ModelError("two of its parts have the same name.")


def plain_tensors(weights: object) -> dict[str, Tensor]:
    """The tensors by name, after looking at each."""
    from torch import Tensor

    if not isinstance(weights, dict):
        raise ModelError(
            f"it holds no weights by name; a model's state_dict is expected, not {type(weights).__name__}."
        )
    for name, tensor in weights.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ModelError(f"{shown(str(name))} is no tensor; a model's state_dict, and nothing else, is expected.")
        if not is_plain(tensor):
            raise ModelError(f"{shown(name)} is no plain tensor that owns exactly its numbers.")
        if not bool(tensor.isfinite().all()):
            raise ModelError(f"its weights hold NaN or infinite numbers ({shown(name)}).")
    return {name: tensor.detach() for name, tensor in weights.items()}


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor is dense numbers in memory of their own: a stride of 0 makes a huge tensor of a tiny file."""
    import torch

    if type(tensor) not in (torch.Tensor, torch.nn.Parameter) or tensor.is_nested or tensor.is_quantized:
        return False
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        return False
    return tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.numel() * tensor.itemsize
