"""A run folder as a user's click makes one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from builders import blob_case, kill_trainings, tiny_config

from napari_ganseg.io import write
from napari_ganseg.training.config import TrainConfig, config_to_json
from napari_ganseg.training.job import Job, write_job

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> Iterator[MakeRun]:
    """Write labelled cases, a configuration and a job that names them; gives the run folder."""

    def make(name: str = "run", *, count: int = 3, config: TrainConfig | None = None, **fields: object) -> Path:
        data = tmp_path / f"{name}-data"
        for i in range(count):
            case = blob_case(shape=(16, 18, 20), seed=i)
            for place, content in (("images", case.image), ("labels", case.annotation.labels)):
                (data / place).mkdir(parents=True, exist_ok=True)
                write(data / place / f"{i}.nii.gz", content)
        (tmp_path / f"{name}.json").write_bytes(config_to_json(config or tiny_config()))
        given = {"config": str(tmp_path / f"{name}.json"), "device": "cpu", "threads": 1} | fields
        job = Job((str(data),), str(tmp_path / f"{name}.ganseg.safetensors"), **given)  # type: ignore[arg-type]
        write_job(tmp_path / name, job)
        return tmp_path / name

    yield make
    kill_trainings(tmp_path)
