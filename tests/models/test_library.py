"""The library: where models are found, and what is said when one is not."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from builders import saved

from napari_ganseg.errors import ModelError
from napari_ganseg.models import find_card, find_model, library, list_models, load_model, model_folders, search_models


@pytest.fixture(autouse=True)
def empty_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No models but those a test puts there."""
    monkeypatch.setattr(library, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(library, "PINS", tmp_path / "shipped" / "sha256.json")
    monkeypatch.setattr(library, "user_models", lambda: tmp_path / "user")
    monkeypatch.delenv("GANSEG_MODELS", raising=False)
    for name in ("shipped", "user", "first", "second"):
        (tmp_path / name).mkdir()


def pin(folder: Path, sha256: str | None = None) -> None:
    """Write the list that comes with the wheel."""
    pins = {p.name: sha256 or hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.safetensors")}
    (folder / "sha256.json").write_text(json.dumps(pins))


def test_an_empty_library_lists_nothing() -> None:
    assert list_models() == []


def test_folders_that_are_not_there_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANSEG_MODELS", str(tmp_path / "none"))
    assert list_models(tmp_path / "neither") == []


def test_models_come_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANSEG_MODELS", os.pathsep.join([str(tmp_path / "first"), str(tmp_path / "second")]))
    (tmp_path / "extra").mkdir()
    for place in ("shipped", "first", "second", "user", "extra"):
        saved(tmp_path / place, dims=2, name=f"from-{place}")
    assert [card.name for card in list_models(tmp_path / "extra")] == [
        "from-shipped", "from-first", "from-second", "from-user", "from-extra"
    ]  # fmt: skip


def test_the_first_find_of_a_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANSEG_MODELS", str(tmp_path / "first"))
    saved(tmp_path / "first", dims=2, summary="mine")
    saved(tmp_path / "user", dims=2, summary="another")
    assert [card.summary for card in list_models()] == ["mine"]
    assert find_model("tiny").card.summary == "mine"


def test_no_other_model_can_stand_in_for_a_shipped_one(tmp_path: Path) -> None:
    saved(tmp_path / "shipped", dims=2, summary="shipped")
    pin(tmp_path / "shipped")
    saved(tmp_path / "user", dims=2, summary="impostor")
    assert find_model("tiny").card.summary == "shipped"


def test_a_damaged_model_is_listed_with_its_fault(tmp_path: Path) -> None:
    (tmp_path / "user" / "bad.ganseg.safetensors").write_bytes(b"no model at all")
    saved(tmp_path / "user", dims=2)
    bad, good = search_models()
    assert bad.card is None
    assert bad.fault == "Cannot load bad.ganseg.safetensors: it is no model file (its header is too long or cut)."
    assert good.card is not None
    assert good.fault == ""
    assert [card.name for card in list_models()] == ["tiny"]


def test_asking_for_a_damaged_model_gives_its_fault(tmp_path: Path) -> None:
    (tmp_path / "user" / "bad.ganseg.safetensors").write_bytes(b"no model at all")
    with pytest.raises(ModelError, match=r"Cannot load bad\.ganseg\.safetensors: it is no model file"):
        find_model("bad")


def test_an_unknown_name_lists_those_there_are(tmp_path: Path) -> None:
    saved(tmp_path / "user", dims=2)
    saved(tmp_path / "user", dims=2, name="other")
    for find in (find_model, find_card):
        with pytest.raises(ModelError, match=r'There is no model "liver"\. Models found: other, tiny\. Give'):
            find("liver")


def test_an_empty_library_says_none() -> None:
    with pytest.raises(ModelError, match="Models found: none"):
        find_model("liver")


def test_a_model_is_found_by_its_path(tmp_path: Path) -> None:
    path = saved(tmp_path, dims=2)
    assert find_model(path).card.name == "tiny"
    assert find_card(str(path)).name == "tiny"


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Cannot load none\.ganseg\.safetensors: there is no such file"):
        find_model(tmp_path / "none.ganseg.safetensors")


def test_a_shipped_model_that_was_exchanged_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "shipped", dims=2)
    pin(tmp_path / "shipped", "0" * 64)
    with pytest.raises(ModelError, match=r"not the one that was shipped \(checksum differs\)"):
        find_model("tiny")


@pytest.mark.parametrize("pins", [None, "{}", "broken"])
def test_a_file_that_was_put_among_the_shipped_ones_is_refused(tmp_path: Path, pins: str | None) -> None:
    saved(tmp_path / "shipped", dims=2)
    if pins is not None:
        (tmp_path / "shipped" / "sha256.json").write_text(pins)
    with pytest.raises(ModelError, match="not one of the models that came with the plugin"):
        find_model("tiny")


def test_a_model_is_loaded_once_as_long_as_its_file_stays_the_same(tmp_path: Path) -> None:
    path = saved(tmp_path, dims=2)
    before = find_model(path)
    assert find_model(path) is before
    saved(tmp_path, dims=2, seed=1, summary="trained again")
    assert find_model(path).card.summary == "trained again"


def test_the_models_that_come_with_the_plugin_are_the_ones_in_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = Path(library.__file__).parent / "shipped"
    pins = json.loads((shipped / "sha256.json").read_text())
    assert sorted(pins) == sorted(p.name for p in shipped.glob("*.safetensors"))
    for name, sha256 in pins.items():
        card = load_model(shipped / name, file_sha256=sha256).card
        assert card.licence
        assert card.provenance.metrics


def test_the_users_own_folder_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANSEG_MODELS", str(tmp_path / "first"))
    assert model_folders() == [tmp_path / "shipped", tmp_path / "first", tmp_path / "user"]
