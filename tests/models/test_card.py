"""The card: strict both ways."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from builders import make_card

from napari_ganseg.errors import ModelError
from napari_ganseg.intensity import CTWindow, ZScore
from napari_ganseg.models import is_model_name
from napari_ganseg.models.card import Adversary, Card, FieldOfView, Preprocessing, card_from_json, card_to_json

CARDS = [make_card(2), make_card(3, 5), make_card(3, channels=("T1", "T2"), about="Grüße, 脑")]


def changed(**changes: Any) -> bytes:
    return json.dumps(json.loads(card_to_json(make_card())) | changes).encode()


@pytest.mark.parametrize("card", CARDS)
def test_a_card_survives_the_way_to_json_and_back(card: Card) -> None:
    assert card_from_json(card_to_json(card)) == card


@pytest.mark.parametrize("card", CARDS)
def test_the_bytes_are_canonical(card: Card) -> None:
    text = card_to_json(card)
    assert text.isascii()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")).encode()


def test_a_card_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        make_card().name = "other"  # type: ignore[misc]


def test_background_is_a_channel_and_no_class() -> None:
    card = make_card(3, 5)
    assert card.out_channels == 6
    assert [c.value for c in card.label_classes] == [1, 2, 3, 4, 5]


def test_preprocessing_is_the_intensity_it_names() -> None:
    assert Preprocessing("z_score", {"low_percent": 1.0}).intensity() == ZScore(low_percent=1.0)
    numbers = {"low": 0.0, "high": 1.0, "mean": 0.5, "std": 0.1}
    assert Preprocessing("ct_window", numbers).intensity() == CTWindow(0.0, 1.0, 0.5, 0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surprise": 1}, "surprise: Unexpected keyword"),
        ({"format": 2}, "format: Input should be 1"),
        ({"dims": 4}, "dims: Input should be 2 or 3"),
        ({"dims": "3"}, "dims: Input should be 2 or 3"),
        ({"name": "../evil"}, "name: String should match pattern"),
        ({"name": "-rf"}, "name: String should match pattern"),
        ({"modality": "PET"}, "modality: Input should be 'CT', 'MR'"),
        ({"classes": []}, "classes: Tuple should have at least 1"),
        (
            {"classes": [{"value": 0, "name": "a", "colour": "#000000"}]},
            "classes.0.value: .*greater than or equal to 1",
        ),
        ({"classes": [{"value": 1, "name": "a", "colour": "red"}]}, "classes.0.colour: String should match"),
        ({"classes": [{"value": 1, "name": "a", "colour": "#000000"}] * 2}, "two classes have the same value"),
        ({"channels": ["a"] * 17}, "channels: Tuple should have at most 16"),
        ({"spacing": [1, 1]}, "gives 3 numbers for spacing"),
        ({"spacing": [1, 1, 0]}, r"spacing.2: .*greater than 0"),
        ({"patch": [16, 16, 2000]}, "patch.2: .*less than or equal to 1024"),
        ({"arch": {"name": "Evil", "features": [8, 8], "strides": [[2, 2, 2]]}}, "arch.name: Input should be 'UNet'"),
        ({"arch": {"name": "UNet", "features": [8, 10**12], "strides": [[2, 2, 2]]}}, "arch.features.1: .*1024"),
        ({"activation": "exec"}, "activation: Input should be 'softmax'"),
        ({"preprocessing": {"kind": "z_score", "args": {"code": 1}}}, "z_score does not take the numbers code"),
        ({"preprocessing": {"kind": "ct_window", "args": {}}}, "ct_window does not take"),
        ({"preprocessing": {"kind": "unit_range", "args": {"low": 2, "high": 1}}}, "a range needs low < high"),
        ({"postprocessing": {"largest_component": [9]}}, "names a value that is no class"),
        ({"probe": {"seed": 1, "shape": [10**6], "probabilities": [0.5]}}, "probe.shape.0: .*256"),
        ({"provenance": {"parent_sha256": "abc"}}, "provenance.parent_sha256: String should match"),
        ({"about": "x" * 5000}, "about: String should have at most 4000"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=rf"^its card is not valid: .*{message}"):
        card_from_json(changed(**change))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"name": "a", "name": "b"}', "the key 'name' stands twice"),
        (b'{"arch": {"x": 1, "x": 2}}', "the key 'x' stands twice"),
        (b'{"spacing": [NaN]}', "NaN is not a number"),
        (b'{"spacing": [-Infinity]}', "-Infinity is not a number"),
        (b'{"about": ' + b"[" * 8 + b"]" * 8 + b"}", "nests deeper than 8 levels"),
        (b"[" * 30_000, "not valid JSON"),
        (b"{", "Expecting property name"),
        (b"\xff\xfe", "not valid"),
        (b"", "Expecting value"),
        (b"[]", "not valid"),
        (b"null", "not valid"),
    ],
)
def test_what_is_no_strict_json_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        card_from_json(text)


@pytest.mark.parametrize("key", ["spacing", "gradient_ratio"])
def test_a_number_too_large_to_be_one_is_refused(key: str) -> None:
    text = changed(adversary={"gradient_ratio": 0.5}) if key == "gradient_ratio" else changed()
    text = text.replace(
        b"0.5}" if key == "gradient_ratio" else b'"spacing": [1.0',
        b"1e999}" if key == "gradient_ratio" else b'"spacing": [1e999',
    )
    with pytest.raises(ModelError, match=key):
        card_from_json(text)


def test_a_card_of_more_than_64_kib_is_refused() -> None:
    with pytest.raises(ModelError, match="the limit is 65,536"):
        card_from_json(changed() + b" " * 2**16)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_no_card_with_a_number_that_json_cannot_hold_can_be_made(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        FieldOfView("", (bad,), (1.0,))
    with pytest.raises(ValueError, match="finite"):
        Adversary(gradient_ratio=bad)


@pytest.mark.parametrize("name", ["a", "liver", "hippocampus-mri", "a.b_c-1", "x" * 64])
def test_names_that_are_files_everywhere(name: str) -> None:
    assert is_model_name(name)
    assert replace(make_card(), name=name).name == name


@pytest.mark.parametrize("name", ["", ".a", "-a", "a b", "a/b", "a\n", "ä", "x" * 65, "con:"])
def test_names_that_are_not(name: str) -> None:
    assert not is_model_name(name)
    with pytest.raises(ValueError, match="name"):
        replace(make_card(), name=name)
