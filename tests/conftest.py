"""What all tests share."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: small networks on busy cores are faster so
os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="ganseg-tests-")  # a test's runs and models are not the user's


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real scans, as the environment variable GANSEG_DATA names it."""
    folder = Path(os.environ.get("GANSEG_DATA", ""))
    if not os.environ.get("GANSEG_DATA") or not folder.is_dir():
        pytest.skip("real scans are not here: set GANSEG_DATA to their folder")
    return folder
