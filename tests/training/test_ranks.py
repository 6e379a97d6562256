"""Several processes train what one does: here two, on a processor, since their arithmetic is the same on GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from builders import Z_SCORE, blob_cases, make_card, noise, tiny_config
from torch import nn

from napari_ganseg.errors import Cancelled, UsageError
from napari_ganseg.models import load_model
from napari_ganseg.networks import build_generator, weights_of
from napari_ganseg.networks.discriminator import DiscriminatorArch
from napari_ganseg.training import Case, TrainConfig, fit, ranks
from napari_ganseg.training.adversary import build_critic
from napari_ganseg.training.checkpoint import read_state
from napari_ganseg.training.config import Adversary, Unlabelled
from napari_ganseg.training.execution import execute, set_up
from napari_ganseg.training.files import LAST
from napari_ganseg.training.guards import Limits, Seen
from napari_ganseg.training.material import Material, prepared_images
from napari_ganseg.training.progress import read_progress
from napari_ganseg.training.samples import prepare
from napari_ganseg.training.state import State
from napari_ganseg.training.step import train_step
from napari_ganseg.training.unlabelled import build_second

CPU = torch.device("cpu")
STEP = 60  # of 100: every weight has risen, the ratio is measured, a discriminator that rests now and then learns
AT_ONCE = Adversary(weight=10.0, begin=0.0, warm_up=0.0, ramp=0.01, limits=Limits(ready=0.0))
SCENARIOS: dict[str, dict[str, Any]] = {
    "alone": {},
    "a discriminator": {"adversary": replace(AT_ONCE, arch=DiscriminatorArch(channels=8))},
    "a discriminator in 2D": {"dims": 2, "adversary": AT_ONCE},
    "one that sees noise": {"adversary": AT_ONCE, "rest": 4},
    "planes": {"adversary": replace(AT_ONCE, planes=True), "rows": (20, 6, 20)},
    "planes in one process alone": {"adversary": replace(AT_ONCE, planes=True), "rows": (6, 20, 6), "batch_size": 2},
    "no planes": {"adversary": replace(AT_ONCE, planes=True), "rows": (6, 6, 6)},
    "images without labels": {"unlabelled": Unlabelled(consistency=0.5, adversary=0.2)},
    "all of it": {"adversary": AT_ONCE, "unlabelled": Unlabelled(consistency=0.5, adversary=0.2)},
}


def one_step(
    dims: int = 3, rest: int = 1, rows: tuple[int, ...] = (), **changes: Any
) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Gradients and figures of one step on four samples, of which this process may have but a share."""
    given: dict[str, Any] = {"steps": 100, "batch_size": 4, "precision": "float32", "clip_norm": 1e9}
    config = tiny_config(dims, **given | changes)
    config = replace(config, card=make_card(dims, classes=2, preprocessing=Z_SCORE))
    cases = [annotated(case, i, rows) for i, case in enumerate(blob_cases(dims))]
    images = [noise((16, 18, 20)[:dims], seed) for seed in (1, 2, 3)]
    material = Material([prepare(case, config.card) for case in cases], prepared_images(images, config))
    state = State.start(a_generator(config), config, build_critic(config, CPU), build_second(config, CPU))
    state.seen = Seen(accuracy=0.9, second_accuracy=0.9, rest=rest)
    labelled, further = material.at(STEP, config, CPU)
    figures = train_step(state, labelled, config, STEP, further)
    measured = {name: -1.0 if value is None else value for name, value in asdict(figures).items()}
    measured["predicted"], measured["true"] = measured.pop("foreground")
    return gradients(state.modules), measured


def annotated(case: Case, index: int, rows: tuple[int, ...]) -> Case:
    """A case of which a corner is not known, or all but rows of some planes; in the second nobody contoured class 2."""
    mask = np.ones(case.image.shape, bool)
    mask[: 2 * index, :6] = False
    if rows:
        mask[:] = False
        mask[2 + index :: 4 + index, : rows[index]] = True
    missing = frozenset({2}) if index == 1 else frozenset[int]()
    return replace(case, annotation=replace(case.annotation, known=mask, missing=missing))


def a_generator(config: TrainConfig) -> nn.Module:
    card = config.card
    return build_generator(card.arch, dims=card.dims, in_channels=1, out_channels=card.out_channels, seed=1)


def gradients(modules: dict[str, nn.Module]) -> dict[str, torch.Tensor]:
    return {
        f"{name}/{key}": p.grad.clone()
        for name, module in modules.items()
        for key, p in module.named_parameters()
        if p.grad is not None
    }


