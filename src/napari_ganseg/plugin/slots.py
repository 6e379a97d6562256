"""Slots that may fail: what goes wrong in one becomes a message, not a traceback."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from napari.utils.notifications import show_error

from napari_ganseg.errors import GansegError


def careful(act: Callable[..., None]) -> Callable[..., None]:
    """Show what goes wrong in a slot as a message."""

    @wraps(act)
    def acted(*arguments: Any) -> None:
        try:
            act(*arguments)
        except GansegError as error:
            show_error(str(error))

    return acted
