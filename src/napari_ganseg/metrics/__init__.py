"""Figures of a segmentation: overlap, distances, volumes and lesions per class, with stated rules for empty classes."""

from napari_ganseg.metrics.cases import class_means, mean_over_cases, summary
from napari_ganseg.metrics.disagreement import difference
from napari_ganseg.metrics.evaluation import evaluate
from napari_ganseg.metrics.export import write_csv
from napari_ganseg.metrics.lesions import Lesions
from napari_ganseg.metrics.measuring import Measure, measure
from napari_ganseg.metrics.scores import ClassScore, Scores

__all__ = [
    "ClassScore", "Lesions", "Measure", "Scores", "class_means", "difference", "evaluate", "mean_over_cases", "measure",
    "summary", "write_csv",
]  # fmt: skip
