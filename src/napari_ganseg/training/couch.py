"""A treatment couch drawn behind a body: scans cut out along the skin never show a network one, real scans do."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import torch
from monai.transforms import MapTransform, RandomizableTransform
from torch import Tensor

SHELL = 0.1, 0.5  # how bright a couch's shells are, as a share of the window
MOST_VOXELS = 12  # between skin and couch, and of the couch's bow


class RandCouchd(RandomizableTransform, MapTransform):  # type: ignore[misc]
    """Draw one or two bowed plates, two shells a plate, into the air behind the body.

    Args:
        keys: of images (1, bottom-top, back-front, left-right), prepared by a CT window.
        air, bone: what the window makes of its lower and its upper end.
        prob: of a couch.
    """

    def __init__(self, keys: str, air: float, bone: float, prob: float) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.air, self.bone = air, bone

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """The data, their images with a couch."""
        made = dict(data)
        self.randomize(None)
        if self._do_transform:
            for key in self.key_iterator(made):
                made[key] = self.draw(made[key])
        return made

    def draw(self, image: Tensor) -> Tensor:
        """One image with a couch where it has air behind a body; any other as it is."""
        is_air = image <= self.air + 1e-4
        behind = (~is_air[0]).any(0).any(-1).nonzero()
        if not len(behind):
            return image
        skin = int(behind[0])
        for _ in range(int(self.R.randint(1, 3))):
            brightness = self.air + (self.bone - self.air) * self.R.uniform(*SHELL)
            plate = self.plate(image.shape[1:], skin)
            image = torch.where(plate & is_air, torch.as_tensor(brightness, dtype=image.dtype), image)
        return image

    def plate(self, shape: torch.Size, skin: int) -> Tensor:
        """One plate somewhere behind the skin."""
        back, bow = skin - self.R.randint(0, MOST_VOXELS), self.R.uniform(-1, 1) * MOST_VOXELS / 2
        thickness, width = self.R.randint(1, 5), self.R.randint(shape[2] // 2, shape[2] + 1)
        return bowed(shape, back, bow, thickness, width)


def bowed(shape: torch.Size, back: int, bow: float, thickness: int, width: int) -> Tensor:
    """(bottom-top, back-front, left-right) of a plate's two shells, `width` across, its middle `bow` voxels off."""
    across = torch.linspace(-1, 1, shape[2])
    surface = torch.round(back + bow * (across**2 - 0.5))
    depth = torch.arange(shape[1])[:, None]
    shells = (depth == surface) | (depth == surface - thickness)
    shells &= (torch.arange(shape[2]) - shape[2] // 2).abs() <= width // 2
    return shells.expand(shape)
