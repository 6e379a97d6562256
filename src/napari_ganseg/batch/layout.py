"""Find the cases of a folder, in whatever layout it has, and make sure that no two files meet."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from napari_ganseg.batch.bids import bids_cases, is_bids
from napari_ganseg.batch.case import ScanCase, make_case
from napari_ganseg.batch.nnunet import is_nnunet, nnunet_cases
from napari_ganseg.batch.options import BatchOptions, Layout
from napari_ganseg.batch.walk import image_files, is_our_output
from napari_ganseg.errors import FileError, UsageError
from napari_ganseg.io.names import PICTURE_SUFFIXES, shown, sidecar_path, stem

NIFTI = (".nii", ".nii.gz", ".hdr", ".hdr.gz")  # of a pair the header stands for both
Finder = Callable[[Path, Path, Iterable[Path]], list[ScanCase]]


def find_cases(folder: Path, out: Path, options: BatchOptions, *, pictures: bool = False) -> list[ScanCase]:
    """The cases of a folder, in alphabetical order.

    Args:
        folder: holds the scans.
        out: where labels go; may lie inside the folder, never be it.
        options: which files, and how they lie.
        pictures: take PNG and TIFF too.

    Raises:
        FileError: there is no such folder.
        UsageError: nothing in it is a scan, or two files would meet.
    """
    check_folders(folder, out)
    suffixes = (*NIFTI, *PICTURE_SUFFIXES) if pictures else NIFTI
    files = image_files(folder, out, suffixes, options)
    layout = layout_of(folder, options.layout)
    if layout == "plain" and not options.recursive:
        files = [file for file in files if len(file.parts) == 1]
    cases = FINDERS[layout](folder, out, files)
    cases = [case for case in cases if not any(map(is_our_output, case.sources))]
    if not cases:
        which = f" that matches {' or '.join(options.patterns)}" if options.patterns else ""
        raise UsageError(f"There is no scan{which} in {shown(folder)} (looked for {', '.join(suffixes)}). Give another "
                         "folder or pattern; links that lead out of the folder need follow=True.")  # fmt: skip
    check_outputs(cases)
    return cases


def check_folders(folder: Path, out: Path) -> None:
    """Refuse a folder that is none or cannot be read, and labels among the scans."""
    try:
        os.listdir(folder)
    except OSError as error:
        raise FileError(f"Cannot read the folder {shown(folder)}: {error.strerror}. Give a folder of scans.") from error
    if os.path.realpath(folder) == os.path.realpath(out):
        raise UsageError(f"Labels cannot go into {shown(folder)} itself, among the scans; give a folder of their own.")


def layout_of(folder: Path, asked: Layout) -> Layout:
    """The layout asked for, or the one a folder has."""
    if asked != "auto":
        return asked
    return "nnunet" if is_nnunet(folder) else "bids" if is_bids(folder) else "plain"


def plain_cases(folder: Path, out: Path, files: Iterable[Path]) -> list[ScanCase]:
    """One case per file; sub-folders stay as they are."""
    return [make_case((folder / file,), out, file.parent / stem(file)) for file in files]


FINDERS: dict[Layout, Finder] = {"plain": plain_cases, "nnunet": nnunet_cases, "bids": bids_cases}


def check_outputs(cases: Sequence[ScanCase]) -> None:
    """Refuse, before anything is computed, two scans with the same output and an output that is a scan's file.

    Raises:
        UsageError: naming both files.
    """
    first: dict[str, ScanCase] = {}
    for case in cases:
        other = first.setdefault(os.path.normcase(case.sidecar), case)
        if other is not case:
            raise UsageError(f"{named(other)} and {named(case)} would have the same output, {shown(case.output)}. "
                             "Rename one, or choose with a pattern.")  # fmt: skip
    sources = [source for case in cases for source in case.sources]
    taken = {os.path.realpath(p) for source in sources for p in (source, sidecar_path(source))}
    for case in cases:
        if not taken.isdisjoint({os.path.realpath(case.output), os.path.realpath(case.sidecar)}):
            raise UsageError(f"The labels of {named(case)} would be written over a scan or the JSON file beside it. "
                             "Give another output folder.")  # fmt: skip


def named(case: ScanCase) -> str:
    """A case's file, as it may stand in a message."""
    return shown(case.sources[0])
