"""Work in the viewer's own process gives way to the viewer: to its drawing, its clicks, its painting.

What made a viewer jerk while torch was imported and computed (`python -m benchmarks.liveness` measures it): drawing
lets go of the interpreter at each of some hundred OpenGL calls, and waits up to a switch interval to have it back; the
linker loads torch's libraries while `import` holds the interpreter; a full garbage collection goes through all that
napari ever made; and as many threads as there are processors leave none to draw with.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

SWITCH_S = 0.0005  # a tenth of Python's own
NICER = 5  # steps, of the 40 that there are: a third of the share that the viewer's own thread may take
LIBRARIES = ("libtorch_cpu.so", "libtorch_cuda.so")  # without Python in them, so that they load without its lock

RARELY = 1_000_000  # how often a full collection comes: never, as good as

_lock = threading.Lock()
_guests: list[tuple[float, tuple[int, int, int]]] = []  # the switch interval and the thresholds that each found


@contextmanager
def courteous() -> Iterator[None]:
    """Short turns as long as anybody is inside; no full collection before `settled`, of which imports bring several."""
    with _lock:
        _guests.append((sys.getswitchinterval(), gc.get_threshold()))
        sys.setswitchinterval(SWITCH_S)
        gc.set_threshold(*gc.get_threshold()[:2], RARELY)
    try:
        yield
    finally:
        with _lock:
            seconds, thresholds = _guests.pop()
            if not _guests:
                sys.setswitchinterval(seconds)
                gc.set_threshold(*thresholds)
                gc.unfreeze()


def settled() -> None:
    """All is imported: from now on, while anybody is inside, a full collection looks only at what comes after."""
    with _lock:
        if _guests:
            gc.freeze()
            gc.set_threshold(*_guests[0][1])


def load_torch_aside() -> None:
    """Let the linker load torch's libraries by a foreign call, which lets go of the interpreter; `import` does not."""
    spec = None if "torch" in sys.modules or sys.platform != "linux" else find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        return
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    for name in LIBRARIES:  # one that is not there, or cannot be loaded, is `import`'s to complain about
        dlopen(os.fsencode(Path(spec.submodule_search_locations[0]) / "lib" / name), os.RTLD_LAZY | os.RTLD_LOCAL)


def give_way() -> None:
    """Let this thread, and those it starts, compute only where nobody draws; where the system tells threads apart."""
    if sys.platform == "linux":
        with suppress(OSError):
            process = os.getpriority(os.PRIO_PROCESS, os.getpid())
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), process + NICER)
