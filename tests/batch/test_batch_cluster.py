"""A batch on a Dask cluster: the same labels and records as at home, whatever happens to its workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from multiprocessing import forkserver, get_context
from pathlib import Path
from typing import Any

import pytest

from napari_ganseg.batch import CaseResult, segment_folder
from napari_ganseg.batch.manifest import read_manifest
from napari_ganseg.errors import ComputeError, ModelError, UsageError
from napari_ganseg.io.holder import this_process
from napari_ganseg.run import Progress, Run

distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="forks its workers, for speed"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

Scan = Callable[..., Path]
Batch = Run[tuple[CaseResult, ...]]
NAMES = "abcdefgh"
FORKED = {
    "distributed.worker.multiprocessing-method": "forkserver",
    "distributed.worker.memory.terminate": False,
    "distributed.scheduler.allowed-failures": 3,
    "distributed.comm.timeouts.connect": "60s",
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers, processes of their own that share one import of torch."""
    import dask

    with dask.config.set(FORKED):
        from distributed.utils import get_mp_context

        get_mp_context()
        get_context("forkserver").set_forkserver_preload(
            ["distributed", "napari_ganseg.batch.compute", "monai.networks.nets"]
        )
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=60
        ) as made:
            yield made
    forkserver._forkserver._stop()  # type: ignore[attr-defined]


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    """A client of the cluster with both workers there."""
    with distributed.Client(cluster, set_as_default=False) as made:
        made.wait_for_workers(2, timeout=120)
        yield made


@pytest.fixture(autouse=True)
def tidy(out: Path) -> Iterator[None]:
    """Whatever a test does, no lock or temporary file is left for long."""
    yield
    assert soon(lambda: not [p.name for p in out.rglob("*") if p.suffix == ".lock" or ".tmp-" in p.name])


@pytest.fixture
def batch(scan: Scan, scans: Path, out: Path, model: Path, client: Any) -> Callable[..., Batch]:
    """Begin a batch of eight cases on the cluster."""
    for name in NAMES:
        scan(f"{name}.nii")

    def begin(**options: Any) -> Batch:
        return segment_folder(scans, out, model, cluster=client, **{"device": "cpu", **options})

    return begin


def soon(is_so: Callable[[], bool]) -> bool:
    """Whether something becomes true within some seconds."""
    return any(is_so() or time.sleep(0.1) for _ in range(200))


def ended(run: Batch) -> tuple[CaseResult, ...]:
    """Run to the end."""
    return run.result


def statuses(results: tuple[CaseResult, ...]) -> str:
    """The first letter of each status, in the order of the cases."""
    return "".join(result.status[0] for result in results)


def voxels(out: Path) -> dict[str, str]:
    """Hash of each case's voxels, as its record has it."""
    records = {p.stem: json.loads(p.read_text())["record"] for p in out.glob("*.json")}
    return {name: record["output"]["voxels_sha256"] for name, record in records.items()}


def slowly(client: Any, seconds: float) -> None:
    """Let each case take longer on the workers there are now."""

    def slow() -> None:
        from napari_ganseg.batch import compute

        merge = compute.merge
        compute.merge = lambda *args: (time.sleep(seconds), merge(*args))[1]

    client.run(slow)


def worker_of(lock: Path) -> int:
    """The process that works on a case, as soon as one does."""
    assert soon(lambda: lock.exists() and bool(lock.read_bytes()))
    return int(json.loads(lock.read_text())["pid"])


# --- the same as at home ----------------------------------------------------------------------------------------------


