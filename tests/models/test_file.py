"""The model file: written whole, loaded only when every step agrees, refused by name."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import make_card, network_for, saved
from torch import nn

from napari_ganseg.errors import ModelError
from napari_ganseg.models import Card, load_model, read_card, save_model
from napari_ganseg.networks import Arch, weights_of

Edit = Callable[..., Path]
LETTERS = b'0123456789{}[],:"abzF -.\\'  # those that a JSON header may well hold


@pytest.mark.parametrize("name", ["UNet", "DynUNet", "SegResNet"])
@pytest.mark.parametrize("dims", [2, 3])
def test_what_was_saved_is_loaded(tmp_path: Path, name: str, dims: int) -> None:
    card = make_card(dims, 2, arch=Arch(name, (8, 16, 32), ((2,) * dims,) * 2))  # type: ignore[arg-type]
    network = network_for(card, seed=3)
    made = save_model(tmp_path / "tiny.ganseg.safetensors", card, network)
    model = load_model(tmp_path / "tiny.ganseg.safetensors")
    assert model.card == made.card
    assert model.sha256 == made.sha256
    assert all(torch.equal(t, weights_of(model.network)[key]) for key, t in weights_of(network).items())


def test_a_loaded_network_computes_what_the_saved_one_did(tmp_path: Path) -> None:
    card = make_card(2)
    network, x = network_for(card, seed=3), torch.rand(1, 1, 16, 16)
    path = tmp_path / "tiny.ganseg.safetensors"
    save_model(path, card, network)
    loaded = load_model(path).network
    assert not loaded.training
    assert torch.equal(loaded(x), network(x))


def test_loading_leaves_everyones_random_numbers_alone(path: Path) -> None:
    state = torch.get_rng_state()
    load_model(path)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_same_model_makes_the_same_file(tmp_path: Path, whole: bytes) -> None:
    assert saved(tmp_path, dims=2, classes=2).read_bytes() == whole


def test_the_card_of_a_saved_model_has_a_probe(path: Path) -> None:
    probe = read_card(path).probe
    assert probe is not None
    assert probe.shape == (32, 32)
    assert len(set(probe.probabilities)) > 8


def test_only_the_cards_own_name_is_written(tmp_path: Path) -> None:
    card = make_card(2)
    with pytest.raises(ModelError, match=r"the model is called tiny, so its file is tiny\.ganseg\.safetensors"):
        save_model(tmp_path / "other.ganseg.safetensors", card, network_for(card))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_not_written(tmp_path: Path, bad: float) -> None:
    card = make_card(2)
    network = network_for(card)
    next(network.parameters()).data.view(-1)[0] = bad
    with pytest.raises(ModelError, match="NaN or infinite numbers"):
        save_model(tmp_path / "tiny.ganseg.safetensors", card, network)
    assert not list(tmp_path.iterdir())


def test_a_card_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    card = make_card(2, citations=("x" * 4000,) * 17)
    with pytest.raises(ModelError, match="the limit is 65,536"):
        save_model(tmp_path / "tiny.ganseg.safetensors", card, network_for(card))
    assert not list(tmp_path.iterdir())


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("seed", range(20))
def test_one_flipped_bit_in_the_weights_is_found(path: Path, seed: int) -> None:
    content = path.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    flip(path, random.Random(seed).randrange(begin, len(content)))
    with pytest.raises(
        ModelError, match=r"Cannot load tiny\.ganseg\.safetensors: the file is damaged \(checksum differs"
    ):
        load_model(path)


def test_one_changed_letter_in_the_card_is_found(path: Path) -> None:
    content = path.read_bytes()
    assert content.count(b"for tests") == 1
    path.write_bytes(content.replace(b"for tests", b"for Tests"))
    with pytest.raises(ModelError, match="checksum differs"):
        load_model(path)


@pytest.mark.parametrize("size", [2**62, 2**64 - 1, 2**20 + 1, 10**7])
def test_a_header_longer_than_the_file_or_the_limit_is_refused(path: Path, size: int) -> None:
    content = path.read_bytes()
    path.write_bytes(size.to_bytes(8, "little") + content[8:])
    for read in (load_model, read_card):
        with pytest.raises(ModelError, match="its header is too long or cut"):
            read(path)


@pytest.mark.parametrize("extra", [b"\0", b"PK\x03\x04" * 100])
def test_trailing_bytes_are_refused(path: Path, extra: bytes) -> None:
    path.write_bytes(path.read_bytes() + extra)
    with pytest.raises(ModelError, match="the file is damaged"):
        load_model(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.9, 0.999])
def test_a_cut_file_is_refused(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match=r"Cannot load tiny\.ganseg\.safetensors: "):
        load_model(path)


@pytest.mark.parametrize(
    "header",
    [b"[]", b"null", b"{}", b'{"__metadata__": 5}', b'{"__metadata__": {"ganseg": 5, "sha256": null}}', b"[" * 10_000,
     b'{"__metadata__": {"ganseg": "{}", "sha256": "", "more": ""}}', b'{"a": 1, "a": 2}', b"\xff"],
)  # fmt: skip
def test_a_header_that_is_not_ours_is_refused(path: Path, header: bytes) -> None:
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    for read in (load_model, read_card):
        with pytest.raises(ModelError, match=r"it is no (napari-ganseg )?model"):
            read(path)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"arch": {"name": "ViT", "features": [4, 8], "strides": [[2, 2]]}}, "arch.name: Input should be 'UNet'"),
        ({"arch": {"name": "UNet", "features": [4, 10**12], "strides": [[2, 2]]}}, "less than or equal to 1024"),
        ({"arch": {"name": "UNet", "features": [1024] * 8, "strides": [[1, 1]] * 7, "residual_units": 4}},
         "its weights do not fit its network"),
        ({"surprise": True}, "surprise: Unexpected keyword"),
        ({"name": "other"}, r"its card says other; rename the file to other\.ganseg\.safetensors"),
        ({"probe": None}, "its card has no probe"),
        ({"channels": ["a", "b"]}, "do not fit its network"),
    ],
)  # fmt: skip
def test_a_card_that_does_not_fit_is_refused_by_name(edit: Edit, card: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(edit(card=card))


def test_more_parameters_than_the_limit_are_refused_before_allocation(edit: Edit) -> None:
    arch = {"name": "UNet", "features": [1024] * 8, "strides": [[1, 1, 1]] * 7, "residual_units": 4}
    view = {"region": "", "least_mm": [1] * 3, "most_mm": [9] * 3}
    made = edit(card={"arch": arch, "dims": 3, "spacing": [1] * 3, "patch": [8] * 3, "field_of_view": view})
    with pytest.raises(ModelError, match=r"cannot be built \(the network has 1,\d+,\d+,\d+ parameters"):
        load_model(made)


@pytest.mark.parametrize(
    ("replacement", "message"),
    [('"name": "tiny", "name": "tiny"', "the key 'name' stands twice"), ('"name": NaN', "NaN is not a number"),
     ('"name": ' + "[" * 9 + "]" * 9, "nests deeper than 8 levels")],
)  # fmt: skip
def test_a_card_that_is_no_strict_json_is_refused(edit: Edit, replacement: str, message: str) -> None:
    made = edit(text=lambda text: text.replace('"name": "tiny"', replacement, 1))
    for read in (load_model, read_card):
        with pytest.raises(ModelError, match=message):
            read(made)


def first(tensors: dict[str, torch.Tensor]) -> str:
    return min(tensors)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t | {first(t): torch.full_like(t[first(t)], math.nan)}, "NaN or infinite numbers"),
        (lambda t: t | {first(t): torch.full_like(t[first(t)], math.inf)}, "NaN or infinite numbers"),
        (lambda t: t | {first(t): t[first(t)].long()}, "is torch.int64"),
        (lambda t: t | {first(t): t[first(t)].half()}, "is torch.float16"),
        (lambda t: t | {first(t): t[first(t)].bool()}, "is torch.bool"),
        (lambda t: t | {first(t): t[first(t)].flatten()[:-1].clone()}, r"is torch.float32 \["),
        (lambda t: t | {"extra.weight": torch.zeros(2)}, "extra.weight is unknown"),
        (lambda t: {key: value for key, value in t.items() if key != first(t)}, "is missing"),
        (lambda t: {}, "is missing"),
        (lambda t: {key: value * 1.5 for key, value in t.items()}, "does not compute what it did when it was saved"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(edit: Edit, change: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(edit(tensors=change))


def test_weights_whose_result_is_nan_are_refused(edit: Edit) -> None:
    made = edit(tensors=lambda t: {key: torch.full_like(value, 3e38) for key, value in t.items()})
    with pytest.raises(ModelError, match="does not compute what it did"):
        load_model(made)


@pytest.mark.parametrize("shape", [[32], [32, 32, 32], [33, 33], [256, 256]])
def test_a_probe_of_another_size_is_refused_before_it_is_run(edit: Edit, shape: list[int]) -> None:
    with pytest.raises(ModelError, match="one of another size"):
        load_model(edit(card={"probe": {"seed": 1, "shape": shape, "probabilities": [0.5] * 16}}))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for read in (load_model, read_card):
        with pytest.raises(ModelError, match=r"Cannot load none\.ganseg\.safetensors: there is no such file"):
            read(tmp_path / "none.ganseg.safetensors")


def test_what_is_no_regular_file_is_refused_without_reading(tmp_path: Path) -> None:
    folder = tmp_path / "tiny.ganseg.safetensors"
    folder.mkdir()
    with pytest.raises(ModelError, match="not a regular file"):
        load_model(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tiny.ganseg.safetensors")
    for read in (load_model, read_card):
        with pytest.raises(ModelError, match="not a regular file"):
            read(tmp_path / "tiny.ganseg.safetensors")


def test_a_file_larger_than_any_model_is_refused_without_reading(tmp_path: Path) -> None:
    path = tmp_path / "tiny.ganseg.safetensors"
    with open(path, "wb") as file:
        file.truncate(4 * 2**30 + 1)
    with pytest.raises(ModelError, match="4,294,967,297 bytes is no size of a model file"):
        load_model(path)


def test_a_shipped_file_with_another_checksum_is_refused(path: Path) -> None:
    with pytest.raises(ModelError, match=r"not the one that was shipped \(checksum differs\)"):
        load_model(path, file_sha256="0" * 64)


@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_fuzzed_files_raise_nothing_but_model_errors(path: Path, whole: bytes, seed: int) -> None:
    """Bytes changed, inserted or cut, mostly in the header, where a file can do most harm."""
    rng = random.Random(seed)
    end = 8 + int.from_bytes(whole[:8], "little")
    for _ in range(100):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 5)):
            position = rng.randrange(end if rng.random() < 0.9 else len(content))
            content[position : position + rng.choice((0, 1, 1, 8))] = bytes(
                rng.choices(LETTERS, k=rng.choice((0, 1, 1, 8)))
            )
        path.write_bytes(content)
        if content != whole:
            with pytest.raises(ModelError, match=r"^Cannot load tiny\.ganseg\.safetensors: "):
                load_model(path)


def words(value: object) -> list[object]:
    return [None, True, -1, 0, 10**30, 1.5, "", "x" * 100, [], {}, [value], {"value": value}, [[[]]]]


@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_mutated_cards_raise_nothing_but_model_errors(edit: Edit, whole: bytes, seed: int) -> None:
    """Any one value replaced by anything, under a checksum that agrees."""
    rng, path = random.Random(seed), None
    header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
    original = json.loads(header["__metadata__"]["ganseg"])
    for _ in range(100):
        card = json.loads(json.dumps(original))
        place: Any = card
        key: Any = rng.choice(list(card))
        while isinstance(place[key], dict | list) and place[key] and rng.random() < 0.8:
            place = place[key]
            key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        place[key] = rng.choice(words(place[key]))
        path = edit(card=card)
        try:
            assert isinstance(load_model(path).card, Card)
        except ModelError as error:
            assert str(error).startswith("Cannot load tiny")  # noqa: PT017


def test_a_card_is_read_without_torch(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from napari_ganseg.models import list_models, read_card;"
        f"print(read_card(Path({str(path)!r})).name, len(list_models({str(path.parent)!r})) > 0);"
        "print({'torch', 'monai', 'napari', 'safetensors.torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["tiny True", "set()"]


def test_saving_moves_a_network_to_the_processor_and_out_of_training(tmp_path: Path) -> None:
    card = make_card(2)
    network: nn.Module = network_for(card).train()
    assert not save_model(tmp_path / "tiny.ganseg.safetensors", card, network).network.training
