"""Inference: a volume and a model make a label map on the volume's own grid."""

from napari_ganseg.inference.device import choose_device, device_names
from napari_ganseg.inference.domain import doubts
from napari_ganseg.inference.engine import segment, segmentation

__all__ = ["choose_device", "device_names", "doubts", "segment", "segmentation"]