def test_a_cluster_makes_the_same_voxels_and_a_run_moves_between_it_and_home(
    batch: Callable[..., Batch], scans: Path, out: Path, model: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    ended(segment_folder(scans, home, model, device="cpu"))
    (home / "b.nii.gz").unlink()
    run = batch()
    came = [p.case for p in run if p.case]
    assert statuses(run.result) == "d" * 8
    assert [(r.name, r.source, r.output) for r in run.result] == [
        (name, scans / f"{name}.nii", out / f"{name}.nii.gz") for name in NAMES
    ]
    assert sorted(came, key=lambda r: r.name) == list(run.result)
    assert voxels(out) == voxels(home)
    assert all(
        (out / f"{name}.nii.gz").read_bytes() == (home / f"{name}.nii.gz").read_bytes() for name in NAMES if name != "b"
    )
    (out / "c.nii.gz").unlink()
    assert statuses(segment_folder(scans, out, model, device="cpu").result) == "ssdsssss"
    (out / "d.nii.gz").write_bytes(b"cut")
    assert statuses(batch().result) == "sssdssss"
    assert [e["why"] for e in read_manifest(out) if e["status"] == "done"][8:] == [
        "the output is gone", "the output was cut or changed",
    ]  # fmt: skip


def test_a_bad_case_is_a_result_on_a_cluster_too(batch: Callable[..., Batch], scans: Path) -> None:
    (scans / "c.nii").write_bytes(b"")
    results = batch().result
    assert statuses(results) == "ddfddddd"
    assert results[2].cause == "Cannot open c.nii: the file is empty (0 bytes)."


def test_the_model_is_loaded_once_by_each_worker(batch: Callable[..., Batch], client: Any) -> None:
    ended(batch())

    def loads() -> tuple[int, int]:
        from napari_ganseg.batch.task import kept

        return kept.cache_info().misses, kept.cache_info().hits

    assert all(misses <= 1 for misses, _ in client.run(loads).values())


# --- workers that die -------------------------------------------------------------------------------------------------


def test_a_worker_that_is_killed_costs_no_case(
    batch: Callable[..., Batch], client: Any, scans: Path, out: Path, model: Path, tmp_path: Path
) -> None:
    slowly(client, 0.5)
    run = batch()
    steps = iter(run)
    next(p for p in steps if p.case)
    held = soon(lambda: bool(list(out.glob("[a-h].lock")))) and next(out.glob("[a-h].lock"))
    assert held
    os.kill(worker_of(held), signal.SIGKILL)
    assert set(statuses(run.result)) <= {"d", "s"}
    ended(segment_folder(scans, tmp_path / "home", model, device="cpu"))
    assert voxels(out) == voxels(tmp_path / "home")


@pytest.fixture
def deadly(client: Any) -> Iterator[None]:
    """Case b kills every worker that computes it."""

    class Killing(distributed.WorkerPlugin):  # type: ignore[misc, name-defined]
        def setup(self, worker: Any) -> None:
            from napari_ganseg.batch import compute

            merge = compute.merge

            def killing(maps: Any, later: Any) -> Any:
                if maps[0].provenance["source"] == "b.nii":
                    os.kill(os.getpid(), signal.SIGKILL)
                return merge(maps, later)

            compute.merge = killing

    client.register_plugin(Killing(), name="killing")
    yield
    client.unregister_worker_plugin("killing")
    client.restart()


def test_a_case_that_kills_its_workers_fails_and_the_others_do_not(batch: Callable[..., Batch], deadly: None) -> None:
    results = batch().result
    assert results[1].cause.startswith("3 workers in a row died while they worked on it")
    assert statuses(results).replace("s", "d") == "dfdddddd"


def test_the_fourth_worker_leaves_a_deadly_case_alone(batch: Callable[..., Batch], out: Path) -> None:
    died = subprocess.Popen([sys.executable, "-c", ""])
    died.wait()
    out.mkdir()
    (out / "b.lock").write_text(json.dumps(asdict(replace(this_process(), pid=died.pid, deaths=2))))
    results = batch(patterns=("[ab].nii",)).result
    assert statuses(results) == "df"
    assert results[1].cause.startswith("3 workers in a row died while they worked on it")
    assert statuses(batch(patterns=("[ab].nii",)).result) == "sd"


def test_a_lock_left_on_a_machine_that_went_away_is_taken_over(
    batch: Callable[..., Batch], client: Any, out: Path
) -> None:
    cluster_id = client.scheduler_info()["id"]
    there = replace(this_process(f"{cluster_id} tcp://10.0.0.9:1"), host="node9")
    out.mkdir()
    (out / "a.lock").write_text(json.dumps(asdict(there)))
    run = batch(patterns=("[ab].nii",))
    assert f"a.nii.gz is held by process {there.pid} on node9; coming back to it" in [p.doing for p in run]
    assert statuses(run.result) == "dd"


def test_a_lock_of_another_cluster_is_respected(batch: Callable[..., Batch], out: Path) -> None:
    there = replace(this_process("Scheduler-other tcp://10.0.0.9:1"), host="node9")
    out.mkdir()
    (out / "a.lock").write_text(json.dumps(asdict(there)))
    results = batch(patterns=("[ab].nii",), patience_s=0.1).result
    assert statuses(results) == "fd"
    assert "is still held by process" in results[0].cause
    (out / "a.lock").unlink()


# --- ended by the user ------------------------------------------------------------------------------------------------


def until(run: Batch, is_it: Callable[[Progress], bool]) -> Progress:
    """Iterate until some progress comes."""
    return next(p for p in run if is_it(p))


@pytest.mark.parametrize("how", ["stop", "cancel"])
def test_an_end_is_heard_by_the_workers_and_the_rest_is_done_the_next_time(
    batch: Callable[..., Batch], client: Any, how: str
) -> None:
    slowly(client, 0.3)
    run = batch()
    until(run, lambda p: p.case is not None)
    getattr(run, how)()
    before = statuses(run.result)
    assert {"d", "c"} == set(before)
    assert statuses(batch().result) == before.replace("d", "s").replace("c", "d")


def test_a_batch_cancelled_before_it_began_does_nothing(batch: Callable[..., Batch], out: Path) -> None:
    run = batch()
    run.cancel()
    assert statuses(run.result) == "c" * 8
    assert not list(out.iterdir())


def test_a_batch_that_nobody_iterates_any_more_lets_go_of_everything(batch: Callable[..., Batch]) -> None:
    run = batch()
    until(run, lambda p: p.case is not None)
    run._steps.close()


# --- what cannot work is said -----------------------------------------------------------------------------------------


def test_a_worker_that_cannot_see_the_folder_ends_the_batch(
    batch: Callable[..., Batch], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make = distributed.Client.scheduler_info

    def and_hide(client: Any) -> Any:
        for sign in (tmp_path / "out").glob(".cluster-*"):
            sign.rename(sign.with_name("hidden"))
        return make(client)

    monkeypatch.setattr(distributed.Client, "scheduler_info", and_hide)
    with pytest.raises(UsageError, match=r"A worker on .+ cannot see the folder .*out\. Every worker needs scans"):
        ended(batch())
    (tmp_path / "out" / "hidden").unlink()


def test_a_model_that_is_another_on_the_worker_ends_the_batch(
    batch: Callable[..., Batch], monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    from napari_ganseg.batch import chosen

    monkeypatch.setattr(chosen, "sha256_of", lambda _: "0" * 64)
    with pytest.raises(ModelError, match=r"On the worker .+: tiny\.ganseg\.safetensors was replaced"):
        ended(batch())


def test_where_no_scheduler_answers_it_is_said(scan: Scan, scans: Path, out: Path, model: Path) -> None:
    scan("a.nii")
    for address in ("tcp://127.0.0.1:9", "nonsense", 3):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("napari_ganseg.batch.connection.TIMEOUT_S", 1.0)
            with pytest.raises(UsageError, match="No Dask scheduler answers at"):
                ended(segment_folder(scans, out, model, cluster=address))


def test_where_distributed_is_missing_the_command_is_said(
    scan: Scan, scans: Path, out: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan("a.nii")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r'pip install "napari-ganseg\[cluster\]"'):
        ended(segment_folder(scans, out, model, cluster="tcp://127.0.0.1:8786"))


def test_a_client_that_was_closed_is_refused(scan: Scan, scans: Path, out: Path, model: Path, cluster: Any) -> None:
    scan("a.nii")
    client = distributed.Client(cluster, set_as_default=False)
    client.close()
    with pytest.raises(UsageError, match="The Dask client is closed"):
        ended(segment_folder(scans, out, model, cluster=client))


def test_a_scheduler_that_goes_away_ends_the_batch(scan: Scan, scans: Path, out: Path, model: Path) -> None:
    for name in NAMES:
        scan(f"{name}.nii")
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=60) as gone:
        client = distributed.Client(gone, set_as_default=False)
        run = segment_folder(scans, out, model, cluster=client, device="cpu")
        until(run, lambda p: "handed to the cluster" in p.doing)
    with pytest.raises(ComputeError, match="The Dask scheduler went away"):
        ended(run)
    client.close()


def test_neither_scheduler_nor_client_import_torch() -> None:
    code = (
        "import sys\n"
        "import napari_ganseg.batch.cluster, napari_ganseg.batch.connection, napari_ganseg.batch.task\n"
        "print({'torch', 'monai', 'napari'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set()"]
