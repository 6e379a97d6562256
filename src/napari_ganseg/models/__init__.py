"""Models: a card that says what a model is, the file that holds it, and the library that finds it."""

from napari_ganseg.models.card import Card, is_model_name
from napari_ganseg.models.file import Model, load_model, read_card, save_model
from napari_ganseg.models.library import FoundModel, find_card, find_model, list_models, model_folders, search_models

__all__ = [
    "Card", "FoundModel", "Model", "find_card", "find_model", "is_model_name", "list_models", "load_model",
    "model_folders", "read_card", "save_model", "search_models",
]  # fmt: skip
