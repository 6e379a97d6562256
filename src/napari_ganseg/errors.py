"""The kinds of failure a user can meet; each message names the thing, the cause and the next step."""

from __future__ import annotations


class GansegError(Exception):
    """Base of all our errors. Never a RuntimeError: napari's generator workers swallow those without a word."""


class UsageError(GansegError):
    """The call or the command line asks for something that does not exist or does not fit together."""


class FileError(GansegError):
    """A file cannot be read or written, or cannot be trusted."""


class GeometryError(GansegError):
    """Two grids differ, or an orientation is invalid."""


class ModelError(GansegError):
    """A model file is damaged, foreign or unknown."""


class DomainError(GansegError):
    """A scan is not what the model knows, and the caller asked to be strict."""


class ComputeError(GansegError):
    """The computation failed: out of memory, or a fault inside torch."""


class Cancelled(GansegError):
    """The user cancelled; nothing was kept."""