def steps_until_stopped() -> float:
    """Of a training that the first process's user stops after its third step."""
    run = fit(blob_cases(), tiny_config(steps=50, validate_every=4))
    for progress in run:
        if ranks.is_first() and progress.done == 3:
            run.stop()
    return run.result.card.provenance.metrics["steps"]


def cancelled() -> str:
    """What everybody hears when the first process's user cancels, here in the midst of a validation."""
    run = fit(blob_cases(), tiny_config())
    try:
        for progress in run:
            if ranks.is_first() and progress.doing == "validating":
                run.cancel()
    except Cancelled as error:
        return str(error)
    return "not heard"


def refused(work: Callable[[], object]) -> str:
    try:
        work()
    except UsageError as error:
        return str(error)
    return "not refused"


def fail() -> None:
    raise UsageError("Only the first found out.")


def process(rank: int, folder: str) -> None:
    """What each of two processes does; its findings go into the folder."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    found = {
        "steps": {name: one_step(**given) for name, given in SCENARIOS.items()},
        "stopped": steps_until_stopped(),
        "cancelled": cancelled(),
        "odd": refused(lambda: list(fit(blob_cases(), tiny_config(batch_size=3)))),
        "fault": refused(lambda: ranks.from_first(fail)),
        "own": ranks.own(Path(folder)) is not None,
    }
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two processes found; started once, since that takes ten seconds."""
    folder = tmp_path_factory.mktemp("ranks")
    torch.multiprocessing.spawn(process, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


@pytest.mark.parametrize("name", SCENARIOS)
def test_two_processes_find_the_gradients_of_their_joined_batch(both: list[dict[str, Any]], name: str) -> None:
    expected, figures = one_step(**SCENARIOS[name])
    for found in both:
        made, measured = found["steps"][name]
        assert made.keys() == expected.keys()
        for key, gradient in expected.items():
            assert torch.allclose(made[key], gradient, rtol=1e-4, atol=1e-5), key
        assert measured == pytest.approx(figures, rel=1e-4, abs=1e-5)


def test_both_processes_hold_the_same_gradients_to_the_bit(both: list[dict[str, Any]]) -> None:
    first, second = (found["steps"]["all of it"][0] for found in both)
    assert {name.partition("/")[0] for name in first} == {"generator", "discriminator", "second"}
    assert all(torch.equal(gradient, second[name]) for name, gradient in first.items())


def test_the_first_process_decides_for_both(both: list[dict[str, Any]]) -> None:
    assert [found["stopped"] for found in both] == [3, 3]
    assert [found["cancelled"] for found in both] == ["Cancelled; nothing was kept."] * 2
    assert [found["fault"] for found in both] == ["Only the first found out."] * 2
    assert [found["own"] for found in both] == [True, False]


def test_a_batch_that_cannot_be_shared_out_is_refused(both: list[dict[str, Any]]) -> None:
    assert [found["odd"][:46] for found in both] == ["2 processes cannot share a batch of 3 evenly; "] * 2


def test_one_process_is_alone() -> None:
    x = torch.ones(2)
    with ranks.together():
        assert (ranks.world(), ranks.rank(), ranks.part()) == (1, 0, slice(0, None, 1))
    assert ranks.joined(x) is ranks.averaged(x) is x
    assert ranks.from_first(lambda: 5) == 5


def test_torchrun_trains_what_one_process_does_and_each_goes_on_with_the_others_checkpoints(
    make_run: Callable[..., Path],
) -> None:
    adversary = replace(AT_ONCE, warm_up=0.1)
    config = tiny_config(steps=6, precision="float32", adversary=adversary)
    alone, shared = (make_run(name, config=config) for name in ("alone", "shared"))
    one = execute(set_up(alone)).result
    for progress in execute(set_up(shared)):  # one process begins
        if progress.doing == "validated":
            break
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               "-m", "--", "napari_ganseg", "train", "--run", str(shared)]  # fmt: skip
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("wrote ") == 1
    path = shared.with_name("shared.ganseg.safetensors")
    first, second = (load_model(p).network for p in (Path(one.model), path))
    for key, tensor in weights_of(first).items():
        assert torch.allclose(weights_of(second)[key], tensor, atol=1e-4), key
    lines, _ = read_progress(shared)
    assert [line.done for line in lines if line.doing == "validated"] == [2, 4, 6]
    assert read_state(shared / LAST)[0].keys() == read_state(alone / LAST)[0].keys()
    again = execute(set_up(shared)).result  # and one process finds nothing left to do
    assert all(
        torch.equal(t, weights_of(second)[k]) for k, t in weights_of(load_model(Path(again.model)).network).items()
    )
