"""What all tests share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: small networks on busy cores are faster so


os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="ganseg-tests-")  # a test's runs and models are not the user's


@pytest.fixture(autouse=True)
def no_training_outlives_its_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Trainings are made to outlive whoever started them; one that a failed test left would run for hours."""
    yield
    if "tmp_path" not in request.fixturenames:
        return
    place = str(request.getfixturevalue("tmp_path"))
    for process in psutil.process_iter(["cmdline"]):
        if any(place in word for word in process.info["cmdline"] or ()) and process.pid != os.getpid():
            process.kill()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real scans, as the environment variable GANSEG_DATA names it."""
    folder = Path(os.environ.get("GANSEG_DATA", ""))
    if not os.environ.get("GANSEG_DATA") or not folder.is_dir():
        pytest.skip("real scans are not here: set GANSEG_DATA to their folder")
    return folder
