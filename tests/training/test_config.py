"""The configuration: strict, and the same after the way to a file and back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import Z_SCORE, make_card
from builders import tiny_config as tiny

from napari_ganseg.errors import UsageError
from napari_ganseg.models.card import CardClass
from napari_ganseg.networks import Arch
from napari_ganseg.training import TrainConfig, config_from_json, config_to_json
from napari_ganseg.training.config import Adversary, Augmentation, Split, fold_of

RECIPES = sorted((Path(__file__).parents[2] / "benchmarks" / "recipes").glob("*.json"))


@pytest.mark.parametrize("dims", [2, 3])
def test_a_configuration_survives_the_way_to_json_and_back(dims: int) -> None:
    config = tiny(dims, learning_rate=0.012, split=Split((0,), (1, 2)))
    assert config_from_json(config_to_json(config)) == config


def test_every_default_is_written_out() -> None:
    content = json.loads(config_to_json(tiny()))
    assert content["ema"] == 0.99
    assert content["card"]["activation"] == "softmax"


def test_what_a_configuration_leaves_out_has_its_default() -> None:
    content = json.loads(config_to_json(tiny()))
    made = config_from_json(json.dumps({"card": content["card"]}).encode())
    assert made == TrainConfig(card=tiny().card)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_in_the_repository_are_valid(recipe: Path) -> None:
    assert config_from_json(recipe.read_bytes()).card.name == recipe.stem


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lambda": 0.1}, "lambda: Unexpected keyword"),
        ({"augmentation": {"rotat": 5}}, "augmentation.rotat: Unexpected keyword"),
        ({"steps": 0}, "steps: .*greater than or equal to 1"),
        ({"steps": 2.5}, "steps: .*valid integer"),
        ({"steps": "6"}, "steps: .*valid integer"),
        ({"learning_rate": -1}, "learning_rate: .*greater than 0"),
        ({"ema": 1.0}, "ema: .*less than 1"),
        ({"precision": "float16"}, "precision: Input should be 'auto' or 'float32'"),
        ({"split": {"held_out": [5]}}, "split.held_out.0: .*less than or equal to 4"),
        ({"augmentation": {"flip_axes": [3]}}, "augmentation.flip_axes.0: .*less than or equal to 2"),
        ({"augmentation": {"noise": 1.5}}, "augmentation.noise: .*less than or equal to 1"),
        ({"card": {}}, "card.name: .*required"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    content = json.loads(config_to_json(tiny())) | change
    with pytest.raises(UsageError, match=f"The configuration is not valid: {message}"):
        config_from_json(json.dumps(content).encode())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch": (18, 16, 16)}, r"the patch \(18, 16, 16\) must be a multiple of the network's strides \(4, 4, 4\)"),
        ({"patch": (4, 4, 4)}, "and larger"),
        ({"classes": tuple(CardClass(i, f"c{i}", "#000000") for i in range(1, 256))}, "at most 254 classes"),
    ],
)
def test_a_card_that_cannot_be_trained_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainConfig(card=make_card(3, **change) if "classes" not in change else replace(make_card(), **change))


def test_an_axis_that_is_not_there_cannot_be_mirrored() -> None:
    with pytest.raises(ValueError, match="a 2D image has the axes 0 to 1; flip_axes names another"):
        TrainConfig(card=make_card(2), augmentation=Augmentation(flip_axes=(2,)))


def test_strides_and_patch_may_differ_along_the_axes() -> None:
    arch = Arch("DynUNet", (4, 8, 8), ((1, 2, 2), (2, 2, 2)))
    assert TrainConfig(card=make_card(3, arch=arch, patch=(6, 16, 8))).card.patch == (6, 16, 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [(b"{", "not valid JSON"), (b'{"a": 1, "a": 2}', "the key 'a' stands twice"), (b'{"ema": NaN}', "NaN is not"),
     (b"[" * 100_000, "not valid JSON"), (b"[]", "not valid"), (b"\xff", "not valid JSON")],
)  # fmt: skip
def test_what_is_no_strict_json_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        config_from_json(text)


@pytest.mark.parametrize(
    ("name", "fold"), [("hippocampus_001.nii.gz", 2), ("a.nii", None), ("SC-N-02", None), ("ünïcode.nii", None)]
)
def test_the_fold_is_the_sha256_of_the_name_modulo_five(name: str, fold: int | None) -> None:
    expected = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 5
    assert fold_of(name) == expected
    assert fold in (None, expected)


def test_sides_are_classes_of_the_model() -> None:
    with pytest.raises(ValueError, match=r"sides names the values \[9\], which are no classes of the model"):
        TrainConfig(card=make_card(), augmentation=Augmentation(sides=((1, 9),)))


def test_a_couch_needs_a_ct_window() -> None:
    with pytest.raises(ValueError, match="only into 3D images with a CT window"):
        TrainConfig(card=make_card(preprocessing=Z_SCORE), augmentation=Augmentation(couch=0.5))


def test_planes_are_those_of_a_volume() -> None:
    assert tiny(3, adversary=Adversary(planes=True)).adversary.planes
    with pytest.raises(ValueError, match="only a 3D model's adversary can judge planes"):
        tiny(2, adversary=Adversary(planes=True))
