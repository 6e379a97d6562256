"""Which adversary is worth most? Eight labelled patients of the heart study, judged by its calibration patients alone.

python -m benchmarks.adversaries --run      # what is missing, run by run
python -m benchmarks.adversaries --report   # Dice of each against the network alone; exits 0 when all runs are there
"""

from __future__ import annotations

import argparse
import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmarks.accuracy.arms import WEIGHT, configured
from benchmarks.accuracy.runs import measured, trained
from benchmarks.accuracy.studies import CALIBRATION, Study, all_cases, divided, heart, of_fold
from benchmarks.record import add_line, described, lines
from napari_ganseg.networks.discriminator import DiscriminatorArch, build_discriminator
from napari_ganseg.training import adversary, fit, step
from napari_ganseg.training.adversary import Pairs
from napari_ganseg.training.config import TrainConfig
from napari_ganseg.training.provenance import Place
from napari_ganseg.training.state import Figures, State

RECORD = Path("docs/benchmarks/adversaries.jsonl")
LABELS, SEEDS = 8, 3
ALONE = "the network alone"
R1, MATCHING = 1.0, 10.0  # gamma of R1 and weight of the features, as published for one-hot maps and for SPADE
ARCHS = {
    "one scale": DiscriminatorArch(),
    "two scales": DiscriminatorArch("multi_scale"),
    "larger field, wider": DiscriminatorArch(channels=32, layers=3),
}
OTHERS = ("a tenth of the weight", "spectral norm", "R1", "feature matching")
NAMES = (ALONE, *ARCHS, *OTHERS)
Line = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run or report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.adversaries", description=(__doc__ or "").splitlines()[0]
    )
    wish = parser.add_mutually_exclusive_group(required=True)
    wish.add_argument("--run", action="store_true")
    wish.add_argument("--report", action="store_true")
    if parser.parse_args(arguments).report:
        return report()
    torch.set_num_threads(1)
    study = heart()
    for seed, name in missing():
        print(carry_out(study, name, seed)["calibration"], flush=True)
    return 0


def missing() -> list[tuple[int, str]]:
    """Seeds and adversaries that no line is of."""
    done = {(line["seed"], line["adversary"]) for line in lines(RECORD)}
    return [(seed, name) for seed in range(SEEDS) for name in NAMES if (seed, name) not in done]


def carry_out(study: Study, name: str, seed: int) -> Line:
    """Train with an adversary, measure its last average on the calibration patients, keep a line."""
    cases = all_cases(study.folder)
    labelled, judged = divided(study, cases, LABELS, seed)[0], of_fold(study, cases, CALIBRATION)
    place = Place(device="cpu", data=study.folder, command="python -m benchmarks.adversaries --run")
    with changed(name):
        model, cpu_s = trained(fit([*labelled, *judged], config_of(study.config, name, seed), place))
    made = described(model.card)
    line = {
        "adversary": name, "seed": seed, "cpu_s": round(cpu_s, 1),
        "gradient_ratio": model.card.adversary.gradient_ratio, "auroc": model.card.adversary.auroc,
        "calibration": dict(measured(study, judged, model)),
        "command": made["command"], "machine": made["machine"], "date": made["date"],
    }  # fmt: skip
    add_line(line, RECORD)
    return line


def config_of(config: TrainConfig, name: str, seed: int) -> TrainConfig:
    """The plain arm's configuration with an adversary."""
    config = configured(replace(config, seed=seed), "supervised" if name == ALONE else "adversary")
    weight = 0.0 if name == ALONE else WEIGHT / 10 if name == OTHERS[0] else WEIGHT
    arch = ARCHS.get(name, DiscriminatorArch())
    return replace(config, adversary=replace(config.adversary, arch=arch, weight=weight))


