"""Curves of a training: what is drawn, how rarely, and that nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from qtpy import API_NAME, compat
from qtpy.QtCore import QCoreApplication, QEvent

from napari_ganseg.plugin import curves as module
from napari_ganseg.plugin.curves import PAUSE_MS, Curves
from napari_ganseg.plugin.series import MOST

LINES = [(10, {"loss": 1.0, "lambda": 0.1}), (20, {"loss": 0.5, "d_loss": 0.7}), (20, {"dice": 0.4, "best": 0.4})]


@pytest.fixture
def curves(qtbot: Any) -> Curves:
    widget = Curves()
    qtbot.addWidget(widget)
    return widget


def drawn(curve: Any) -> tuple[list[float], list[float]]:
    """Steps and figures of a line on screen."""
    steps, values = curve.getData()
    return ([], []) if steps is None else (list(steps), list(values))


def test_training_found_again_is_drawn_at_once(curves: Curves) -> None:
    curves.set_curves(LINES)
    assert drawn(curves._raw["loss"]) == ([10, 20], [1.0, 0.5])
    assert drawn(curves._raw["d_loss"]) == ([20], [0.7])
    assert drawn(curves._dice) == drawn(curves._best) == ([20], [0.4])
    assert not curves._timer.isActive()


def test_figures_that_come_fast_are_drawn_rarely(curves: Curves, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[int] = []
    draw = curves._draw_losses
    monkeypatch.setattr(curves, "_draw_losses", lambda end: (times.append(1), draw(end)))
    for step in range(1, 60):
        curves.add(step, {"loss": 1 / step})
        qtbot.wait(10)
    qtbot.waitUntil(lambda: not curves._timer.isActive())
    assert 2 <= len(times) <= 59 * 40 / PAUSE_MS
    assert drawn(curves._raw["loss"])[0][-1] == 59


def test_long_training_is_drawn_with_few_points(curves: Curves) -> None:
    noise = np.random.default_rng(0).normal(1, 0.2, 72_000)
    curves.set_curves([(step, {"loss": float(value)}) for step, value in enumerate(noise, start=1)])
    steps, smooth = drawn(curves._smooth["loss"])
    assert len(steps) < MOST
    assert np.std(smooth) < np.std(drawn(curves._raw["loss"])[1])
    assert curves.losses.viewRange()[0][1] > steps[-1] > 71_900


def test_dice_runs_from_nothing_to_one_above_the_same_steps(curves: Curves) -> None:
    curves.set_curves(LINES)
    steps, (low, high) = curves.scores.viewRange()
    assert -0.1 < low < 0
    assert 1 < high < 1.1
    assert steps == curves.losses.viewRange()[0]


def test_legend_names_what_there_is_and_its_last_figure(curves: Curves) -> None:
    assert [label.text() for label in curves.legends] == ["&nbsp;"] * 2
    curves.set_curves(LINES[:1])
    assert "generator&nbsp;<b>1.000" in curves.legends[0].text()
    assert "discriminator" not in curves.legends[0].text()
    curves.set_curves(LINES)
    assert "discriminator&nbsp;<b>0.700" in curves.legends[0].text()
    assert "validation&nbsp;<b>0.400" in curves.legends[1].text()
    curves.clear()
    assert drawn(curves._raw["loss"]) == drawn(curves._dice) == ([], [])
    assert [label.text() for label in curves.legends] == ["&nbsp;"] * 2


def test_loss_that_is_no_number_draws_nothing_and_complains_of_nothing(curves: Curves) -> None:
    curves.set_curves([(1, {"loss": float("nan")}), (2, {"loss": float("inf"), "dice": float("nan")})])
    assert drawn(curves._raw["loss"]) == ([], [])


def test_axes_follow_the_theme(curves: Curves) -> None:
    for colour in ("#f0f1f2", "#1e1e21"):
        curves.setStyleSheet(f"QWidget {{ color: {colour}; }}")
        curves.ensurePolished()
        assert curves.scores.getAxis("left").textPen().color().name() == colour


def test_deleted_widget_takes_its_timer_along(qtbot: Any) -> None:
    widget = Curves()
    qtbot.addWidget(widget)
    widget.add(1, {"loss": 1.0})
    timer = widget._timer
    assert timer.isActive()
    widget.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert not compat.isalive(timer)
    qtbot.wait(PAUSE_MS + 100)


def test_dock_goes_with_its_viewer_while_figures_come(make_napari_viewer: Any, qtbot: Any) -> None:
    viewer = make_napari_viewer()
    widget = Curves()
    viewer.window.add_dock_widget(widget, name="curves")
    widget.set_curves(LINES)
    viewer.theme = "light"
    dark = widget.scores.getAxis("left").textPen().color().lightness()
    viewer.theme = "dark"
    assert dark < 128 < widget.scores.getAxis("left").textPen().color().lightness()
    widget.add(30, {"loss": 0.4})
    viewer.close()
    qtbot.wait(PAUSE_MS + 100)


def test_library_is_imported_when_drawn_with_and_for_the_same_qt(qtbot: Any) -> None:
    assert module.pyqtgraph().Qt.QT_LIB == API_NAME
    lines = (
        "import sys",
        "import napari_ganseg.plugin.curves",
        "assert not {'pyqtgraph', 'torch'} & set(sys.modules)",
        "from qtpy.QtWidgets import QApplication",
        "app = QApplication([])",
        "import warnings; warnings.simplefilter('error')",
        "curves = napari_ganseg.plugin.curves.Curves()",
        "curves.add(1, {'loss': 1.0, 'dice': 0.5})",
        "curves.show(); curves.grab()",
        "app.processEvents()",
        "print('left')",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "left\n"), done.stderr
