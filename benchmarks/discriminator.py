"""Whether the discriminator can teach anything: it learns on hard maps of a fixed generator, and meets other patients.

    python -m benchmarks.discriminator --model hippocampus-mri --steps 1000

The generator is a finished model and does not change. D learns on the training folds and is tested on the validation
fold: its AUROC must reach 0.65, otherwise an adversary of this strength would have nothing to say.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.models import own_data
from napari_ganseg.models import Model, find_model
from napari_ganseg.networks.discriminator import build_discriminator
from napari_ganseg.training import Case, TrainConfig, config_from_json, good_cases, scan_folder
from napari_ganseg.training import adversary as adversarial
from napari_ganseg.training.losses import merge_missing
from napari_ganseg.training.samples import batch, prepare
from napari_ganseg.training.split import divide
from napari_ganseg.training.step import Figures, State, discriminator_step
from napari_ganseg.training.validation import held_out_auroc

BAR = 0.65
RECIPES = Path(__file__).parent / "recipes"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train D alone, print its accuracy on the way and its held-out AUROC."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.discriminator", description="D against a fixed G.")
    parser.add_argument("--model", default="hippocampus-mri")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--threads", type=int, help="of the processor")
    options = parser.parse_args(arguments)
    for kind in (DeprecationWarning, FutureWarning):
        warnings.filterwarnings("ignore", category=kind)
    if options.threads:
        torch.set_num_threads(options.threads)
    model = find_model(options.model)
    config = config_from_json((RECIPES / f"{model.card.name}.json").read_bytes())
    training, validation = divide(
        good_cases(scan_folder(own_data(model.card.name), 1, config.card.classes)), config.split
    )
    state = taught(model, training, config, options.steps)
    auroc = held_out_auroc(state, validation, config) or 0.0
    print(f"{model.card.name}: D after {options.steps} steps against a fixed G, held-out AUROC {auroc:.3f} (bar {BAR})")
    return 0 if auroc >= BAR else 1


def taught(model: Model, cases: Sequence[Case], config: TrainConfig, steps: int) -> State:
    """D after so many steps on hard maps of a generator that stays as it is."""
    prepared = [prepare(case, config.card) for case in cases]
    channels = len(config.card.channels) + config.card.out_channels + 1  # image, one map per class, what is known
    critic = build_discriminator(
        config.adversary.arch, dims=config.card.dims, in_channels=channels, seed=config.seed + 1
    )
    generator = model.network.eval()
    state = State.start(generator.requires_grad_(True), config, critic)
    state.average = generator
    for step in range(steps):
        samples = batch(prepared, config.card, config.augmentation, config.seed, step, config.batch_size)
        with torch.no_grad():
            logits = merge_missing(generator(samples.image), samples.missing)
        shown = adversarial.pairs(samples.image, logits, samples.target)
        figures = discriminator_step(state, shown, config, step, Figures(0.0))
        if step % 50 == 49:
            print(f"step {step + 1}: balanced accuracy {figures.accuracy:.3f}", flush=True)
    return state


if __name__ == "__main__":
    sys.exit(main())