def changed(name: str) -> contextlib.AbstractContextManager[object]:
    """What an adversary does otherwise than the product, while it lasts."""
    if name == "spectral norm":
        return patch.object(adversary, "build_discriminator", with_spectral_norm)
    if name == "R1":
        return patch.object(step, "discriminator_step", with_r1(step.discriminator_step))
    return matching_features() if name == "feature matching" else contextlib.nullcontext()


def with_spectral_norm(*arguments: Any, **settings: Any) -> nn.ModuleList:
    """The discriminator, each convolution divided by its largest singular value (Miyato 2018)."""
    critic = build_discriminator(*arguments, **settings)
    for layer in [m for m in critic.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)]:
        nn.utils.parametrizations.spectral_norm(layer)
    return critic


def with_r1(usual: Any) -> Any:
    """A discriminator's step, and one on the penalty of its gradient at real pairs (Mescheder 2018)."""

    def stepped(state: State, shown: Pairs, config: TrainConfig, number: int, figures: Figures) -> Figures:
        found: Figures = usual(state, shown, config, number, figures)
        assert state.discriminator is not None
        assert state.critic_optimiser is not None
        real = shown.real.clone().requires_grad_(True)
        verdict = sum(v.sum() for v in adversary.judge(state.discriminator, shown.image, real, shown.known))
        assert isinstance(verdict, Tensor)
        slope = torch.autograd.grad(verdict, real, create_graph=True)[0]
        step.learn(state.discriminator, state.critic_optimiser, R1 / 2 * slope.square().flatten(1).sum(1).mean())
        return found

    return stepped


@contextlib.contextmanager
def matching_features() -> Iterator[None]:
    """The generator's loss with the distance between D's features of real and fake maps (Wang 2018)."""
    seen: deque[list[Tensor]] = deque(maxlen=3)  # of a step: real, fake, and fake once more for the generator
    usual = adversary.generator_loss

    def judge(critic: nn.ModuleList, image: Tensor, maps: Tensor, known: Tensor) -> list[Tensor]:
        *features, verdict = critic[0](torch.cat([image, maps, known], 1))
        seen.append(features)
        return [verdict.float()]

    def generator_loss(fake: Sequence[Tensor], masks: Sequence[Tensor]) -> Tensor:
        pairs = zip(seen[0], seen[-1], strict=True)
        distance = torch.stack([(a.detach().float() - b.float()).abs().mean() for a, b in pairs]).mean()
        return usual(fake, masks) + MATCHING * distance

    with patch.object(adversary, "judge", judge), patch.object(adversary, "generator_loss", generator_loss):
        yield


def report() -> int:
    """One row per adversary: Dice of the calibration patients, and the gain over the network alone seed by seed."""
    found = {name: [dice_of(line) for line in sorted_lines(name)] for name in NAMES}
    print("| adversary | Dice | gain, seed by seed | processor seconds |", "| --- | --- | --- | --- |", sep="\n")
    for name, dices in found.items():
        if not dices:
            continue
        gains = [a - b for a, b in zip(dices, found[ALONE], strict=False)]
        spread = f" ± {stdev(dices):.3f}" if len(dices) > 1 else ""
        seconds = fmean(line["cpu_s"] for line in sorted_lines(name))
        told = "" if name == ALONE else ", ".join(f"{gain:+.3f}" for gain in gains)
        print(f"| {name} | {fmean(dices):.3f}{spread} | {told} | {seconds:.0f} |")
    left = missing()
    print(f"{len(left)} runs wait" if left else f"all {len(NAMES) * SEEDS} runs are there")
    return 1 if left else 0


def sorted_lines(name: str) -> list[Line]:
    """Lines of an adversary, by seed."""
    return sorted((line for line in lines(RECORD) if line["adversary"] == name), key=lambda line: int(line["seed"]))


def dice_of(line: Line) -> float:
    """Mean over the calibration patients."""
    return fmean(case["dice"] for case in line["calibration"].values())


if __name__ == "__main__":
    raise SystemExit(main())
