"""`NAME.ganseg.safetensors`: generator weights and card in one file that proves itself whole before it is used."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ganseg.errors import ModelError
from napari_ganseg.io.atomic import write_bytes
from napari_ganseg.io.names import shown
from napari_ganseg.models.card import Card, card_from_json, card_to_json, strict_json
from napari_ganseg.models.probe import check_probe, probe
from napari_ganseg.networks import build_generator, fill_weights, outline, weights_of

if TYPE_CHECKING:
    from torch import Tensor, nn

SUFFIX = ".ganseg.safetensors"
MAX_FILE = 4 * 2**30
MAX_HEADER = 2**20
READ_ERRORS = (
    OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError, MemoryError,
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A loaded model: its card, its network in evaluation mode, and the SHA-256 of card and weights."""

    card: Card
    network: nn.Module
    sha256: str

    def __repr__(self) -> str:
        card = self.card
        return f"Model({card.name}, {card.dims}D {card.modality}: {', '.join(c.name for c in card.classes)})"


def name_of(path: str | Path) -> str:
    """The model's name, which its file bears; a name may have dots in it."""
    return Path(path).name.removesuffix(SUFFIX)


def save_model(path: Path, card: Card, network: nn.Module) -> Model:
    """Write card and weights as one file, with a probe of what the network computes.

    Raises:
        ModelError: the path's name is not the card's, its card is too long, or the weights are not finite.
    """
    if path.name != card.name + SUFFIX:
        raise ModelError(
            f"Cannot save {shown(path)}: the model is called {card.name}, so its file is {card.name}{SUFFIX}."
        )
    network = network.cpu().eval()
    tensors = {name: t.detach().contiguous() for name, t in weights_of(network).items()}
    check_finite(tensors)
    card = replace(card, probe=probe(card, network))
    text = card_to_json(card)
    card_from_json(text)
    sha256 = digest(text, tensors)
    write_bytes(path, packed(tensors, {"ganseg": text.decode(), "sha256": sha256}))
    return Model(card, network, sha256)


