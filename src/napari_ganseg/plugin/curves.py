"""Curves of a training while it runs: the losses above, the Dice of the held-out cases below."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import qtpy
from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtGui import QColor, QFont
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_ganseg.plugin.series import Series, limits, smoothed

PAUSE_MS = 250  # between two drawings
LOSSES = {"loss": ("generator", "#3b8ed0"), "d_loss": ("discriminator", "#d9722e")}  # readable on dark and light
SCORES = {"dice": ("validation", "#2f9e68"), "best": ("best", "#8a8f98")}
FAINT = 60  # of 255: opacity of the raw figures behind a smooth line
LEFT_WIDTH, BOTTOM_HEIGHT = 44, 28  # pixels of the axes; the same left of both plots: a step stands below itself
DICE_TICKS = tuple((n / 5, f"{n / 5:.1f}") for n in range(6))
AIR = 0.04  # beyond the first and last Dice and step: no point and no tick's words are cut
TICK_DENSITY = 1.5  # times that of pyqtgraph
MOST_WORDS = 0.3  # of an axis that the words of its finer ticks may fill
CROWD = 60  # points from which on dots grow small


class Curves(QWidget):
    """Two plots, one above the other, that are drawn a few times a second however often figures come."""

    def __init__(self) -> None:
        super().__init__()
        self.series = {name: Series() for name in (*LOSSES, *SCORES)}
        self.legends = (legend(), legend())
        self.losses, self.scores = plot("loss", ""), plot("Dice (0 to 1)", "step")
        self._raw = {name: line(self.losses, colour, 1, FAINT) for name, (_, colour) in LOSSES.items()}
        self._smooth = {name: line(self.losses, colour, 2) for name, (_, colour) in LOSSES.items()}
        self._best = line(self.scores, SCORES["best"][1], 1.5, 3 * FAINT)
        self._dice = line(self.scores, SCORES["dice"][1], 2)
        self.scores.getAxis("left").setTicks([DICE_TICKS])
        self._timer = QTimer(self)  # goes with the widget
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self._draw)
        self._lay_out()
        self._follow_theme()
        self._draw()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 0)
        layout.setSpacing(1)
        for label, item, stretch in zip(self.legends, (self.losses, self.scores), (10, 11), strict=True):
            layout.addWidget(label)
            layout.addWidget(item, stretch=stretch)

    def sizeHint(self) -> QSize:
        """As high as both plots need to be read."""
        return QSize(340, 300)

    def changeEvent(self, event: Any) -> None:
        """Take the colours of a theme when it is chosen."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange) and hasattr(self, "_timer"):
            self._follow_theme()

    # --- figures ---

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Add the figures of a step ("loss", "d_loss", "dice", "best"; others are left out), to be drawn soon."""
        for name, series in self.series.items():
            if name in figures:
                series.add(step, figures[name])
        if not self._timer.isActive():
            self._timer.start()

    def clear(self) -> None:
        """Forget every figure."""
        self.set_curves(())

    def set_curves(self, lines: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Show these in place of what was there: step and figures, in the order in which they came."""
        for series in self.series.values():
            series.clear()
        for step, figures in lines:
            self.add(step, figures)
        self._timer.stop()
        self._draw()

    # --- drawing ---

    def _draw(self) -> None:
        last = max((series.steps[-1] for series in self.series.values() if series.steps), default=1)
        self._draw_losses(last * (1 + AIR))
        self._draw_scores(last * (1 + AIR))
        for label, curves in zip(self.legends, (LOSSES, SCORES), strict=True):
            label.setText(self._words(curves))

    def _draw_losses(self, end: float) -> None:
        raw, smooth = [], []
        for name in LOSSES:
            series = self.series[name]
            means = smoothed(series.values)
            self._raw[name].setData(series.steps, series.values)
            self._smooth[name].setData(series.steps, means)
            raw += series.values
            smooth += means
        self.losses.setRange(xRange=(0, end), yRange=limits(raw, smooth), padding=0)

    def _draw_scores(self, end: float) -> None:
        dice, best = self.series["dice"], self.series["best"]
        colour, size = SCORES["dice"][1], 6 if len(dice.steps) < CROWD else 3
        self._best.setData(best.steps, best.values)
        self._dice.setData(
            dice.steps, dice.values, symbol="o", symbolSize=size, symbolBrush=colour, symbolPen=None
        )  # fmt: skip
        self.scores.setRange(xRange=(0, end), yRange=(-AIR, 1 + AIR), padding=0)

    def _words(self, curves: Mapping[str, tuple[str, str]]) -> str:
        """The legend of a plot: a dash in the colour of each line, its name and its last figure."""
        entries = []
        for name, (words, colour) in curves.items():
            values = self.series[name].values
            if values:
                value = smoothed(values)[-1] if name in LOSSES else values[-1]
                entries.append(f'<span style="color:{colour}">&#9644;</span>&nbsp;{words}&nbsp;<b>{value:.3f}</b>')
        return "&nbsp;&nbsp; ".join(entries) or "&nbsp;"

    def _follow_theme(self) -> None:
        """Draw the axes in the colour of the theme's text."""
        text = self.palette().windowText().color()
        for item in (self.losses, self.scores):
            for side in ("left", "bottom"):
                axis = item.getAxis(side)
                axis.setTextPen(text)
                axis.setPen(QColor(text.red(), text.green(), text.blue(), 2 * FAINT))


def legend() -> QLabel:
    """One line of words above a plot."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.RichText)
    label.setFont(small(label.font()))
    label.setContentsMargins(8, 0, 0, 0)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return label


def plot(left: str, bottom: str) -> Any:
    """A plot that lets the mouse through to the dock's scroll bar and has no buttons and no menu."""
    item = pyqtgraph().PlotWidget(background=None, enableMenu=False)
    item.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    item.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    item.setMinimumHeight(90)
    item.hideButtons()
    item.setMouseEnabled(x=False, y=False)
    item.disableAutoRange()
    item.showGrid(x=False, y=True, alpha=0.15)
    for side, words in (("left", left), ("bottom", bottom)):
        axis = item.getAxis(side)
        axis.enableAutoSIPrefix(False)
        axis.setStyle(tickFont=small(item.font()), tickTextOffset=3, tickLength=-3, maxTickLevel=1)
        axis.setStyle(textFillLimits=[(0, MOST_WORDS)])
        axis.setLabel(words, **{"font-size": f"{small(item.font()).pointSizeF()}pt"})
        axis.showLabel(bool(words))
        axis.setTickDensity(TICK_DENSITY)
    item.getAxis("left").setWidth(LEFT_WIDTH)
    if bottom:
        item.getAxis("bottom").setHeight(BOTTOM_HEIGHT)
        item.getPlotItem().setContentsMargins(0, 0, 0, 5)  # the word below the axis hangs over by as much
    return item


def line(item: Any, colour: str, width: float, opacity: int = 255) -> Any:
    """An empty line in a plot."""
    pen_colour = QColor(colour)
    pen_colour.setAlpha(opacity)
    return item.plot(pen=pyqtgraph().mkPen(pen_colour, width=width), antialias=True)


def small(font: QFont) -> QFont:
    """A font a little smaller than this."""
    smaller = QFont(font)
    smaller.setPointSizeF(max(7.0, 0.85 * font.pointSizeF()))
    return smaller


def pyqtgraph() -> Any:
    """The library, imported when first drawn with, for the Qt that napari runs on: it would guess among several."""
    os.environ.setdefault("PYQTGRAPH_QT_LIB", qtpy.API_NAME)
    import pyqtgraph as library

    return library
