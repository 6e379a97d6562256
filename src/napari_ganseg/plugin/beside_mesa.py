"""Let torch live in one process with Mesa: triton and Mesa's drivers each bring an LLVM, and mixed up they crash.

torch imports triton on the way to torchvision and MONAI. On Linux, with a viewer open on a Mesa driver (any software
renderer, Intel and AMD cards), that is a segmentation fault in libtriton's first line (pytorch issue 96060 is of the
same family). Bound to its own symbols first (RTLD_DEEPBIND), triton loads and works.
"""

from __future__ import annotations

import logging
import os
import sys
from importlib.util import find_spec

log = logging.getLogger(__name__)


def load_triton_apart() -> None:
    """Import triton bound to its own LLVM, before torch does; nothing to do where there is none or it is imported."""
    if not hasattr(os, "RTLD_DEEPBIND") or "triton" in sys.modules or find_spec("triton") is None:
        return
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | os.RTLD_DEEPBIND)
    try:
        import triton  # type: ignore[import-untyped]  # noqa: F401
    except ImportError as error:
        log.info("triton is not usable here: %s", error)
    finally:
        sys.setdlopenflags(flags)
