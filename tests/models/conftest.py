"""Model files, whole or broken on purpose."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import saved
from safetensors.torch import load, save

from napari_ganseg.models.file import digest

Edit = Callable[..., Path]


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a sound model called tiny."""
    return saved(tmp_path_factory.mktemp("whole"), dims=2, classes=2).read_bytes()


@pytest.fixture
def path(tmp_path: Path, whole: bytes) -> Path:
    """A sound model file of one's own."""
    made = tmp_path / "tiny.ganseg.safetensors"
    made.write_bytes(whole)
    return made


@pytest.fixture
def edit(path: Path) -> Edit:
    """Change the card's text, content or the tensors; the checksum is made to agree, so that the next step judges."""

    def edit(
        *, text: Callable[[str], str] = str, card: dict[str, Any] | None = None, tensors: Callable[[Any], Any] = dict
    ) -> Path:
        content = path.read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        made = json.dumps(json.loads(header["__metadata__"]["ganseg"]) | (card or {}))
        made, weights = text(made), tensors(load(content))
        path.write_bytes(save(weights, {"ganseg": made, "sha256": digest(made.encode(), weights)}))
        return path

    return edit
