"""What the user set under Preferences > Plugins > Ganseg."""

from __future__ import annotations

from typing import Any

from napari import settings


def preferred_device() -> str:
    """Device models compute on."""
    return str(getattr(segmentation_settings(), "device", "auto"))


def model_folder() -> str | None:
    """The user's extra folder of models."""
    return getattr(segmentation_settings(), "model_folder", "") or None


def segmentation_settings() -> Any:
    """The settings page, or None where there is none: before napari 0.9, or where it has not found our manifest."""
    try:
        return settings.get_plugin_settings("napari-ganseg").segmentation
    except (KeyError, AttributeError, ValueError):
        return None
