"""Whether the viewer stays as quick as it was while it segments first and while a training runs beside it.

    python -m benchmarks.liveness           # starts a virtual screen where there is none

In a real viewer that scrolls through the sample CT a timer of 5 ms measures how long the event loop keeps anybody
waiting: first with nothing else to do, then from a first click on Segment on (torch is not imported yet) until the
result is shown; and, in a process of its own, while a fine-tuning from scratch runs in the Fine-tune widget, for a
minute or until its first preview is shown, and through Stop. napari itself takes a while to show a new layer, whoever
made it: the viewer at rest is given layers of labels, too, and the waits in which one is shown are compared with each
other. Exits 0 when for both parts the 95th percentile is at most 50 ms and the longest wait, of either kind, at most
200 ms longer than at rest; when the trainer says within 2 s that it stops; and when nothing is left: no process, no
thread, no memory on a GPU, and no torch in a viewer that only trained.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import psutil

SCREEN = ("xvfb-run", "-a", "-s", "-screen 0 1600x1200x24")
TICK_MS, SCROLL_MS = 5, 200
REST_S, TRAINING_S, SETTLE_S, LONGEST_S = 20.0, 60.0, 3.0, 900.0
P95_MS, LONGER_MS, STOP_S, GPU_MB = 50.0, 200.0, 2.0, 50.0  # goals
PAINTED, SHOWN = 10, 2  # slices, layers that are shown at rest
SCAN, LABELS = (Path("sample_volumes") / f"sample_ct{end}.nii.gz" for end in ("", "_labels"))


@dataclass(frozen=True, slots=True)
class Waits:
    """How long the event loop kept one waiting, in milliseconds.

    Attributes:
        longest: while no layer was shown.
        showing: the longest while one was.
    """

    p50: float
    p95: float
    longest: float
    showing: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"p50 {self.p50:.0f}, p95 {self.p95:.0f}, longest {self.longest:.0f} ms, {self.showing:.0f} ms where a "
            f"layer is shown (in {self.seconds:.0f} s)"
        )


@dataclass(frozen=True, slots=True)
class Part:
    """What was measured in one viewer.

    Attributes:
        faults: what did not hold, in words.
    """

    rest: Waits
    work: Waits
    faults: list[str] = field(default_factory=list)
    stop_s: float = 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both parts in processes of their own; 0 when all lines hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.liveness", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=PARTS, help="one part alone, in this process")
    parser.add_argument("--out", type=Path, help="where a part puts its figures")
    options = parser.parse_args(arguments)
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform != "linux"):
        os.execvp(SCREEN[0], [*SCREEN, sys.executable, "-m", "benchmarks.liveness", *(arguments or sys.argv[1:])])
    if options.part:
        return in_viewer(options.part, options.out)
    parts = {name: in_process(name) for name in PARTS}
    return told(parts)


def told(parts: dict[str, Part]) -> int:
    """Print every line; 0 when all hold."""
    faults = []
    for name, part in parts.items():
        faults += [f"{name}: {fault}" for fault in (*part.faults, *slowness(part))]
        print(f"at rest:   {part.rest}\n{name}: {part.work}")
    for fault in faults:
        print(f"FAIL {fault}")
    figures = "; ".join(
        f"{name} p95 {part.work.p95:.0f} ms, longest {part.work.longest:.0f} ms (at rest {part.rest.longest:.0f} ms)"
        for name, part in parts.items()
    )
    stop_s = max(part.stop_s for part in parts.values())
    print(f"{figures}; Stop heard after {stop_s:.2f} s; {len(faults)} faults")
    return 1 if faults else 0


def slowness(part: Part) -> list[str]:
    """What of the waits is too long, in words."""
    faults = []
    if part.work.p95 > P95_MS:
        faults.append(f"p95 {part.work.p95:.0f} ms, above {P95_MS:.0f} ms")
    longer = {name: getattr(part.work, name) - getattr(part.rest, name) for name in ("longest", "showing")}
    return faults + [f"{name}: {ms:.0f} ms longer than at rest" for name, ms in longer.items() if ms > LONGER_MS]


# --- processes --------------------------------------------------------------------------------------------------------


def in_process(name: str) -> Part:
    """One part in a process of its own, with data folders of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        out, before = Path(temporary) / "part.json", gpu_mb()
        homes = {key: str(Path(temporary) / key) for key in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "GANSEG_MODELS")}
        Path(homes["GANSEG_MODELS"]).mkdir()
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.liveness", "--part", name, "--out", str(out)]
        code = subprocess.run(command, env=os.environ | homes, check=False).returncode
        if code or not out.exists():
            sys.exit(f"The viewer of the part {name} ended with {code}.")
        content = json.loads(out.read_bytes())
        part = Part(Waits(**content.pop("rest")), Waits(**content.pop("work")), **content)
        return Part(part.rest, part.work, [*part.faults, *gpu_faults(before)], part.stop_s)