def packed(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file, its header sorted: safetensors alone orders it anew each time."""
    from safetensors.torch import save

    content = save(dict(tensors), dict(metadata))
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return b"".join([len(header).to_bytes(8, "little"), header, memoryview(content)[end:]])


def load_model(path: Path, *, file_sha256: str | None = None) -> Model:
    """Load a model, stopping at the first thing that is not as it should be.

    Args:
        path: the file.
        file_sha256: of the whole file, where a list that came with the program says it.

    Raises:
        ModelError: beginning with `Cannot load NAME:`, naming the fault.
    """
    with loading(path):
        return checked(path, file_sha256)


@contextmanager
def loading(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong inside into one ModelError that begins with `Cannot load NAME:`."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"Cannot load {shown(path)}: {error}") from error
    except FileNotFoundError as error:
        raise ModelError(f"Cannot load {shown(path)}: there is no such file.") from error
    except READ_ERRORS as error:
        raise ModelError(f"Cannot load {shown(path)}: it cannot be read ({error}).") from error


def checked(path: Path, file_sha256: str | None) -> Model:
    """The load order: size, whole-file hash, header, card, tensors' hash, keys, shapes, finiteness, probe."""
    header, content = split(path)
    if file_sha256 is not None and hashlib.sha256(content).hexdigest() != file_sha256:
        raise ModelError("the file is not the one that was shipped (checksum differs). Install the plugin again.")
    metadata = metadata_of(header)
    card = card_from_json(metadata["ganseg"].encode())
    check_name(path, card)
    tensors = tensors_of(content)
    if digest(metadata["ganseg"].encode(), tensors) != metadata["sha256"]:
        raise ModelError("the file is damaged (checksum differs). Copy or train it again.")
    network = fill(card, tensors)
    check_probe(card, network)
    return Model(card, network, metadata["sha256"])


def read_card(path: Path) -> Card:
    """Read only the card, without torch and without the weights: for lists and menus.

    Raises:
        ModelError: the file is no model of ours, or its card is not valid.
    """
    with loading(path):
        check_file(path)
        with open(path, "rb") as file:
            header = header_of(file.read(8), file.read(MAX_HEADER))
        card = card_from_json(metadata_of(header)["ganseg"].encode())
        check_name(path, card)
        return card


def check_file(path: Path) -> None:
    """Regular, and of a size a model can have."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ModelError("it is not a regular file.")
    if not 8 < status.st_size <= MAX_FILE:
        raise ModelError(f"{status.st_size:,} bytes is no size of a model file.")


def check_name(path: Path, card: Card) -> None:
    """A card's name is its file's: otherwise two models could answer to one name."""
    if path.name != card.name + SUFFIX:
        raise ModelError(f"its card says {card.name}; rename the file to {card.name}{SUFFIX}.")


def split(path: Path) -> tuple[dict[str, Any], bytes]:
    """The safetensors header as a dictionary, and the whole file's bytes."""
    check_file(path)
    with open(path, "rb") as file:
        content = file.read()
    return header_of(content[:8], content[8 : 8 + MAX_HEADER]), content


def header_of(length: bytes, start: bytes) -> dict[str, Any]:
    """Parse the safetensors header, whose first eight bytes give its length."""
    size = int.from_bytes(length, "little")
    if size > len(start):
        raise ModelError("it is no model file (its header is too long or cut).")
    try:
        header = strict_json(start[:size])
    except (ValueError, RecursionError) as error:
        raise ModelError(f"it is no model file (its header is no JSON: {error}).") from error
    if not isinstance(header, dict):
        raise ModelError("it is no model file (its header is no JSON object).")
    return header


def metadata_of(header: Mapping[str, Any]) -> dict[str, str]:
    """The two strings of ours in the header."""
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or set(metadata) != {"ganseg", "sha256"} or not all_text(metadata.values()):
        raise ModelError("it is no napari-ganseg model (its card is missing).")
    return metadata


def all_text(values: Iterable[object]) -> bool:
    """Whether all values are strings."""
    return all(isinstance(value, str) for value in values)


def tensors_of(content: bytes) -> dict[str, Tensor]:
    """All tensors; safetensors checks offsets, overlaps and trailing bytes."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return dict(load(content))
    except SafetensorError as error:
        raise ModelError(f"the file is damaged ({error}).") from error


def digest(card: bytes, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the card's bytes, then name, dtype, shape and bytes of each tensor in name order."""
    sha = hashlib.sha256(card)
    for name in sorted(tensors):
        tensor = tensors[name]
        sha.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        sha.update(np.ascontiguousarray(tensor.numpy()).reshape(-1).view(np.uint8))
    return sha.hexdigest()


def fill(card: Card, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Build the card's network and give it the weights, after comparing every key, shape and type."""
    sizes = {"dims": card.dims, "in_channels": len(card.channels), "out_channels": card.out_channels}
    try:
        wanted = weights_of(outline(card.arch, **sizes))
    except (ValueError, TypeError, RuntimeError, AssertionError) as error:
        raise ModelError(f"its network cannot be built ({error}).") from error
    if odd := min(set(wanted) ^ set(tensors), default=""):
        what = "missing" if odd in wanted else "unknown"
        raise ModelError(f"its weights do not fit its network ({odd} is {what}).")
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape or tensor.dtype != wanted[name].dtype:
            raise ModelError(f"its weights do not fit its network ({name} is {tensor.dtype} {list(tensor.shape)}).")
    check_finite(tensors)
    network = build_generator(card.arch, **sizes)
    fill_weights(network, tensors)
    return network.eval()


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Refuse NaN and infinite weights: they would make silent empty masks."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ModelError(f"its weights hold NaN or infinite numbers ({name}).")
