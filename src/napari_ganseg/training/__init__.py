"""Training: labelled cases and a configuration make a model."""

from napari_ganseg.training.cases import Case, Verdict, good_cases, scan_folder
from napari_ganseg.training.config import TrainConfig, config_from_json, config_to_json
from napari_ganseg.training.fit import fit
from napari_ganseg.training.plan import plan

__all__ = [
    "Case",
    "TrainConfig",
    "Verdict",
    "config_from_json",
    "config_to_json",
    "fit",
    "good_cases",
    "plan",
    "scan_folder",
]
