"""One case of a batch: the scan's files, and where its labels go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_ganseg.io.names import PICTURE_SUFFIXES, sidecar_path, stem


@dataclass(frozen=True, slots=True)
class ScanCase:
    """What is to be segmented.

    Attributes:
        name: its output's path inside the output folder, without suffix and with "/".
        sources: the scan's file, or one file per channel.
        output: the label file.
        fault: why it cannot be segmented, where its file names say so already.
    """

    name: str
    sources: tuple[Path, ...]
    output: Path
    fault: str = ""

    @property
    def sidecar(self) -> Path:
        """The JSON file beside the output: names, provenance and our record."""
        return sidecar_path(self.output)

    @property
    def lock(self) -> Path:
        """The file that says who works on the case."""
        return self.output.with_name(stem(self.output) + ".lock")


def make_case(sources: tuple[Path, ...], out: Path, place: Path, fault: str = "") -> ScanCase:
    """A case whose labels go to `place` inside the output folder; a picture's stay a picture.

    Args:
        sources: the scan's files.
        out: the output folder.
        place: path inside it, without suffix.
        fault: why the case cannot be segmented.
    """
    suffix = ".png" if sources[0].name.lower().endswith(PICTURE_SUFFIXES) else ".nii.gz"
    return ScanCase(place.as_posix(), sources, out / place.with_name(place.name + suffix), fault)
