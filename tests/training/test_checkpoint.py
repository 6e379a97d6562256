"""Checkpoints: whole or the one before, whatever happens to the process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from napari_ganseg.errors import FileError
from napari_ganseg.training.checkpoint import has_state, load_state, save_state, sweep
from napari_ganseg.training.files import LAST, PREVIOUS

Parts = tuple[dict[str, nn.Module], dict[str, torch.optim.Optimizer]]


def parts(seed: int = 0) -> Parts:
    """A network and its optimiser, one step old."""
    torch_state = torch.get_rng_state()
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.1)
    network(torch.randn(5, 3)).square().sum().backward()
    optimiser.step()
    torch.set_rng_state(torch_state)
    return {"generator": network}, {"optimiser": optimiser}


def same(first: Parts, second: Parts) -> bool:
    a, b = first[0]["generator"].state_dict(), second[0]["generator"].state_dict()
    return all(torch.equal(a[key], b[key]) for key in a)


def test_a_state_survives_the_way_to_a_file_and_back(tmp_path: Path) -> None:
    mine, other = parts(0), parts(1)
    save_state(tmp_path, *mine, {"step": 7, "best": 0.5})
    assert load_state(tmp_path, *other) == {"step": 7, "best": 0.5}
    assert same(mine, other)


def test_the_next_step_after_loading_is_the_one_that_would_have_come(tmp_path: Path) -> None:
    mine, other = parts(0), parts(1)
    save_state(tmp_path, *mine, {})
    load_state(tmp_path, *other)
    x = torch.ones(5, 3) * torch.arange(5)[:, None]
    for modules, optimisers in (mine, other):
        optimisers["optimiser"].zero_grad()
        modules["generator"](x).square().sum().backward()
        optimisers["optimiser"].step()
    assert same(mine, other)


def test_an_empty_folder_has_no_state(tmp_path: Path) -> None:
    assert not has_state(tmp_path)
    assert load_state(tmp_path, *parts()) is None


def test_the_one_before_is_kept(tmp_path: Path) -> None:
    for step in range(3):
        save_state(tmp_path, *parts(step), {"step": step})
    assert sorted(p.name for p in tmp_path.iterdir()) == [LAST, PREVIOUS]
    (tmp_path / LAST).unlink()
    other = parts(9)
    assert load_state(tmp_path, *other) == {"step": 1}
    assert same(other, parts(1))


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    return content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]


@pytest.mark.parametrize(
    "harm", [cut, flipped, lambda c: b"", lambda c: b"\0" * len(c), lambda c: c.replace(b"step", b"stop")]
)
def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(tmp_path: Path, harm: Callable[[bytes], bytes]) -> None:
    for step in range(2):
        save_state(tmp_path, *parts(step), {"step": step})
    (tmp_path / LAST).write_bytes(harm((tmp_path / LAST).read_bytes()))
    other = parts(9)
    assert load_state(tmp_path, *other) == {"step": 0}
    assert same(other, parts(0))


def test_when_all_are_damaged_that_is_said_and_not_started_anew(tmp_path: Path) -> None:
    save_state(tmp_path, *parts(), {})
    (tmp_path / LAST).write_bytes(cut((tmp_path / LAST).read_bytes()))
    with pytest.raises(FileError, match=r"The checkpoints in .* are damaged\. Choose another folder"):
        load_state(tmp_path, *parts())


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    save_state(tmp_path, *parts(), {})
    with pytest.raises(FileError, match="is of another training"):
        load_state(tmp_path, {"generator": nn.Linear(3, 9)}, {})


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_never_replace_good_ones(tmp_path: Path, bad: float) -> None:
    save_state(tmp_path, *parts(), {"step": 1})
    broken = parts()
    with torch.no_grad():
        broken[0]["generator"][0].bias[0] = bad  # type: ignore[index]
    with pytest.raises(FileError, match="NaN or infinite numbers; they were not saved"):
        save_state(tmp_path, *broken, {"step": 2})
    assert load_state(tmp_path, *parts()) == {"step": 1}


def test_a_full_disk_leaves_both_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in range(2):
        save_state(tmp_path, *parts(step), {"step": step})
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(self: Path, content: bytes) -> int:
        with open(self, "wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FileError, match="the disk is full"):
        save_state(tmp_path, *parts(2), {"step": 2})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from napari_ganseg.training.checkpoint import load_state, save_state

torch.set_num_threads(1)
network = torch.nn.Linear(700, 700)
folder, rng, steps = Path(sys.argv[1]), random.Random(0), []
save_state(folder, {"n": network}, {}, {"step": 0})
for kill in range(20):
    child = os.fork()
    if child == 0:
        for step in range(1, 10_000):
            save_state(folder, {"n": network}, {}, {"step": step})
        os._exit(1)
    time.sleep(rng.uniform(0.005, 0.08))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    steps.append(load_state(folder, {"n": network}, {})["step"])
print(len(steps), max(steps) > 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_kill_at_any_moment_leaves_a_checkpoint_and_the_next_training_sweeps_up(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["20", "True"], done.stderr
    assert (tmp_path / LAST).exists() or (tmp_path / PREVIOUS).exists()
    sweep(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} <= {LAST, PREVIOUS}


def test_sweeping_leaves_what_a_living_process_is_writing(tmp_path: Path) -> None:
    mine, dead, other = tmp_path / f".a.tmp-{os.getpid()}-1", tmp_path / ".a.tmp-999999999-1", tmp_path / "a.tmp-x-y"
    for path in (mine, dead, other):
        path.touch()
    sweep(tmp_path)
    assert mine.exists()
    assert other.exists()
    assert not dead.exists()


def test_sweeping_for_one_file_leaves_the_others(tmp_path: Path) -> None:
    mine, other = tmp_path / ".a.tmp-999999999-1", tmp_path / ".b.tmp-999999999-1"
    for path in (mine, other):
        path.touch()
    sweep(tmp_path, "a")
    assert (mine.exists(), other.exists()) == (False, True)
