"""Which adversary is worth most? Eight labelled patients of the heart study, judged by its calibration patients alone.

python -m benchmarks.adversaries --run      # what is missing, run by run
python -m benchmarks.adversaries --report   # Dice of each against the network alone; exits 0 when all runs are there

The network alone and the product's adversary are runs of `benchmarks.accuracy`; here are the others, on the same split.
Spectral norm comes beside the instance norm, R1 is a step of its own, and both a D of R1 and one of correct against
incorrect go on learning where the guards let the others rest.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, cast
from unittest.mock import patch

import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn

from benchmarks.accuracy.arms import WEIGHT, configured
from benchmarks.accuracy.results import PLAIN_ARM
from benchmarks.accuracy.runs import RECORD as ACCURACY
from benchmarks.accuracy.runs import measured, trained
from benchmarks.accuracy.studies import CALIBRATION, Study, all_cases, divided, heart, of_fold
from benchmarks.record import add_line, described, lines
from benchmarks.work import listed, wish, work
from napari_ganseg.networks.discriminator import DiscriminatorArch, build_discriminator
from napari_ganseg.training import adversary, fit, step
from napari_ganseg.training.adversary import Pairs
from napari_ganseg.training.config import TrainConfig
from napari_ganseg.training.provenance import Place
from napari_ganseg.training.state import Figures, State

RECORD, FOLDER = Path("docs/benchmarks/adversaries.jsonl"), Path("runs/adversaries")
LABELS, SEEDS = 8, 3
ALONE, SHIPPED = "the network alone", "one scale"
STORED = {ALONE: PLAIN_ARM, SHIPPED: "adversary"}  # arms of `benchmarks.accuracy`
R1, MATCHING = 10.0, 10.0  # gamma of R1 (Mescheder 2018), weight of the features (Wang 2018)
FAR = 10.0  # pixels at which a signed distance is almost 1
GONE = "two scales"  # a second discriminator at half the resolution: its runs stay, its code is in the history
LARGER = "larger field, wider"
TENTH, NORMED, PENALISED = "a tenth of the weight", "spectral norm", "R1"
FEATURES, DISTANCES, WRONG = "feature matching", "signed distances", "correct against incorrect"
NAMES = (LARGER, TENTH, NORMED, PENALISED, FEATURES, DISTANCES, WRONG)
Line = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """List, run or report."""
    options = wish(arguments, "benchmarks.adversaries", __doc__)
    if options.report:
        return report()
    return listed(missing()) if options.list else work(missing, carried_out, FOLDER, options.minutes)


def carried_out(entry: tuple[int, str]) -> str:
    """Carry out a run; what came of it."""
    line = carry_out(heart(), entry[1], entry[0])
    return f"calibration {dice_of(line):.4f}, {line['cpu_s']:.0f} s"


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
    config = configured(replace(config, seed=seed), STORED[SHIPPED])
    weight = WEIGHT / 10 if name == TENTH else WEIGHT
    arch = DiscriminatorArch(channels=32, layers=3) if name == LARGER else DiscriminatorArch()
    return replace(config, adversary=replace(config.adversary, arch=arch, weight=weight))


def changed(name: str) -> contextlib.AbstractContextManager[object]:
    """What an adversary does otherwise than the product, while it lasts."""
    if name == NORMED:
        return patch.object(adversary, "build_discriminator", with_spectral_norm)
    if name == PENALISED:
        return patch.object(step, "discriminator_step", with_r1(step.discriminator_step))
    if name == DISTANCES:
        return patch.object(adversary, "judged_pairs", of_distances(adversary.judged_pairs))
    if name == WRONG:
        return patch.object(step, "discriminator_step", correct_against_incorrect)
    return matching_features() if name == FEATURES else contextlib.nullcontext()


def with_spectral_norm(*arguments: Any, **settings: Any) -> nn.Module:
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
        verdict = adversary.judge(state.discriminator, shown.image, real, shown.known).flatten(1).mean(1).sum()
        slope = torch.autograd.grad(verdict, real, create_graph=True)[0]
        step.learn(state.discriminator, state.critic_optimiser, R1 / 2 * slope.square().flatten(1).sum(1).mean())
        return found

    return stepped


@contextlib.contextmanager
def matching_features() -> Iterator[None]:
    """The generator's loss with the distance between D's features of real and fake maps (Wang 2018)."""
    seen: deque[list[Tensor]] = deque(maxlen=3)  # of a step: real, fake, and fake once more for the generator
    usual = adversary.generator_loss

    def judge(critic: nn.Module, image: Tensor, maps: Tensor, known: Tensor) -> Tensor:
        *features, verdict = critic(torch.cat([image, maps, known], 1))
        seen.append(features)
        return cast(Tensor, verdict.float())

    def generator_loss(fake: Tensor, mask: Tensor) -> Tensor:
        pairs = zip(seen[0], seen[-1], strict=True)
        distance = torch.stack([(a.detach().float() - b.float()).abs().mean() for a, b in pairs]).mean()
        return usual(fake, mask) + MATCHING * distance

    with patch.object(adversary, "judge", judge), patch.object(adversary, "generator_loss", generator_loss):
        yield


def of_distances(usual: Any) -> Any:
    """Pairs of signed distances to each class's border instead of hard maps (Li 2020, without a head of their own)."""

    def shown(image: Tensor, logits: Tensor, target: Tensor, config: TrainConfig) -> Pairs:
        hard: Pairs = usual(image, logits, target, config)
        own = hard.fake.detach()
        return replace(hard, real=distances(hard.real), fake=distances(own) + (hard.fake - own))

    return shown


