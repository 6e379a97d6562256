"""The door for foreign weights: numbers pass, everything else is refused and nothing runs."""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_ganseg.errors import ModelError
from napari_ganseg.networks import read_state_dict

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(7)}


class Payload:
    """Writes a file when it is unpickled: what an attacker would do, but harmless."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def saved_as(path: Path, content: object, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def rezipped(path: Path, made: Path, compression: int) -> Path:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w", compression) as new:
        for member in old.namelist():
            new.writestr(member, old.read(member))
    return made


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_weights_come_in_unchanged(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    save_file(WEIGHTS, path) if suffix == ".safetensors" else torch.save(OrderedDict(WEIGHTS), path)
    read = read_state_dict(path)
    assert read.keys() == WEIGHTS.keys()
    assert all(torch.equal(read[name], tensor) and read[name].dtype == tensor.dtype for name, tensor in WEIGHTS.items())


def test_parameters_come_in_as_tensors(tmp_path: Path) -> None:
    read = read_state_dict(saved_as(tmp_path / "a.pt", {"w": nn.Parameter(torch.ones(2))}))
    assert type(read["w"]) is Tensor
    assert not read["w"].requires_grad


def test_a_payload_never_runs(tmp_path: Path) -> None:
    path = saved_as(tmp_path / "a.pt", {"w": torch.ones(1), "evil": Payload(tmp_path / "marker")})
    with pytest.raises(ModelError, match=r"Cannot load a\.pt: .*holds other things than weights"):
        read_state_dict(path)
    assert not (tmp_path / "marker").exists()


def test_a_payload_in_an_old_file_never_runs(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(pickle.dumps(Payload(tmp_path / "marker")))
    with pytest.raises(ModelError, match="not in torch's zip format"):
        read_state_dict(path)
    assert not (tmp_path / "marker").exists()


def test_there_is_no_second_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: calls.append(k) or load(*a, **k))
    with pytest.raises(ModelError):
        read_state_dict(saved_as(tmp_path / "a.pt", nn.Linear(1, 1)))
    assert calls == [{"map_location": "cpu", "weights_only": True}]


def test_nobody_is_told_to_switch_the_check_off(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        read_state_dict(saved_as(tmp_path / "a.pt", nn.Linear(1, 1)))
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (nn.Linear(2, 2), "other things than weights"),
        ({"state_dict": WEIGHTS, "epoch": 3}, "state_dict is no tensor"),
        ({1: torch.ones(1)}, "1 is no tensor"),
        ([torch.ones(1)], "a model's state_dict is expected, not list"),
        ({"bomb": torch.zeros(1).expand(2**40)}, "bomb is no plain tensor"),
        ({"view": torch.zeros(9)[:3]}, "view is no plain tensor"),
        ({"turned": torch.zeros(2, 3).T}, "turned is no plain tensor"),
        pytest.param(
            {"sparse": torch.eye(2).to_sparse()},
            "sparse is no plain tensor",
            marks=pytest.mark.filterwarnings("ignore:Validating sparse"),
        ),
        ({"ghost": torch.empty(2**40, device="meta")}, "ghost is no plain tensor"),
        ({"w": torch.tensor([1.0, float("nan")])}, r"NaN or infinite numbers \(w\)"),
        ({"w": torch.tensor([1.0, float("inf")])}, r"NaN or infinite numbers \(w\)"),
    ],
)
def test_anything_but_plain_finite_weights_is_refused(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(ModelError, match=rf"Cannot load a\.pt: .*{message}"):
        read_state_dict(saved_as(tmp_path / "a.pt", content))


def test_an_old_file_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = saved_as(tmp_path / "a.pth", WEIGHTS, _use_new_zipfile_serialization=False)
    with pytest.raises(ModelError, match=r"torch before 1\.6 wrote plain pickles\. Save it again"):
        read_state_dict(path)


def test_a_compressed_file_is_refused(tmp_path: Path) -> None:
    path = saved_as(tmp_path / "b.pt", {"w": torch.zeros(10_000)})
    with pytest.raises(ModelError, match="it is compressed"):
        read_state_dict(rezipped(path, tmp_path / "a.pt", zipfile.ZIP_DEFLATED))


def test_parts_larger_than_the_file_are_refused(tmp_path: Path) -> None:
    path = saved_as(tmp_path / "a.pt", WEIGHTS)
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")  # the directory's first entry, its size at 24
    content[entry + 24 : entry + 28] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ModelError, match="claim to be larger than the file"):
        read_state_dict(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_part_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = saved_as(tmp_path / "a.pt", WEIGHTS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(archive.namelist()[0], b"another")
    with pytest.raises(ModelError, match="two of its parts"):
        read_state_dict(path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("keep", [0, 3, 100, 0.5, 0.99])
def test_a_cut_file_is_refused(tmp_path: Path, suffix: str, keep: float) -> None:
    path = tmp_path / f"a{suffix}"
    save_file(WEIGHTS, path) if suffix == ".safetensors" else torch.save(WEIGHTS, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(ModelError, match=r"Cannot load a\."):
        read_state_dict(path)


def test_a_flipped_byte_is_weights_or_an_error_of_ours(tmp_path: Path) -> None:
    path = saved_as(tmp_path / "a.pt", WEIGHTS)
    whole = path.read_bytes()
    for place in range(0, len(whole), 23):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            assert all(type(tensor) is Tensor for tensor in read_state_dict(path).values())
        except ModelError as error:
            assert str(error).startswith("Cannot load a.pt: ")  # noqa: PT017


def test_a_file_that_is_not_there_or_is_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Cannot load no\.pt: there is no such file"):
        read_state_dict(tmp_path / "no.pt")
    with pytest.raises(ModelError, match="it is not a regular file"):
        read_state_dict(tmp_path)
