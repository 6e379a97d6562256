"""What long commands show on a terminal: one bar, live."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from napari_ganseg.run import Progress, Run

T = TypeVar("T")


def with_bar(run: Run[T], *also: Callable[[Progress], None]) -> T:
    """Run to the end with a bar on the terminal (none where standard error is not one).

    Args:
        run: the work.
        also: who else is told of every progress.
    """
    from tqdm import tqdm

    with tqdm(disable=None, leave=False, dynamic_ncols=True) as bar:
        for progress in run:
            bar.total = progress.total or None
            bar.set_description(progress.doing, refresh=False)
            bar.set_postfix({k: f"{v:.3f}" for k, v in progress.figures.items()}, refresh=False)
            bar.update(progress.done - bar.n)
            for told in also:
                told(progress)
    return run.result