def distances(maps: Tensor) -> Tensor:
    """One-hot (batch, classes, ...) as signed distances, tanh of pixels / FAR, positive inside; 0 without a border."""
    made = torch.zeros_like(maps)
    for item in range(len(maps)):
        for index, inside in enumerate(maps[item].numpy() > 0):
            if inside.any() and not inside.all():
                signed = distance_transform_edt(inside) - distance_transform_edt(~inside)
                made[item, index] = torch.from_numpy(signed / FAR).tanh()
    return made


def correct_against_incorrect(
    state: State, shown: Pairs, config: TrainConfig, number: int, figures: Figures
) -> Figures:
    """D learns where the generator's map is right, not which map is the truth (Samson 2019); G still wants to pass."""
    critic, optimiser = state.discriminator, state.critic_optimiser
    assert critic is not None
    assert optimiser is not None
    critic.requires_grad_(True)
    verdict = step.judged(critic, shown, shown.fake.detach(), config)
    mask = adversary.counted(shown.known, verdict, config.adversary.arch.layers)
    is_wrong = (shown.real - shown.fake.detach()).abs().amax(1, keepdim=True)
    is_right = 1 - F.adaptive_max_pool2d(is_wrong, verdict.shape[2:])
    loss = F.binary_cross_entropy_with_logits(verdict, is_right, reduction="none")
    step.learn(critic, optimiser, adversary.masked_mean(loss, mask))
    agrees = ((verdict > 0) == (is_right > 0)).float()
    sides = [adversary.masked_mean(agrees, mask * side) for side in (is_right, 1 - is_right)]
    return replace(figures, discriminator=float(loss.detach().mean()), accuracy=float(sum(sides)) / 2)


def report() -> int:
    """One row per adversary: Dice of the calibration patients, and the gain over the network alone seed by seed."""
    names = (*STORED, GONE, *NAMES)
    found = {name: {line["seed"]: line for line in lines_of(name)} for name in names}
    print("| adversary | Dice | gain, seed by seed | processor seconds |", "| --- | --- | --- | --- |", sep="\n")
    for name in names:
        if found[name]:
            print("|", " | ".join(cells(name, found[name], found[ALONE])), "|")
    left = missing() + [(seed, name) for name in STORED for seed in range(SEEDS) if seed not in found[name]]
    print(f"{len(left)} runs wait" if left else f"all {len(names) * SEEDS} runs are there")
    return 1 if left else 0


def cells(name: str, own: dict[int, Line], alone: dict[int, Line]) -> list[str]:
    """A row: mean and spread over seeds, gains over the network alone, time."""
    dices = {seed: dice_of(line) for seed, line in sorted(own.items())}
    spread = f" ± {stdev(dices.values()):.3f}" if len(dices) > 1 else ""
    gains = [f"{dice - dice_of(alone[seed]):+.3f}" for seed, dice in dices.items() if seed in alone and name != ALONE]
    seconds = fmean(line["cpu_s"] for line in own.values())
    return [name, f"{fmean(dices.values()):.3f}{spread}", ", ".join(gains), f"{seconds:.0f}"]


def lines_of(name: str) -> list[Line]:
    """Lines of an adversary, or of an arm of the other benchmark."""
    if name not in STORED:
        return [line for line in lines(RECORD) if line["adversary"] == name]
    wanted = ("heart", LABELS, STORED[name])
    return [line for line in lines(ACCURACY) if (line["study"], line["labels"], line["arm"]) == wanted]


def dice_of(line: Line) -> float:
    """Mean over the calibration patients."""
    return fmean(case["dice"] for case in line["calibration"].values())


if __name__ == "__main__":
    raise SystemExit(main())