def gpu_mb() -> float | None:
    """Memory in use on all GPUs; None without one."""
    if which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return sum(map(float, said.stdout.split())) if said.returncode == 0 and said.stdout else None


def gpu_faults(before: float | None) -> list[str]:
    """Whether the GPU's memory is not back."""
    now = gpu_mb()
    if before is None or now is None:
        print("no GPU here: its memory is not looked at")
        return []
    print(f"GPU memory: {before:.0f} MB before, {now:.0f} MB after")
    return [f"{now - before:.0f} MB are left on the GPU"] if now - before > GPU_MB else []


# --- in the viewer ----------------------------------------------------------------------------------------------------


class Desk:
    """A viewer with the sample CT that scrolls, and the timer."""

    def __init__(self) -> None:
        import napari
        from qtpy.QtCore import Qt, QTimer

        self.viewer: Any = napari.Viewer()
        self.viewer.window._qt_window.resize(1200, 800)
        self.viewer.open(str(SCAN), plugin="napari-ganseg")
        self.ticks: list[float] = []
        self.shown: list[float] = []  # when a layer was added or removed
        for event in (self.viewer.layers.events.inserted, self.viewer.layers.events.removed):
            event.connect(lambda _: self.shown.append(time.perf_counter()))
        self._ticker, self._scroller = QTimer(), QTimer()
        self._ticker.setTimerType(Qt.TimerType.PreciseTimer)
        self._ticker.timeout.connect(lambda: self.ticks.append(time.perf_counter()))
        self._scroller.timeout.connect(self._scroll)
        self._ticker.start(TICK_MS)
        self._scroller.start(SCROLL_MS)

    def _scroll(self) -> None:
        """To the next slice; after the last comes the first."""
        dims = self.viewer.dims
        dims.set_current_step(0, (dims.current_step[0] + 1) % dims.nsteps[0])

    def wait(self, is_over: Callable[[], bool], what: str) -> None:
        """Let Qt work until something is over."""
        from qtpy.QtCore import QEventLoop
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + LONGEST_S
        while not is_over():
            if time.monotonic() > end:
                sys.exit(f"{what}: not over after {LONGEST_S:.0f} s.")
            QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)

    def rest(self, seconds: float) -> None:
        """Only scroll."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end, "resting")

    def waits(self) -> Waits:
        """What was measured since the last call."""
        ticks, self.ticks = np.array(self.ticks), self.ticks[-1:]
        gaps_ms = np.diff(ticks) * 1000
        is_showing = np.isin(np.arange(len(gaps_ms)), np.searchsorted(ticks, self.shown) - 1)
        p50, p95 = np.percentile(gaps_ms, (50, 95))
        worst = np.argsort(gaps_ms)[-4:][::-1]
        print("  " + ", ".join(f"{gaps_ms[i]:.0f} ms at {ticks[i] - ticks[0]:.1f} s" for i in worst), flush=True)
        longest, showing = (float(gaps_ms[which].max(initial=0)) for which in (~is_showing, is_showing))
        return Waits(float(p50), float(p95), longest, showing, float(ticks[-1] - ticks[0]))

    def close(self) -> list[str]:
        """Close the viewer; what is left then, in words."""
        self._ticker.stop()
        self._scroller.stop()
        self.viewer.close()
        self.rest_without_timers()
        children = [" ".join(child.cmdline()[:6]) for child in psutil.Process().children(recursive=True)]
        threads = [t.name for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
        return [f"left: process {child}" for child in children] + [f"left: thread {name}" for name in threads]

    def rest_without_timers(self) -> None:
        """Let what was closed go."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + SETTLE_S
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.01)


def in_viewer(name: str, out: Path | None) -> int:
    """One part in this process; its figures go to a file."""
    warnings.filterwarnings("ignore")
    desk = Desk()
    part = PARTS[name](desk)
    part.faults.extend(desk.close())
    if out:
        out.write_text(json.dumps(asdict(part)))
        return 0
    return told({name: part})


