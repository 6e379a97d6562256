"""napari-ganseg segment IN OUT --model NAME, for one scan or a folder of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from napari_ganseg.cli import batch
from napari_ganseg.cli.bar import with_bar
from napari_ganseg.errors import UsageError


def add(commands: Any) -> None:
    """The command and its options."""
    words = (
        "Segment one scan onto its own grid, or every scan of a folder into another. A folder that was interrupted "
        "goes on where it stopped; the broken cases are named."
    )
    command = commands.add_parser("segment", help="segment a scan, or a folder of scans", description=words)
    command.add_argument("scan", type=Path, metavar="IN", help="a scan: .nii, .nii.gz or .hdr/.img; or a folder")
    out = "the labels to write: .nii or .nii.gz (names go to a .json beside it); or a folder"
    command.add_argument("labels", type=Path, metavar="OUT", help=out)
    model = "a name that 'napari-ganseg models' shows, or a model file; several for a folder"
    command.add_argument("--model", required=True, nargs="+", help=model)
    command.add_argument("--device", default="auto", help="auto (default), cuda, mps or cpu")
    fallback = "go on with the CPU where the GPU has no room even for small tiles"
    command.add_argument("--cpu-fallback", action="store_true", help=fallback)
    precision = "float32 does not use the faster bfloat16 where the processor has it"
    command.add_argument("--precision", choices=("auto", "float32"), default="auto", help=precision)
    command.add_argument("--strict", action="store_true", help="refuse a scan that is not what the model knows")
    command.add_argument("--frame", type=int, help="which image along the fourth axis, from 0")
    one = command.add_argument_group("one scan")
    axes = "voxels to look at, in the order bottom-top, back-front, left-right; labels elsewhere are 0"
    one.add_argument("--region", type=box, metavar="Z0:Z1,Y0:Y1,X0:X1", help=axes)
    one.add_argument("--channels", action="store_true", help="the fourth axis holds channels")
    one.add_argument("--voxel-sizes-only", action="store_true", help="ignore an invalid orientation")
    many = command.add_argument_group("a folder")
    many.add_argument(
        "--pattern", nargs="+", default=[], metavar="GLOB", help="which files, for example '*_T1w.nii.gz'"
    )
    many.add_argument("--follow", action="store_true", help="follow links that lead out of the folder")
    many.add_argument("--overwrite", action="store_true", help="replace labels that others wrote")
    cluster = "compute on a Dask cluster: its scheduler's address, for example tcp://node1:8786 (docs/cluster.md)"
    many.add_argument("--cluster", metavar="ADDRESS", help=cluster)
    command.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Segment one scan, or hand a folder to the batch."""
    given = [name for name in ("region", "channels", "voxel_sizes_only") if getattr(options, name)]
    if not options.scan.is_dir():
        if len(options.model) > 1:
            raise UsageError("One scan takes one --model; several are for a folder.")
        if options.cluster:
            raise UsageError("--cluster is for a folder; one scan is segmented here.")
        return segment_scan(options, options.model[0])
    if given:
        raise UsageError(f"--{given[0].replace('_', '-')} is for one scan, and {options.scan} is a folder.")
    return batch.run(options)


def segment_scan(options: argparse.Namespace, model: str) -> int:
    """Check the target before computing, segment, write, print the volumes; a large scan stays in its file."""
    from napari_ganseg.io import check_target, read, write
    from napari_ganseg.io.nifti import Orientation
    from napari_ganseg.io.pieces import is_large

    check_target(options.labels)
    orientation: Orientation = "voxel-sizes" if options.voxel_sizes_only else "file"
    channels = options.channels or (channels_of(model) > 1) or None
    lazy = is_large(options.scan)
    volume = read(options.scan, frame=options.frame, channels=channels, orientation=orientation, lazy=lazy)
    check_target(options.labels, volume.stored)
    from napari_ganseg.inference.engine import segmentation
    from napari_ganseg.inference.settings import Settings

    settings = Settings(
        region=options.region, device=options.device, strict=options.strict,
        precision=options.precision, cpu_fallback=options.cpu_fallback,
    )  # fmt: skip
    labels = with_bar(segmentation(volume, model, settings))
    for note in labels.notes:
        print(f"Note: {note}", file=sys.stderr)
    write(options.labels, labels)
    for value, voxels in labels.counts().items():
        print(f"{value:>4}  {labels.name_of(value):<32} {voxels:>10} voxels {voxels * labels.voxel_ml:>10.3f} mL")
    print(f"wrote {options.labels}")
    return 0


def channels_of(model: str) -> int:
    """How many channels a model wants, from its card alone."""
    from napari_ganseg.models import find_card

    return len(find_card(model).channels)


def box(text: str) -> list[slice]:
    """Understand "10:50,0:60,20:60" as voxel ranges, one per axis."""
    try:
        bounds = [[int(n) if n else None for n in part.split(":")] for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError("write it like 10:50,0:60,20:60") from error
    if any(len(pair) != 2 for pair in bounds):
        raise argparse.ArgumentTypeError("write it like 10:50,0:60,20:60")
    return [slice(start, stop) for start, stop in bounds]
