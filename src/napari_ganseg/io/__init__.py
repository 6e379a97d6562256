"""Files in and out: what is read is checked first, what is written is never half there and never over its source."""

from napari_ganseg.io.kind import is_label_map
from napari_ganseg.io.reading import EXTENSIONS, READABLE, read, read_any, read_labels
from napari_ganseg.io.write import check_target, write

__all__ = ["EXTENSIONS", "READABLE", "check_target", "is_label_map", "read", "read_any", "read_labels", "write"]
