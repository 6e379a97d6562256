"""One-line errors in napari's console: the traceback of a missing file helps nobody."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from napari_ganseg.errors import GansegError

P = ParamSpec("P")
R = TypeVar("R")


def in_one_line(function: Callable[P, R]) -> Callable[P, R]:
    """Let IPython show our own errors as their message; it asks an exception for `_render_traceback_`."""

    @wraps(function)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except GansegError as error:
            line = f"{type(error).__name__}: {error}"
            error._render_traceback_ = lambda: [line]  # type: ignore[attr-defined]
            raise

    return told