def segmenting(desk: Desk) -> Part:
    """The first click on Segment."""
    from napari_ganseg.plugin.layers import MADE
    from napari_ganseg.plugin.worker import job_of

    _, widget = desk.viewer.window.add_plugin_dock_widget("napari-ganseg", "Segment CT or MRI")
    widget.model.value = "headneck-ct"
    rest = rested(desk)
    faults = ["torch was imported before the click"] if "torch" in sys.modules else []
    widget.button.native.click()
    desk.wait(lambda: job_of(desk.viewer) is None, "segmenting")
    desk.rest(SETTLE_S)
    if not any(MADE in layer.metadata for layer in desk.viewer.layers):
        faults.append("no result was shown")
    return Part(rest, desk.waits(), faults)


def training(desk: Desk) -> Part:
    """A fine-tuning from scratch, stopped after a minute, or later, once a preview was shown."""
    from napari_ganseg.plugin.finetune_widget import FineTuneWidget
    from napari_ganseg.plugin.pacing import end_measuring
    from napari_ganseg.plugin.preview import PREVIEW
    from napari_ganseg.plugin.worker import CHILD, job_of

    _, widget = desk.viewer.window.add_plugin_dock_widget("napari-ganseg", "Fine-tune a model")
    assert isinstance(widget, FineTuneWidget)
    paint(widget)
    end_measuring()  # of the pace, which is not what is measured here
    rest = rested(desk)
    widget.model.button.native.click()
    desk.wait(lambda: said(widget, "training") is not None or job_of(desk.viewer, CHILD) is None, "starting")
    desk.rest(TRAINING_S)

    def has_preview() -> bool:
        return any(layer.name.endswith(PREVIEW) for layer in desk.viewer.layers)

    desk.wait(lambda: has_preview() or job_of(desk.viewer, CHILD) is None, "the preview, after the first validation")
    desk.rest(SETTLE_S)
    was_previewed = has_preview()
    clicked_s = time.time()
    widget.view.stop_button.click()
    desk.wait(lambda: job_of(desk.viewer, CHILD) is None, "stopping")
    desk.rest(SETTLE_S)
    stop_s = (said(widget, "stopping") or float("inf")) - clicked_s
    return Part(rest, desk.waits(), list(training_faults(widget, stop_s, was_previewed)), stop_s)


PARTS: dict[str, Callable[[Desk], Part]] = {"segmenting": segmenting, "training": training}


def rested(desk: Desk) -> Waits:
    """What the viewer does at rest, once it has settled."""
    desk.rest(SETTLE_S)
    desk.ticks.clear()
    scan = desk.viewer.layers[0]
    for _ in range(SHOWN):
        desk.rest(REST_S / SHOWN)
        layer = desk.viewer.add_labels(np.zeros(scan.data.shape, np.uint8), name="empty", scale=scan.scale,
                                       translate=scan.translate, units=scan.units)  # fmt: skip
        desk.rest(SETTLE_S)
        desk.viewer.layers.remove(layer)
    desk.rest(SETTLE_S)
    return desk.waits()


def paint(widget: Any) -> None:
    """Some slices of the sample's labels, on a new layer, to be learnt from scratch."""
    from napari_ganseg.plugin.reader import open_files

    widget.lessons.new_button.native.click()
    layer, ((truth, *_), *_) = widget.lessons.labels.value, open_files(str(LABELS))
    filled = np.flatnonzero(np.asarray(truth).any(axis=(1, 2)))
    chosen = filled[np.linspace(0, len(filled) - 1, PAINTED).round().astype(int)]
    painted = layer.data.copy()
    painted[chosen] = np.asarray(truth)[chosen]
    layer.data = painted
    widget.model.start.value, widget.model.name.value = "", "liveness"
    widget.model.budget.value = widget.model.budget.choices[0]


def said(widget: Any, word: str) -> float | None:
    """When the trainer first said a word; None where it has not."""
    folder = widget.view._folder
    with suppress(OSError, ValueError, TypeError):
        for line in (folder / "progress.jsonl").read_text().splitlines():
            if (content := json.loads(line))["doing"] == word:
                return float(content["time"])
    return None


def training_faults(widget: Any, stop_s: float, has_preview: bool) -> list[str]:
    """What did not hold of the training, in words."""
    lines = {
        f"Stop was heard after {stop_s:.2f} s": stop_s <= STOP_S,
        f"the training ended with: {widget.view.words.text()}": widget.view.words.text() == "Done.",
        "no preview was shown": has_preview,
        "torch was imported into the viewer": "torch" not in sys.modules,
    }  # fmt: skip
    return [words for words, holds in lines.items() if not holds]


if __name__ == "__main__":
    raise SystemExit(main())
