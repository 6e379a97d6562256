"""TensorBoard, when asked: the curves of both networks, the validation's Dice and its pictures."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from napari_ganseg.errors import UsageError
from napari_ganseg.run import Progress
from napari_ganseg.training.files import EXAMPLES

FOLDER = "tensorboard"


class Board:
    """Event files below a run folder; use it in a `with` statement.

    Raises:
        UsageError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UsageError(
                "TensorBoard is not installed. Install it with: pip install 'napari-ganseg[tensorboard]'"
            ) from error
        self._folder = folder
        self._writer = SummaryWriter(str(folder / FOLDER))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def note(self, progress: Progress) -> None:
        """Write the figures of a progress, and the pictures of a validation."""
        for name, value in progress.figures.items():
            self._writer.add_scalar(name, value, progress.done)
        if progress.doing == "validated" and (self._folder / EXAMPLES).exists():
            self._writer.add_image("image, truth, prediction", picture(self._folder / EXAMPLES), progress.done)
            self._writer.flush()


def picture(path: Path) -> object:
    """(3, y, x) bytes of a PNG."""
    from torchvision.io import decode_image

    return decode_image(str(path))
