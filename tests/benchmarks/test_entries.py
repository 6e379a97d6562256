"""The queue's file: overrides laid over recipes, and every entry one that can be trained and measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.entries import Entry, merged, read_entries
from benchmarks.goals import GOALS

from napari_ganseg.errors import UsageError

ROOT = Path(__file__).parents[2]
ENTRIES = read_entries(ROOT / "benchmarks" / "queue.toml")
GOOD = 'name = "a"\npurpose = "to see what happens"\ndata = ["x"]\nrecipe = "r.json"\ngpu_minutes = 1\n'


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_an_override_reaches_deep_and_leaves_the_rest() -> None:
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 2}
    assert merged(base, {"a": {"c": [3]}}) == {"a": {"b": 1, "c": [3]}, "d": 2}
    assert merged(base, {}) == base == merged({}, base)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_an_entry_is_a_training_that_can_be_measured(entry: Entry) -> None:
    goal = GOALS[entry.config.card.name]
    assert goal.folder in entry.data
    assert all(goal.is_held_out(n) == (entry.config.split.fold_of(n) in entry.config.split.held_out) for n in "abcdef")


def test_with_and_without_an_adversary_train_for_equal_steps() -> None:
    by_name = {entry.name: entry for entry in ENTRIES}
    pairs = [(entry, by_name[f"{name}-adversary"]) for name, entry in by_name.items() if f"{name}-adversary" in by_name]
    assert len(pairs) == 6
    for plain, adversarial in pairs:
        weight = 1.0 if plain.labels else 0.05  # where labels are few it speaks as loudly as in `benchmarks.accuracy`
        assert merged(plain.content, {"adversary": {"weight": weight}}) == adversarial.content


def test_the_hash_follows_the_configuration_and_not_the_words() -> None:
    entry = ENTRIES[0]
    same = Entry(entry.name, "quite another purpose", entry.data, entry.recipe, 99.0, None, entry.override)
    other = Entry(entry.name, entry.purpose, entry.data, entry.recipe, entry.gpu_minutes, None, {"seed": 99})
    assert same.sha256 == entry.sha256 != other.sha256
    assert len({e.sha256 for e in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"[[entry]]\n{GOOD}step = 5\n", "0.step: Unexpected keyword"),
        (f"[[entry]]\n{GOOD.replace('= 1', '= 0')}", "0.gpu_minutes: .*greater than 0"),
        ("[[entry]]\n" + GOOD.replace('"a"', '"../a"'), "0.name: .*match pattern"),
        (f"[[entry]]\n{GOOD}[[entry]]\n{GOOD}", "two entries called a"),
        ("entry", "no list of"),
        ("", "no list of"),
    ],
)  # fmt: skip
def test_a_queue_that_is_not_right_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "queue.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_entries(path)
