"""Work in the viewer's process gives way to it: short turns, no full collection while it imports, and all as it was."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading

import pytest

from napari_ganseg.plugin.courtesy import RARELY, SWITCH_S, courteous, give_way, settled

COLD = """
import sys
from napari_ganseg.plugin.courtesy import load_torch_aside
load_torch_aside()
assert "torch" not in sys.modules
assert "libtorch_cpu.so" in open("/proc/self/maps").read()
import torch
print(torch.ones(2).sum().item())
"""


def test_the_last_to_leave_puts_everything_back() -> None:
    before = sys.getswitchinterval(), gc.get_threshold()
    with courteous(), courteous():
        assert sys.getswitchinterval() == pytest.approx(SWITCH_S)
        assert gc.get_threshold()[2] == RARELY
    assert (sys.getswitchinterval(), gc.get_threshold()) == before


def test_full_collections_come_back_once_all_is_imported_and_nothing_stays_frozen() -> None:
    before = gc.get_threshold()
    with courteous():
        settled()
        assert gc.get_threshold() == before
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


def test_nobody_inside_settles_nothing() -> None:
    settled()
    assert gc.get_freeze_count() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads of a process have no priority of their own")
def test_a_thread_that_gives_way_leaves_the_others_as_they_are() -> None:
    mine, theirs = os.getpriority(os.PRIO_PROCESS, threading.get_native_id()), []

    def work() -> None:
        give_way()
        theirs.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert theirs[0] > mine
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == mine


@pytest.mark.skipif(sys.platform != "linux", reason="libraries are loaded aside on Linux alone")
def test_torch_works_when_its_libraries_were_loaded_before() -> None:
    done = subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "2.0", done.stderr
