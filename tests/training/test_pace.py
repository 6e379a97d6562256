"""How long a step takes on this machine: measured, remembered, told."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_ganseg.training import pace
from napari_ganseg.training.pace import known_pace, main, note_pace


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pace, "pace_file", lambda: tmp_path / "deep" / "pace.json")
    return tmp_path


def test_each_kind_of_network_has_its_own_pace() -> None:
    note_pace(3, "/models/liver.ganseg.safetensors", "cpu", 0.5)
    note_pace(2, "", "cpu", 0.1)
    assert known_pace(3, "liver", "cpu") == 0.5
    assert known_pace(2, "", "cpu") == 0.1
    assert known_pace(3, "", "cpu") is None


def test_a_broken_file_is_measured_anew(home: Path) -> None:
    note_pace(2, "", "cpu", 0.1)
    (home / "deep" / "pace.json").write_text("{")
    assert known_pace(2, "", "cpu") is None
    note_pace(2, "", "cpu", 0.2)
    assert known_pace(2, "", "cpu") == 0.2


def test_measuring_remembers() -> None:
    main("2", "", "cpu")
    assert known_pace(2, "", "cpu") > 0  # type: ignore[operator]
