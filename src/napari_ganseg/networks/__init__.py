"""Networks by name: a configuration becomes a module, 2D or 3D, with fresh weights or those of a file."""

from napari_ganseg.networks.foreign import read_state_dict
from napari_ganseg.networks.generator import Arch, build_generator, divisor, outline
from napari_ganseg.networks.pretrained import fill_encoder
from napari_ganseg.networks.weights import fill_weights, weights_of

__all__ = [
    "Arch",
    "build_generator",
    "divisor",
    "fill_encoder",
    "fill_weights",
    "outline",
    "read_state_dict",
    "weights_of",
]
