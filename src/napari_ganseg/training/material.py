"""What a training learns from at each step: labelled crops, and crops of images without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from napari_ganseg.errors import UsageError
from napari_ganseg.training import ranks
from napari_ganseg.training.config import TrainConfig
from napari_ganseg.training.samples import Batch, Prepared, batch
from napari_ganseg.training.unlabelled_samples import Floats, UnlabelledBatch, prepare_image, unlabelled_batch
from napari_ganseg.volume import Volume


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a training learns from: labelled cases, and images without labels where there are any."""

    labelled: Sequence[Prepared]
    images: Sequence[Floats]

    def at(self, step: int, config: TrainConfig, device: torch.device) -> tuple[Batch, UnlabelledBatch | None]:
        """The batches of one step, a function of seed and step alone; where there are several processes, a share."""
        fixed = config.card, config.variation, config.seed, step, config.batch_size, ranks.part()
        further = unlabelled_batch(self.images, *fixed, config.unlabelled.strong).to(device) if self.images else None
        return batch(self.labelled, *fixed).to(device), further


def prepared_images(volumes: Sequence[Volume], config: TrainConfig) -> list[Floats]:
    """Images without labels as tensors; none where the configuration has no use for them.

    Raises:
        UsageError: the configuration wants some, and there are none.
    """
    if not config.unlabelled.is_used:
        return []
    if not volumes:
        raise UsageError("The configuration learns from images without labels; give some, or set its two weights to 0.")
    return [prepare_image(volume, config.card) for volume in volumes]
