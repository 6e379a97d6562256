"""How a folder is segmented: which files, which layout, what may be replaced, and the engine's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from napari_ganseg.errors import UsageError

Layout = Literal["auto", "plain", "nnunet", "bids"]
Later = Literal["fill", "cover"]


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What may be said of a batch.

    Attributes:
        patterns: globs such as "*_T1w.nii.gz", of file names, or of paths inside the folder where they hold a "/";
            letter case does not count. None given takes every file that can be read.
        layout: "auto" recognises nnU-Net and BIDS folders; "plain" takes files as they lie.
        recursive: look into sub-folders of a plain layout.
        follow: follow links that lead out of the folder.
        overwrite: replace label files that carry no record of ours, and the JSON files beside them.
        later_models: of several models, later ones "fill" only background, or "cover" what earlier ones found.
        frame: which image along the fourth axis, from 0.
        device, strict, overlap, precision, cpu_fallback: as in `segment`.
        patience_s: how long to wait for cases that another process holds, while none of them ends.
    """

    patterns: tuple[str, ...] = ()
    layout: Layout = "auto"
    recursive: bool = True
    follow: bool = False
    overwrite: bool = False
    later_models: Later = "fill"
    frame: int | None = None
    device: str = "auto"
    strict: bool = False
    overlap: float = 0.5
    precision: Literal["auto", "float32"] = "auto"
    cpu_fallback: bool = False
    patience_s: float = 3600.0

    def __post_init__(self) -> None:
        patterns = (self.patterns,) if isinstance(self.patterns, str) else tuple(self.patterns)
        object.__setattr__(self, "patterns", patterns)
        check_choice("layout", self.layout, get_args(Layout))
        check_choice("precision", self.precision, ("auto", "float32"))
        check_choice("later_models", self.later_models, get_args(Later))
        if not 0 <= self.overlap < 1:
            raise UsageError(f"The overlap of tiles is a share from 0 to below 1, not {self.overlap:g}.")

    def parameters(self, models: int) -> dict[str, Any]:
        """What decides about the voxels, beside scan and models; what a machine chooses by itself does not count."""
        merging = {"later_models": self.later_models} if models > 1 else {}
        forced = {"precision": self.precision} if self.precision != "auto" else {}
        return {"frame": self.frame, "strict": self.strict, "overlap": self.overlap, **forced, **merging}


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a word that is none of the choices."""
    if value not in choices:
        raise UsageError(f'{name} is one of {", ".join(choices)}, not "{value}".')
