"""Networks by name: a configuration becomes a MONAI module, 2D or 3D."""

from napari_ganseg.networks.generator import Arch, build_generator, divisor, outline
from napari_ganseg.networks.weights import fill_weights, weights_of

__all__ = ["Arch", "build_generator", "divisor", "fill_weights", "outline", "weights_of"]
